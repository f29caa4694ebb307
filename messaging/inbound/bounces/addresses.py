"""Finding e-mail addresses in report fields and in running text. They are taken as written; nothing is checked
beyond their outline, since a report may name what no mail system should accept."""

import re

ADDRESS = r"""(?<![^\s<>()\[\],;:"'`*|=?~])(?:"[^"\s@]{1,64}"|[^\s<>()\[\],;:"\\|@'`*=][^\s<>()\[\],;:"\\|@]{0,63})"""
ADDRESS += r"@(?:[\w-]{1,63}\.){1,10}[\w-]{2,63}"
_ADDRESS = re.compile(ADDRESS)
_OUTLINE = re.compile(r"[^\s<>;]{1,128}@[^\s<>;]{1,255}")
_TYPE = re.compile(r"\s{0,8}[\w-]{1,20}\s{0,8};")
_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_REDACTED = re.compile(r"redacted|undisclosed|hidden|\*|\.\.\.@|^x{5,}@", re.IGNORECASE)
_SYSTEM = re.compile(
    r"(mailer-?daemon|postmaster|abuse|support|help-?desk|info|no-?reply|do-?not-?reply)@", re.IGNORECASE
)


def found_in(text: str) -> list[str]:
    """The addresses of `text` in order, each once, redacted ones left out."""
    return list(dict.fromkeys(found for found in _ADDRESS.findall(text) if not _REDACTED.search(found)))


def of_field(value: str) -> str | None:
    """The address of a recipient field, `rfc822; user@host` (RFC 3464) or `utf-8; …` (RFC 6533), type optional.

    X.400 names, redacted addresses and names without a host are None.
    """
    if typed := _TYPE.match(value):
        value = value[typed.end() :]
    value = _XTEXT.sub(_character, value).strip().strip("<>")
    found = found_in(value)
    if found:
        return found[0]
    outline = _OUTLINE.search(value)
    return outline.group().strip("<>\"'") if outline and not _REDACTED.search(value) else None


def _character(escape: re.Match[str]) -> str:
    number = int(escape[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else ""


def is_system(address: str) -> bool:
    """True for the addresses a mail system speaks from or points to, which a report names in passing."""
    return _SYSTEM.match(address) is not None
