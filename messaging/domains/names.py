"""Names of sender domains: reading one as a customer writes it, the domains above it, and its organisational domain (RFC 7489
section 3.2) by the public suffix list that comes with its package. No look-ups."""

import functools

from publicsuffixlist import PublicSuffixList

from sendarix.core import addresses

LONGEST = 230
"""Characters; leaves room for the longest host below it that has to be published."""


class NameFault(ValueError):
    """Not a domain one can send from. `code` is one of errors.FIELD_CODES."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(text: str) -> str:
    """The domain in lower case and A-labels. Raises NameFault for what is no domain, an IP address, or a public suffix."""
    text = text.strip(" ").removesuffix(".")
    if not text:
        raise NameFault("required", "A domain such as example.com is required.")
    if "@" in text or "/" in text:
        raise NameFault("invalid_value", "Expected only the domain, such as example.com: no address and no URL.")
    try:
        domain = addresses.parse(f"postmaster@{text}").domain
    except addresses.AddressError as error:
        code = "too_long" if error.code == "too_long" else "invalid_value"
        raise NameFault(code, "Expected a domain name such as example.com.") from None
    if len(domain) > LONGEST:
        raise NameFault("too_long", f"A sender domain may have at most {LONGEST} characters.")
    if suffixes().publicsuffix(domain) == domain:
        raise NameFault(
            "invalid_value", f"{domain} is a public suffix, under which others register; add a domain below it."
        )
    return domain


def organisational(domain: str) -> str:
    """The registered domain that this one belongs to: example.co.uk for mail.example.co.uk."""
    return suffixes().privatesuffix(domain) or domain


def upwards(domain: str) -> list[str]:
    """The domain and those above it, nearest first, as far as its organisational domain."""
    labels = domain.split(".")
    stop = len(organisational(domain).split("."))
    return [".".join(labels[start:]) for start in range(len(labels) - stop + 1)]


@functools.cache
def suffixes() -> PublicSuffixList:
    """Takes a tenth of a second to read: once per process, on first use; servers do it before their first request."""
    return PublicSuffixList()
