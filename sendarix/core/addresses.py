"""Reading one e-mail address, with or without a display name, into its parts and its two canonical spellings.

Syntax only (RFC 5321, 5322, 6531): whether a domain can receive mail is asked of the DNS at delivery. Quoted
local parts and IP literals are refused; special-use domains (.test, .localhost) are accepted for development.
"""

import re
import unicodedata
from dataclasses import dataclass

import email_validator
import idna

MAX_ADDRESS = 254  # octets, RFC 5321 4.5.3.1.3
MAX_LOCAL = 64  # octets, RFC 5321 4.5.3.1.1
MAX_NAME = 256  # characters of a display name
MAX_TEXT = 1024  # characters looked at

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,61})?[A-Za-z]"
_plain = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+{_TOP})").fullmatch

_UNSAFE = (  # controls, line separators, bidirectional controls, byte order mark, surrogates, noncharacters
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
)
_unsafe = re.compile(f"[{_UNSAFE}]").search
_special = re.compile(r'["<>,;:@\\]').search  # what a display name may hold in double quotes only
_quoted = re.compile(r'"((?:[^"\\]|\\.)*)"').fullmatch

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # its documented setting


class AddressError(ValueError):
    """Not one usable address. `code` is `required`, `invalid_type`, `invalid_value` or `too_long`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: `name` is raw Unicode or empty, `local` is NFC, `domain` the lower-case A-label form."""

    name: str
    local: str
    domain: str

    @property
    def needs_smtputf8(self) -> bool:
        """True when only a server with SMTPUTF8 (RFC 6531) can take this address."""
        return not self.local.isascii()

    @property
    def spec(self) -> str:
        """The form on the wire: A-labels beside an ASCII local part, U-labels beside any other."""
        if self.local.isascii() or "xn--" not in self.domain:
            return f"{self.local}@{self.domain}"
        return f"{self.local}@{idna.decode(self.domain)}"

    @property
    def key(self) -> str:
        """The form two spellings of one mailbox share: case and IDN spelling do not count."""
        local = self.local
        folded = local.lower() if local.isascii() else unicodedata.normalize("NFC", local.casefold())
        return f"{folded}@{self.domain}"


def parse(text: str) -> Address:
    """Read `user@example.com` or `Name <user@example.com>`; raises AddressError and nothing else."""
    if not isinstance(text, str):
        raise AddressError("invalid_type", "Expected a string with one e-mail address.")
    if len(text) > MAX_TEXT:
        raise AddressError("too_long", f"An address with its name may have at most {MAX_TEXT:,} characters.")
    text = text.strip(" ")
    if _unsafe(text):
        raise AddressError("invalid_value", "An address must not hold control or bidirectional characters.")
    if not text:
        raise AddressError("required", "An e-mail address is required.")
    if "<" not in text:
        return _mailbox("", text)
    if not text.endswith(">"):
        raise AddressError("invalid_value", "Expected `Name <user@example.com>` and nothing after it.")
    name, _, spec = text[:-1].rpartition("<")
    return _mailbox(_display_name(name.strip(" ")), spec)


def matching(text: str) -> str:
    """The key of an address in any spelling; what is no address gives "", which is nobody's key."""
    try:
        return parse(text).key
    except AddressError:
        return ""


def _mailbox(name: str, spec: str) -> Address:
    found = _plain(spec)
    if found is None or len(spec) > MAX_ADDRESS or found.end(1) > MAX_LOCAL or "--" in found[2]:
        return _by_the_book(name, spec)
    return Address(name, found[1], found[2].lower())


def _by_the_book(name: str, spec: str) -> Address:
    """What the fast pattern does not know: internationalised addresses, and a reason for each refusal."""
    if "," in spec or ";" in spec:
        raise AddressError("invalid_value", "Expected one address; use the batch call for several recipients.")
    try:
        found = email_validator.validate_email(spec, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        code = "too_long" if "too long" in str(error) else "invalid_value"
        raise AddressError(code, str(error)) from None
    except (ValueError, IndexError) as error:  # from the IDNA tables, on input no registry would accept
        raise AddressError("invalid_value", "The part after the @-sign is not a domain name.") from error
    local = unicodedata.normalize("NFC", spec.rpartition("@")[0])
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError("too_long", f"The part before the @-sign may have at most {MAX_LOCAL} octets.")
    return Address(name, local, found.ascii_domain.lower())


def _display_name(raw: str) -> str:
    quoted = _quoted(raw)
    if quoted:
        name = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _special(raw):
        raise AddressError("invalid_value", 'A display name with any of " < > , ; : @ \\ needs double quotes.')
    else:
        name = raw
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if len(name) > MAX_NAME:
        raise AddressError("too_long", f"A display name may have at most {MAX_NAME} characters.")
    return name
