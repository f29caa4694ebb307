"""A mail cut into its parts, whatever its bytes: every size, count and depth is bounded and nothing raises.

The standard library's parser is not used for this: it spends seconds on long address headers and recurses
without end on deep multiparts. Only what a report needs is read; attachments are not decoded.
"""

import base64
import binascii
import email.header
import quopri
import re
from dataclasses import dataclass, field

from messaging.plaintext import from_html

LOOKED_AT = 512 * 1024
"""Octets of a mail that are read at all."""
HEADER_OCTETS = 64 * 1024
HEADER_COUNT = 300
VALUE_LIMIT = 4000
TEXT_LIMIT = 64 * 1024
PART_COUNT = 50
DEPTH = 6

_FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_CHARSET = re.compile(
    r"(us-)?ascii|utf-?8|utf-?16|iso-?8859-?\d{1,2}|latin-?1|(windows|cp|ibm)-?\d{3,4}|koi8-[ru]|euc-?(kr|jp)"
    r"|iso-?2022-(jp|kr)(-\w)?|ks_?c_?5601(-1987)?|gb2312|gbk|gb18030|big5(-hkscs)?|(shift|x)[-_]s?jis|tis-620",
    re.IGNORECASE,
)
_WIDER = {"euc-kr": "cp949", "ks_c_5601-1987": "cp949", "gb2312": "gb18030", "shift_jis": "cp932"}
_GUESSED = re.compile(rb"^--(\S[^\n]{2,80})\n(?=content-[a-z-]{1,40}[ \t]*:)", re.IGNORECASE | re.MULTILINE)
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,40}\?[bqBQ]\?")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the MIME tree, or an attached message whole: its headers (names lower case) and its raw body."""

    kind: str
    headers: "Headers"
    body: bytes
    parameters: dict[str, str] = field(default_factory=dict)

    def decoded(self) -> bytes:
        """The body with its transfer encoding undone, cut after some `TEXT_LIMIT` octets."""
        return _transferred(self.body, self.headers.first("content-transfer-encoding").lower())

    def text(self) -> str:
        """The body as text, at most `TEXT_LIMIT` characters, lines ended by newlines; HTML as plain text."""
        text = decoded(self.decoded(), self.parameters.get("charset", ""))
        return (from_html(text) if self.kind == "text/html" else text).replace("\r\n", "\n").replace("\r", "\n")


class Headers:
    """Header fields by lower-case name, unfolded, each at most `VALUE_LIMIT` characters."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]

    def first(self, name: str) -> str:
        """Its value, or an empty string."""
        return next(iter(self.all(name)), "")

    def words(self, name: str) -> str:
        """Its first value with encoded words (RFC 2047) decoded."""
        return words(self.first(name))


@dataclass(frozen=True, slots=True)
class Mail:
    """`report_type` is the parameter of a multipart/report (RFC 6522), lower case, or an empty string."""

    headers: Headers
    kind: str
    report_type: str
    parts: tuple[Part, ...]


def cut(raw: bytes) -> Mail:
    """The leaves of `raw` in order. Attached messages are leaves too: `cut` them again to look inside."""
    raw = raw[:LOOKED_AT].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    headers, body = read_headers(raw)
    leaves: list[Part] = []
    kind, parameters = _content_type(headers.first("content-type"))
    _collect(Part(kind, headers, body, parameters), DEPTH, leaves)
    return Mail(headers, kind, parameters.get("report-type", "").lower(), tuple(leaves))


def read_headers(raw: bytes) -> tuple[Headers, bytes]:
    """The header block `raw` begins with, and what follows its empty line. What is no header block is body."""
    if raw.startswith(b"\n"):
        return Headers([]), raw[1:]
    head, _, body = raw.partition(b"\n\n")
    fields = fields_of(head[:HEADER_OCTETS])
    return (Headers(fields), body) if fields else (Headers([]), raw)


def fields_of(head: bytes) -> list[tuple[str, str]]:
    """Lines that are no field (mbox marks, garbage) are passed over."""
    blocks: list[list[bytes]] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if blocks:
                blocks[-1].append(line)
        elif len(blocks) < HEADER_COUNT:
            blocks.append([line])
    matches = (_FIELD.fullmatch(b"".join(lines)) for lines in blocks)
    return [(found[1].decode("ascii").lower(), _value(found[2])) for found in matches if found]


def _value(raw: bytes) -> str:
    return " ".join(raw[: VALUE_LIMIT * 2].decode("utf-8", "replace").split())[:VALUE_LIMIT]


def _content_type(value: str) -> tuple[str, dict[str, str]]:
    kind, _, rest = value.partition(";")
    parameters: dict[str, str] = {}
    for found in re.finditer(r'([\w-]{1,40})\s{0,8}=\s{0,8}(?:"([^"]{0,200})"|([^\s;"]{1,200}))', rest):
        parameters.setdefault(found[1].lower(), found[2] or found[3] or "")
    return kind.strip().lower() or "text/plain", parameters


def _collect(part: Part, depth: int, leaves: list[Part]) -> None:
    if len(leaves) >= PART_COUNT:
        return
    pieces = _pieces(part) if part.kind.startswith("multipart/") and depth else []
    if not pieces:
        leaves.append(part)
    for piece in pieces[:PART_COUNT]:
        headers, body = read_headers(piece)
        kind, parameters = _content_type(headers.first("content-type"))
        _collect(Part(kind, headers, body, parameters), depth - 1, leaves)


def _pieces(part: Part) -> list[bytes]:
    """The bodies between the boundary lines; the text before the first only if it is all there is."""
    boundary = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
    if not boundary or b"--" + boundary not in part.body:
        guessed = _GUESSED.search(part.body)
        if guessed is None:
            return []
        boundary = guessed[1].rstrip()
    marks = re.split(rb"^--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?:\n|\Z)", part.body, flags=re.MULTILINE)
    return [piece for piece in marks[1:] if piece.strip()]


def _transferred(body: bytes, encoding: str) -> bytes:
    body = body[: TEXT_LIMIT * 3]
    if encoding.startswith("base64"):
        clean = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        try:
            return base64.b64decode(clean[: len(clean) // 4 * 4] + _tail(clean))
        except binascii.Error:
            return body
    return quopri.decodestring(body) if encoding.startswith("quoted") else body


def _tail(clean: bytes) -> bytes:
    """The last, unfilled group of base64, filled up; one lone character says nothing."""
    rest = clean[len(clean) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def decoded(raw: bytes, charset: str) -> str:
    """Text in `charset` if it is a known one, else UTF-8, else Latin-1."""
    charset = charset.strip().lower()
    names = [_WIDER.get(charset, charset)] if _CHARSET.fullmatch(charset) else []
    for name in (*names, "utf-8"):
        try:
            return raw.decode(name, "strict" if name == "utf-8" else "replace")[:TEXT_LIMIT]
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")[:TEXT_LIMIT]


def words(value: str) -> str:
    """A header's value with its encoded words decoded, those in unknown charsets dropped to question marks."""
    if not _ENCODED_WORD.search(value):
        return value
    try:
        pieces = email.header.decode_header(value[:1000])
    except (ValueError, binascii.Error, email.errors.HeaderParseError):
        return value
    return "".join(text if isinstance(text, str) else decoded(text, charset or "") for text, charset in pieces)
