"""Whom a report for people names: an address at the head of a line, after a label or within a telling sentence. One
reading for all mail systems, by the surest sign that gives any."""

import re
from dataclasses import dataclass

from messaging.inbound.bounces import addresses
from messaging.inbound.bounces.parts import Mail
from messaging.inbound.bounces.wording import Reading

Sign = tuple[int, str]
"""The number of a line, and an address in it."""

_A = f"({addresses.ADDRESS})"
_HEAD = re.compile(rf"^(?:[45]\d\d[- ](?:[45]\.\d\.\d{{1,3}} )?)?[^\w\n@]{{0,16}}{_A}")
_AFTER = re.compile(
    r"[>\"']?\s*(?:$|[:(\[<#,;-]|\.\.\.|on (?:mon|tue|wed|thu|fri|sat|sun)|\.?$|invalid|error|no such)", re.IGNORECASE
)
_LABEL = re.compile(
    r"\b(?:recipients?|recipient address|rcpt to|error-for|user|address|e-?mail(?: address)?|failed recipient|userid"
    r"|destinatario|destinataire|empfänger|получатель|받는 ?사람|수신자|수신인|수신 ?메일|宛先|收件人)"
    rf"\s{{0,3}}(?:address)?\s{{0,3}}[:：]\s{{0,3}}<?(?:[\w-]{{1,20}};\s?)?{_A}",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?:deliver(?:y|ed|ing)?|message|mail|e-?mail|undeliverable|failed|failure|sent|send|reach|recipients?|address|error"
    r"|attempts?|userid|user|quota violation|could not be)"
    rf"[\w\s'’\"().,-]{{0,60}}?\b(?:to|for|user|userid|attempts|recipient|address|mailbox|reached)\b[\s:<\"'(]{{0,6}}{_A}",
    re.IGNORECASE,
)
_TO = re.compile(rf"^\s{{0,8}}To\s?:\s{{0,8}}(?:[^<\n]{{0,60}}<)?{_A}", re.IGNORECASE)
_LOCAL = re.compile(r"^\s+([\w.+-]{1,64})$")
_LISTED = re.compile(rf"^\s{{0,8}}<{_A}>:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Named:
    """An address and the lines that speak of it: from its own up to the next address's."""

    address: str
    start: int
    end: int


def lists_recipients(words: str) -> bool:
    """True when a line of `words` is an address in angle brackets and a colon, as mail systems list them."""
    return _LISTED.search(words[:8000]) is not None


def named(mail: Mail, lines: list[str], reading: Reading) -> list[Named]:
    """The failed addresses in order of their lines; none if none is named."""
    listed = addresses.found_in(", ".join(mail.headers.all("x-failed-recipients")))
    if listed:
        return _spans([(_line_of(address, lines), address) for address in listed], lines)
    own = _own(mail)
    heads, sentences = _heads(lines), _all(_SENTENCE, lines)
    for signs in (heads, sentences, *_weaker(mail, lines, reading)):
        certain = [
            (number, found) for number, found in signs if found.lower() not in own and not addresses.is_system(found)
        ]
        if certain:
            return _spans(certain, lines)
    return _spans([sign for sign in heads or sentences if sign[1].lower() not in own][:1], lines)


def _weaker(mail: Mail, lines: list[str], reading: Reading) -> list[list[Sign]]:
    return [
        _all(_LABEL, lines),
        [(number, found[1]) for number, line in enumerate(lines) if (found := _TO.match(line))],
        _local(mail, lines),
        [(number, found) for number, line in enumerate(lines) for found in addresses.found_in(line)],
        [(len(lines), found) for found in addresses.found_in(mail.headers.words("subject"))],
        [(len(lines), found) for found in reading.original.recipients[:1]],
    ]


def _own(mail: Mail) -> set[str]:
    """Addresses of the report's own header: to whom it is sent and who sends it."""
    names = ("to", "from", "reply-to", "sender", "errors-to")
    return {found.lower() for name in names for value in mail.headers.all(name) for found in addresses.found_in(value)}


def _heads(lines: list[str]) -> list[Sign]:
    heads = [(number, found) for number, line in enumerate(lines) if (found := _HEAD.match(line))]
    return [(number, found[1]) for number, found in heads if _AFTER.match(lines[number], found.end())]


def _all(pattern: re.Pattern[str], lines: list[str]) -> list[Sign]:
    """Sentences run over line ends, so each line is read with the next."""
    signs = []
    for number, line in enumerate(lines):
        both = f"{line} {lines[number + 1].strip()}" if number + 1 < len(lines) else line
        signs += [(number, found[1]) for found in pattern.finditer(both)]
    return signs


def _local(mail: Mail, lines: list[str]) -> list[Sign]:
    """Names without a host, alone on an indented line after a colon, belong to the reporting host's domain."""
    domains = [found.partition("@")[2].lower() for found in addresses.found_in(mail.headers.words("from"))]
    after = [number for number, line in enumerate(lines) if number and lines[number - 1].rstrip().endswith(":")]
    found = [(number, match[1]) for number in after if (match := _LOCAL.match(lines[number]))]
    return [(number, f"{name}@{domains[0]}") for number, name in found] if domains else []


def _line_of(address: str, lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines) if address.lower() in line.lower()), 0)


def _spans(signs: list[Sign], lines: list[str]) -> list[Named]:
    """Each address once, from its first line to that of the next other one."""
    starts: dict[str, Sign] = {}
    for number, address in signs:
        starts.setdefault(address.lower(), (number, address))
    ordered = sorted(starts.values(), key=lambda sign: sign[0])
    ends = [*(number for number, _ in ordered[1:]), len(lines)]
    return [Named(address, number, end) for (number, address), end in zip(ordered, ends[: len(ordered)], strict=True)]
