"""A mail handed in over SMTP, read into the payload POST /v1/messages takes. Every size, count and depth is bounded before the
standard library's parser sees a byte; whatever is wrong ends in `Refused`, never in another exception. Nothing is looked up."""

import base64
import email
import email.message
import mimetypes
import re
from dataclasses import dataclass, field
from email import policy
from email.header import decode_header
from email.utils import getaddresses
from typing import Any
from urllib.parse import quote

from messaging import headers as header_rules
from sendarix.core import addresses, strictjson

HEADER_OCTETS = 256 * 1024
PART_HEADER_OCTETS = 8 * 1024
"""Of one Content-* field; the library's reader of parameters is quadratic."""
ADDRESS_OCTETS = 2_000
NAMED_OCTETS = 32 * 1024
CONTAINERS = 20
PARTS = 200
LINES = 1_000_000
LOOKS = 5_000_000
"""Lines times multiparts: the library keeps each line by itself, and tries each against every boundary."""
DASHED = 20_000
"""Lines of a multipart that may be boundaries."""
FIELD_COUNT = 5_000
"""Header fields of a mail and all its parts: each costs the library some 15 microseconds and 150 octets."""
WORDS_OCTETS = 16 * 1024
"""Of one field with encoded words; the library's reader of them is quadratic."""
HOPS = 30

OWN = "x-sendarix-"
FIELDS = {
    "from": "From",
    "subject": "Subject",
    "reply_to": "Reply-To",
    "template": "X-Sendarix-Template",
    "template_data": "X-Sendarix-Data",
    "metadata": "X-Sendarix-Metadata",
    "tags": "X-Sendarix-Tag",
    "priority": "X-Sendarix-Priority",
    "Idempotency-Key": "X-Idempotency-Key",
}
"""What a field of the payload is called in a mail."""

_CONTAINER = re.compile(rb"content-type[ \t]*:\s{0,80}(?:multipart|message)/")
_CONTENT = re.compile(rb"content-[a-z-]{1,40}[ \t]*:[^\r]*(?:\r\n[ \t][^\r]*)*")
_OURS = re.compile(r"\s*<msg_[0-9a-z]{26}@")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9._@+-]{1,200}")
_CHARSET = re.compile(
    r"(us-)?ascii|utf-?(7|8|16|32)(-?[bl]e)?|iso-?8859-?\d{1,2}|latin-?\d|(windows|cp|ibm)-?\d{3,4}|koi8-[rut]|euc-?(kr|jp)"
    r"|iso-?2022-(jp|kr)(-\w{1,4})?|ks_?c_?5601(-1987)?|johab|gb2312|gbk|gb18030|hz|big5(-hkscs)?|(shift|x)[-_]s?jis|tis-620"
    r"|mac-?\w{1,12}",
    re.IGNORECASE,
)
_WIDER = {"euc-kr": "cp949", "ks_c_5601-1987": "cp949", "gb2312": "gb18030", "shift_jis": "cp932"}
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_TEXT_CONTROLS = re.compile("[\x00\ud800-\udfff]")


class Refused(Exception):
    """Not a mail we take: an enhanced status code (RFC 3463) and one line for people."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(slots=True)
class Submission:
    """`payload` lacks the recipient, which the envelope names; `mailboxes` has To and Cc with display names, by lower-case
    address."""

    payload: dict[str, Any]
    idempotency_key: str | None = None
    mailboxes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Bodies:
    """The leaves of a mail by what becomes of them."""

    texts: list[str] = field(default_factory=list)
    htmls: list[str] = field(default_factory=list)
    files: list[email.message.Message] = field(default_factory=list)


class _Counting(policy.Compat32):
    """Of one mail: gives up at too many header fields."""

    def __init__(self) -> None:
        object.__setattr__(self, "count", 0)

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        object.__setattr__(self, "count", self.count + 1)  # type: ignore[attr-defined]  # a Policy refuses plain assignment
        if self.count > FIELD_COUNT:  # type: ignore[attr-defined]
            raise Refused("5.6.0", f"The mail has more than {FIELD_COUNT:,} header fields.")
        return super().header_source_parse(sourcelines)


def read(raw: bytes) -> Submission:
    """The submission of a whole mail with CRLF line ends. Raises Refused.

    With X-Sendarix-Template the mail's own text and HTML are not used. To and Cc don't go out: each recipient gets a mail of
    its own. A List-Unsubscribe field is replaced by ours, which we can answer for."""
    _look_before(raw)
    try:
        mail = email.message_from_bytes(raw, policy=_Counting())
        fields = _fields(mail)
        _refuse_loops(fields)
        submission = _headers(fields)
        if "template" not in submission.payload:
            _bodies(mail, submission.payload)
        else:
            submission.payload["attachments"] = _files(_sorted(mail), "")
    except (RecursionError, LookupError, ValueError, TypeError) as error:  # the library's, on MIME that nobody foresaw
        raise Refused("5.6.0", f"The mail's MIME structure can't be read ({type(error).__name__}).") from None
    return submission


def unstuffed(chunks: list[bytes]) -> bytes:
    """The mail in what came between CRLF and CRLF . CRLF (RFC 5321 section 4.5.2), both included; empties `chunks`."""
    whole = b"".join(chunks)
    chunks.clear()
    return whole[:-3].replace(b"\r\n.", b"\r\n")[2:]


def _look_before(raw: bytes) -> None:
    if b"\0" in raw:
        raise Refused("5.6.0", "A mail must not hold NUL.")
    if not raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"):
        raise Refused("5.6.0", "Lines end with CR LF; this mail holds a bare CR or LF (RFC 5321 section 2.3.8).")
    if raw.count(b"\n") > LINES:
        raise Refused("5.6.0", f"The mail has more than {LINES:,} lines.")
    head = raw.find(b"\r\n\r\n")
    if (head if head >= 0 else len(raw)) > HEADER_OCTETS:
        raise Refused("5.6.0", f"The mail's header has more than {HEADER_OCTETS:,} octets.")
    containers = _look_at_contents(raw)
    if containers > CONTAINERS or containers * raw.count(b"\n") > LOOKS:
        raise Refused("5.6.0", f"The mail has too many multiparts and attached messages, {containers}.")
    if containers and raw.count(b"\r\n--") > DASHED:
        raise Refused("5.6.0", f"The mail has more than {DASHED:,} lines that may be boundaries.")


def _look_at_contents(raw: bytes) -> int:
    """How many containers the Content- fields announce. Found by plain search: a regular expression over 50 MB would keep every
    other session waiting, because it does not let go of the interpreter."""
    lower, containers, place, seen = raw.lower(), 0, -1, 0
    while (place := lower.find(b"content-", place + 1)) >= 0:
        if place and lower[place - 1] != 10:
            continue
        seen += 1
        if seen > 10 * PARTS:
            raise Refused("5.6.0", f"The mail has more than {PARTS} parts.")
        found = _CONTENT.match(lower, place, place + 2 * PART_HEADER_OCTETS)
        if found and found.end() - place > PART_HEADER_OCTETS:
            raise Refused("5.6.0", f"A Content- header has more than {PART_HEADER_OCTETS:,} octets.")
        containers += _CONTAINER.match(lower, place) is not None
    return containers


def _fields(mail: email.message.Message) -> list[tuple[str, str]]:
    """Names as given, values unfolded; octets that are no ASCII are read as UTF-8, else as Latin-1."""
    return [(name, _unfolded(value)) for name, value in mail.raw_items()]


def _unfolded(value: str) -> str:
    raw = value.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r", "").replace("\n", "").replace("\t", " ").strip(" ")


def _refuse_loops(fields: list[tuple[str, str]]) -> None:
    if sum(name.lower() == "received" for name, _ in fields) > HOPS:
        raise Refused("5.4.6", f"The mail has passed more than {HOPS} hosts: a loop.")
    if any(name.lower() == "message-id" and _OURS.match(value) for name, value in fields):
        raise Refused("5.4.6", "This mail was sent by Sendarix and came back: a loop.")


def _headers(fields: list[tuple[str, str]]) -> Submission:
    payload: dict[str, Any] = {}
    custom: dict[str, str] = {}
    seen: set[str] = set()
    own: list[tuple[str, str]] = []
    keys: set[str] = set()
    for name, value in fields:
        known = name.lower()
        if known.startswith(OWN):
            own.append((known, value))
        elif known in header_rules.IDEMPOTENCY_NAMES:
            keys.add(value)
        elif known == "list-unsubscribe":
            payload["unsubscribe"] = True
        elif not _ours_to_set(known) and known not in seen and value:
            custom[name] = _decoded(value)
        seen.add(known)
    _addresses(fields, payload)
    if custom:
        payload["headers"] = custom
    _own(own, payload)
    if len(keys) > 1:
        raise Refused("5.6.0", "The mail carries two different idempotency keys.")
    return Submission(payload, next(iter(keys), None), _names(fields))


def _ours_to_set(name: str) -> bool:
    return name in header_rules.RESERVED or name.startswith(header_rules.RESERVED_PREFIXES)


def _addresses(fields: list[tuple[str, str]], payload: dict[str, Any]) -> None:
    for target in ("From", "Subject", "Reply-To"):
        values = [value for name, value in fields if name.lower() == target.lower()]
        if len(values) > 1:
            raise Refused("5.6.0", f"The mail has more than one {target} field.")
        if values and values[0]:
            key = target.lower().replace("-", "_")
            payload[key] = _decoded(values[0]) if key == "subject" else _mailbox(target, values[0])


def _mailbox(name: str, value: str) -> str:
    """`Name <user@host>` with the name decoded and quoted; what is no single mailbox is left to the shape's fault."""
    if len(value) > ADDRESS_OCTETS:
        raise Refused("5.6.0", f"{name}: more than {ADDRESS_OCTETS:,} characters.")
    found = getaddresses([value])
    if len(found) != 1 or not found[0][1]:
        return _decoded(value)
    shown, address = _decoded(found[0][0]), found[0][1]
    return _mailbox_text(found[0][0], address) if shown else address


def _mailbox_text(name: str, address: str) -> str:
    escaped = _decoded(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def _decoded(value: str) -> str:
    """Encoded words (RFC 2047) decoded; a damaged one stays as it is."""
    if "=?" not in value or len(value) > WORDS_OCTETS:
        return value
    try:
        pieces = decode_header(value)
    except (ValueError, email.errors.HeaderParseError):
        return value
    text = "".join(part if isinstance(part, str) else _text(part, charset or "") for part, charset in pieces)
    return _CONTROLS.sub(" ", text).strip(" ")


def _text(raw: bytes, charset: str) -> str:
    """`raw` in its charset if that is one for mail, else in UTF-8, else in Latin-1."""
    charset = charset.strip().lower()
    for name in (_WIDER.get(charset, charset) if _CHARSET.fullmatch(charset) else "", "utf-8"):
        try:
            return raw.decode(name, "strict" if name == "utf-8" else "replace") if name else raw.decode()
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


def _own(given: list[tuple[str, str]], payload: dict[str, Any]) -> None:
    known = {name.lower() for name in FIELDS.values() if name.lower().startswith(OWN)}
    for name, value in given:
        if name not in known:
            raise Refused("5.6.0", f"{name}: there is no such header; known are {', '.join(sorted(known))}.")
        value = _decoded(value)
        if name == "x-sendarix-tag":
            payload.setdefault("tags", []).extend(tag.strip() for tag in value.split(",") if tag.strip())
            continue
        key = next(key for key, header in FIELDS.items() if header.lower() == name)
        if key in payload:
            raise Refused("5.6.0", f"{FIELDS[key]} stands twice.")
        payload[key] = _object(FIELDS[key], value) if key in ("template_data", "metadata") else value


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        found = strictjson.loads(value.encode("utf-8", "replace"))
    except strictjson.JsonError as error:
        raise Refused("5.6.0", f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise Refused("5.6.0", f"{name}: expected a JSON object.")
    return found


def _bodies(mail: email.message.Message, payload: dict[str, Any]) -> None:
    """Text, HTML and files of the mail; one without any body gets an empty line, as scanners send their pages."""
    bodies = _sorted(mail)
    html = bodies.htmls[0] if bodies.htmls else None
    texts = [text for text in bodies.texts if text.strip()]
    if html and html.strip():
        payload["html"] = html
        if texts:
            payload["text"] = texts[0]
        rest = [("text/plain", text) for text in texts[1:]] + [("text/html", text) for text in bodies.htmls[1:]]
    else:
        payload["text"] = "\n".join(texts) or "\n"
        rest = []
    files = _files(bodies, html or "")
    for number, (kind, text) in enumerate(rest, len(files) + 1):
        suffix = "html" if kind == "text/html" else "txt"
        files.append(_file(f"part-{number}.{suffix}", kind, text.encode(), None))
    if files:
        payload["attachments"] = files


def _sorted(mail: email.message.Message) -> _Bodies:
    bodies = _Bodies()
    waiting, leaves = [mail], 0
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        if kind in ("multipart/signed", "multipart/encrypted"):
            raise Refused("5.6.1", f"{kind} can't be carried: Sendarix builds each mail anew.")
        if kind.startswith("multipart/") and part.is_multipart():
            waiting.extend(reversed(part.get_payload()))  # type: ignore[arg-type]
            continue
        leaves += 1
        if leaves > PARTS:
            raise Refused("5.6.0", f"The mail has more than {PARTS} parts.")
        attached = part.get_content_disposition() == "attachment" or bool(part.get_filename())
        if kind == "text/plain" and not attached:
            bodies.texts.append(_lines(part))
        elif kind == "text/html" and not attached:
            bodies.htmls.append(_lines(part))
        else:
            bodies.files.append(part)
    return bodies


def _lines(part: email.message.Message) -> str:
    raw = part.get_payload(decode=True)
    charset = part.get_param("charset")
    text = _text(raw if isinstance(raw, bytes) else b"", charset if isinstance(charset, str) else "")
    return _TEXT_CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _files(bodies: _Bodies, html: str) -> list[dict[str, Any]]:
    return [_attachment(part, number, html) for number, part in enumerate(bodies.files, 1)]


def _attachment(part: email.message.Message, number: int, html: str) -> dict[str, Any]:
    kind = part.get_content_type()
    if kind.startswith("message/") or part.is_multipart():
        inner = part.get_payload()
        pieces: list[Any] = inner if isinstance(inner, list) else [part]
        data = b"\r\n".join(each.as_bytes(policy=policy.compat32.clone(linesep="\r\n")) for each in pieces)
    else:
        raw = part.get_payload(decode=True)
        data = raw if isinstance(raw, bytes) else b""
    if not _TYPE.fullmatch(kind):
        kind = "application/octet-stream"
    return _file(_filename(part, number, kind), kind, data, _content_id(part, html))


def _file(filename: str, kind: str, data: bytes, content_id: str | None) -> dict[str, Any]:
    made = {"filename": filename, "content_type": kind, "content": base64.b64encode(data).decode()}
    return made | ({"content_id": content_id} if content_id else {})


def _filename(part: email.message.Message, number: int, kind: str) -> str:
    name = _CONTROLS.sub("", _decoded(_unfolded(_given_name(part))))
    name = name.replace("\\", "/").rpartition("/")[2].strip()[:200]
    suffix = ".eml" if kind == "message/rfc822" else mimetypes.guess_extension(kind) or ".bin"
    return name or f"part-{number}{suffix}"


def _given_name(part: email.message.Message) -> str:
    """Also where it stands there in bare octets of UTF-8, which the library would give as question marks."""
    bare = email.message.Message()
    for name, value in part.raw_items():
        if name.lower() in ("content-disposition", "content-type"):
            bare[name] = _unfolded(value)
    return bare.get_filename() or ""


def _content_id(part: email.message.Message, html: str) -> str | None:
    """The part's Content-ID when the HTML shows the part; other parts have ids too, and are files all the same."""
    found = str(part.get("Content-ID", "")).strip().strip("<>")
    if not found or not any(f"cid:{form}" in html for form in {found, quote(found)}):
        return None
    if not _CONTENT_ID.fullmatch(found):
        raise Refused(
            "5.6.0", "A Content-ID that the HTML refers to holds characters other than A-Z a-z 0-9 . _ @ + -."
        )
    return found


def _names(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Display names in To and Cc by address; a header too long to be read costs its names only."""
    values = [value for name, value in fields if name.lower() in ("to", "cc") and len(value) <= NAMED_OCTETS]
    found = {
        address.lower(): _mailbox_text(name, address) for name, address in getaddresses(values) if name and address
    }
    return {address: mailbox for address, mailbox in found.items() if _readable(mailbox)}


def _readable(mailbox: str) -> bool:
    try:
        addresses.parse(mailbox)
    except addresses.AddressError:
        return False
    return True
