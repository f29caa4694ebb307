"""The one serializer of outgoing mail: a message's parts to the exact bytes of its content (RFC 5322, 2045-2047, 2231).

Guaranteed for every result: lines end with CRLF and hold at most 998 octets, no bare CR or LF, no NUL, ASCII
throughout (except addresses that need SMTPUTF8, RFC 6532), and the same Mail makes the same bytes each time.
Whatever could break a header raises ValueError. Attachments are streamed, never held.
"""

import re
import unicodedata
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from urllib.parse import quote

BLOCK = 57 * 1024  # octets of an attachment encoded at a time: whole lines of base64
LINE = 76  # characters of an encoded line

_FOLD = 78  # RFC 5322 section 2.1.1: lines should be no longer
_LIMIT = 998  # and must be no longer
_ENCODED_WORD = 45  # octets of UTF-8 that fit one encoded word of 75 characters

_unsafe = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search
_is_header_name = re.compile(r"[!-9;-~]{1,76}").fullmatch
_is_spec = re.compile(r"[^\x00-\x20\x7f-\x9f<>@,;:\\\"()\[\]\ud800-\udfff]+@[^\x00-\x20\x7f-\x9f<>@]+").fullmatch
_is_id = re.compile(r"[!-;=?-~]{1,400}").fullmatch
_is_type = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}", re.ASCII).fullmatch
_is_phrase = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*").fullmatch
_words = re.compile(r"[ \t]*[^ \t]+").findall
_plain_octets = bytes((9, 10, 13, *range(32, 61), *range(62, 127)))  # what quoted-printable leaves alone
_seven_bit_octets = bytes((9, 10, 13, *range(32, 127)))

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Mailbox = tuple[str, str]  # display name (raw Unicode, maybe empty), address as it goes on the wire


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment of exactly `size` octets. With a `content_id` it belongs to the HTML, which shows it."""

    filename: str
    content_type: str
    content_id: str | None
    size: int
    open: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Mail:
    """Everything that determines the bytes. `message_id` comes without angle brackets, `date` is aware."""

    message_id: str
    date: datetime
    sender: Mailbox
    recipient: Mailbox
    subject: str
    reply_to: Mailbox | None = None
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    attachments: tuple[Part, ...] = ()


Segments = list[bytes | Part]
"""Content in order; a Part stands for its base64 lines."""


def build(mail: Mail) -> bytes:
    """The whole content of a mail without attachments."""
    if mail.attachments:
        raise ValueError("a mail with attachments is streamed")
    return b"".join(segment for segment in _segments(mail) if isinstance(segment, bytes))


async def stream(mail: Mail) -> AsyncIterator[bytes]:
    """The content in pieces of about 80 kB at most. Raises ValueError before the end when an attachment does not
    have its size, so that a changed file is not sent as if whole."""
    for segment in _segments(mail):
        if isinstance(segment, bytes):
            yield segment
        else:
            async for encoded in _encoded(segment):
                yield encoded


def size(mail: Mail) -> int:
    """Octets of the content, exactly, without opening an attachment."""
    return sum(
        len(segment) if isinstance(segment, bytes) else encoded_size(segment.size) for segment in _segments(mail)
    )


def encoded_size(octets: int) -> int:
    """Octets that so many octets have in base64 lines, the last without its CRLF."""
    characters = (octets + 2) // 3 * 4
    return characters + 2 * max(0, (characters - 1) // LINE)


def flags(mail: Mail) -> tuple[bool, bool]:
    """Whether the content needs SMTPUTF8, and whether it has octets over 127 (8BITMIME)."""
    mailboxes = (mail.sender, mail.recipient, mail.reply_to or ("", ""))
    international = not all(spec.isascii() for _, spec in mailboxes)
    return international, international


def _segments(mail: Mail) -> Segments:
    seed = sha256(mail.message_id.encode()).hexdigest()[:24]
    boundaries = (f"=_{number}_{seed}" for number in range(3))
    return _joined([_head(mail), *_body(mail, seed, boundaries)])


def _joined(segments: Segments) -> Segments:
    joined: Segments = []
    for segment in segments:
        if joined and isinstance(segment, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += segment
        else:
            joined.append(segment)
    return joined


def _head(mail: Mail) -> bytes:
    if not _is_id(mail.message_id):
        raise ValueError("not a message id")
    lines = [
        f"Date: {_date(mail.date)}",
        _address("From", mail.sender),
        _address("To", mail.recipient),
        *([_address("Reply-To", mail.reply_to)] if mail.reply_to else []),
        f"Message-ID: <{mail.message_id}>",
        _unstructured("Subject", mail.subject),
        *(_unstructured(name, value) for name, value in mail.headers),
        "MIME-Version: 1.0\r\n",
    ]
    return "\r\n".join(lines).encode()


def _date(at: datetime) -> str:
    """RFC 5322 section 3.3; the standard library's takes ten times as long."""
    at = at.astimezone(UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year:04d} {at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"


def _address(name: str, mailbox: Mailbox) -> str:
    display, spec = mailbox
    if not _is_spec(spec) or _unsafe(display):
        raise ValueError(f"{name} is not an address")
    if not display:
        return f"{name}: {spec}"
    line = f"{name}: {_phrase(display, _FOLD - len(name) - 2)}"
    fits = len(line) - line.rfind("\n") - 1 + len(spec) + 3 <= _FOLD
    return f"{line} <{spec}>" if fits else f"{line}\r\n <{spec}>"


def _phrase(text: str, room: int) -> str:
    """A display name as RFC 5322 words, a quoted string, or RFC 2047 words."""
    if not text.isascii() or "=?" in text or len(text) > _FOLD:
        return _encoded_words(text, room)
    if _is_phrase(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unstructured(name: str, value: str) -> str:
    if not _is_header_name(name) or _unsafe(value):
        raise ValueError("not a header that can be sent")
    value = value.strip(" \t")
    room = _FOLD - len(name) - 2
    if not value.isascii() or "=?" in value:
        return f"{name}: {_encoded_words(value, room)}"
    if len(value) <= room:
        return f"{name}: {value}"
    words = _words(value)
    if max(map(len, words)) > _LIMIT - len(name) - 2:
        return f"{name}: {_encoded_words(value, room)}"
    return f"{name}: {_folded(words, room)}"


def _folded(words: list[str], room: int) -> str:
    """Words with the blanks before them, broken before blanks: unfolding gives back exactly the same."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) <= (room if len(lines) == 1 else _FOLD):
            lines[-1] += word
        else:
            lines.append(word)
    return "\r\n".join(lines)


def _encoded_words(text: str, room: int) -> str:
    """RFC 2047 in base64; a character is never divided between words."""
    pieces, current = [], b""
    limit = min(_ENCODED_WORD, (room - 12) // 4 * 3)
    for character in text:
        octets = character.encode()
        if len(current) + len(octets) > limit:
            pieces.append(current)
            current, limit = b"", _ENCODED_WORD
        current += octets
    pieces.append(current)
    return "\r\n ".join(f"=?utf-8?B?{b64encode(piece).decode()}?=" for piece in pieces if piece)


def _body(mail: Mail, seed: str, boundaries: Iterator[str]) -> Segments:
    """As much nesting as needed: mixed[alternative[text, related[html, inline...]], attachments...]."""
    inline = [part for part in mail.attachments if part.content_id and mail.html is not None]
    attached = [part for part in mail.attachments if not part.content_id or mail.html is None]
    alternatives: list[Segments] = []
    if mail.text is not None or mail.html is None:
        alternatives.append([_text("plain", mail.text or "", seed)])
    if mail.html is not None:
        shown: list[Segments] = [[_text("html", mail.html, seed)], *(_file(part, "inline") for part in inline)]
        alternatives.append(_multipart('related; type="text/html"', shown, boundaries))
    content = _multipart("alternative", alternatives, boundaries)
    return [
        *_multipart("mixed", [content, *(_file(part, "attachment") for part in attached)], boundaries),
        b"\r\n",
    ]


def _multipart(subtype: str, entities: list[Segments], boundaries: Iterator[str]) -> Segments:
    """Entities under one heading; a single one needs none."""
    if len(entities) == 1:
        return entities[0]
    boundary = next(boundaries)
    delimiter = f"\r\n--{boundary}\r\n".encode()
    heading = f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n'.encode()
    inner = chain.from_iterable([delimiter, *entity] for entity in entities)
    return [heading, *inner, f"\r\n--{boundary}--".encode()]


def _text(subtype: str, text: str, seed: str) -> bytes:
    """A text part with the shortest encoding that is safe on every path."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    body = text.replace("\n", "\r\n").encode()
    encoding, encoded = _transfer_encoded(body, seed.encode())
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + encoded


def _transfer_encoded(body: bytes, seed: bytes) -> tuple[str, bytes]:
    foreign = len(body.translate(None, _seven_bit_octets))
    if not foreign and seed not in body and _survives(body):
        return "7bit", body
    escaped = len(body.translate(None, _plain_octets))
    if escaped * 2 + len(body) // 25 > len(body) // 3:
        return "base64", _base64_lines(body)
    return "quoted-printable", _quoted_printable(body)


def _survives(body: bytes) -> bool:
    """Whether lines are short enough, and none begins as mbox separators do, which relays rewrite."""
    lines = body.split(b"\r\n")
    return len(max(lines, key=len)) <= _LIMIT and b"\r\nFrom " not in body and not body.startswith(b"From ")


def _quoted_printable(body: bytes) -> bytes:
    encoded = b2a_qp(body, istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    encoded = encoded.replace(b"\r\nFrom ", b"\r\n=46rom ")
    return b"=46" + encoded[1:] if encoded.startswith(b"From ") else encoded


def _base64_lines(data: bytes) -> bytes:
    encoded = b64encode(data)
    return b"\r\n".join([encoded[start : start + LINE] for start in range(0, len(encoded), LINE)])


def _file(part: Part, disposition: str) -> Segments:
    if not _is_type(part.content_type):
        raise ValueError("not a content type")
    composite = part.content_type.lower().startswith(("message/", "multipart/"))  # RFC 2046 forbids base64 there
    lines = [
        f"Content-Type: {'application/octet-stream' if composite else part.content_type}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: {disposition}{_filename(part.filename)}",
    ]
    if part.content_id:
        if not _is_id(part.content_id):
            raise ValueError("not a content id")
        lines.append(f"Content-ID: <{part.content_id}>")
    return ["\r\n".join([*lines, "", ""]).encode(), part]


def _filename(name: str) -> str:
    """The file name parameter; beyond ASCII or 60 characters in RFC 2231 pieces, before an ASCII stand-in."""
    if _unsafe(name):
        raise ValueError("not a file name")
    name = name.strip() or "attachment"
    if name.isascii() and len(name) <= 60 and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f';\r\n filename="{escaped}"'
    pieces = _percent_pieces(name)
    numbered = (f";\r\n filename*{number}*={piece}" for number, piece in enumerate(pieces))
    extended = f";\r\n filename*={pieces[0]}" if len(pieces) == 1 else "".join(numbered)
    return f'{extended};\r\n filename="{_stand_in(name)}"'


def _percent_pieces(name: str) -> list[str]:
    pieces = ["utf-8''"]
    for character in name:
        octets = quote(character, safe="!#$&+-.^_`|~")
        if len(pieces[-1]) + len(octets) > 56:
            pieces.append("")
        pieces[-1] += octets
    return pieces


def _stand_in(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._ -]", "", plain).strip().rpartition(".")
    return f"{stem.strip() or 'attachment'}{dot}{suffix}"[-60:] if dot else (suffix[:60] or "attachment")


async def _encoded(part: Part) -> AsyncIterator[bytes]:
    """The base64 lines of an attachment, joined by CRLF, whatever the sizes of the blocks read."""
    rest, seen, separator = b"", 0, b""
    async for block in part.open():
        seen += len(block)
        data = rest + block
        whole = len(data) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            yield separator + _base64_lines(data[start : start + BLOCK])
            separator = b"\r\n"
        rest = data[whole:]
    if seen != part.size:
        raise ValueError(f"an attachment of {part.size} octets has {seen}")
    if rest:
        yield separator + _base64_lines(rest)
