"""Signing outgoing mail (DKIM: RFC 6376, 8301, 8463, 8616), relaxed/relaxed with SHA-256. Pure: keys come in as values, records
go out as text; it reads no DNS, no clock and no settings, so the same message signs to the same bytes on every attempt."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

OVERSIGNED = (
    *("from", "sender", "to", "cc", "subject", "date", "message-id", "reply-to"),
    *("mime-version", "content-type", "content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post"),
)
"""Covered once more than they occur, present or not, so that nobody can add one (RFC 6376 section 8.15). Not Feedback-ID, which
relays add for their own statistics: one that we set is signed, and an added one that nobody signed counts nowhere."""

COVERED = (
    *OVERSIGNED,
    *("in-reply-to", "references", "content-id", "content-disposition", "auto-submitted"),
    *("list-id", "list-help", "list-post", "list-owner", "list-archive", "feedback-id"),
)
"""Every field of these names is signed; others (X-..., Received, Return-Path) may change on the way."""

_FOLD = 78  # RFC 5322 section 2.1.1
_SLICE = 64 * 1024  # octets of a body looked at together: what a copy costs at most
_SMALLEST = 1024  # bits of RSA, RFC 8301 section 3.2
_PADDING, _SHA256 = PKCS1v15(), SHA256()

_is_domain = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
).fullmatch
_is_selector = re.compile(
    r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.I
).fullmatch


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and where its public half is published: TXT at `selector._domainkey.domain`. `domain` is lower case in
    A-labels (RFC 8616). Raises ValueError for a name or key that can't sign. Keep the object: loading costs more than signing."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not _is_domain(self.domain):
            raise ValueError("not a domain in lower case and A-labels")
        if not _is_selector(self.selector):
            raise ValueError("not a selector")
        if isinstance(self.private, RSAPrivateKey) and self.private.key_size < _SMALLEST:
            raise ValueError(f"an RSA key of fewer than {_SMALLEST} bits")

    @classmethod
    def load(cls, domain: str, selector: str, der: bytes) -> "Key":
        """From PKCS #8 as `generate` made it. The arithmetic consistency of the key is taken on trust (checking it takes 40 ms):
        `der` must come from where it can't have been altered."""
        private = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
            raise ValueError("neither an RSA nor an Ed25519 key")
        return cls(domain, selector, private)

    @property
    def algorithm(self) -> str:
        """The k= tag: `rsa` or `ed25519`."""
        return "rsa" if isinstance(self.private, RSAPrivateKey) else "ed25519"

    def signature(self, data: bytes) -> bytes:
        """Of the SHA-256 of `data`: PKCS #1 1.5 (RFC 6376 section 3.3.2), or PureEdDSA over the digest (RFC 8463 section 3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(data, _PADDING, _SHA256)
        return self.private.sign(sha256(data).digest())


def generate(algorithm: str) -> tuple[bytes, str]:
    """A new private key as PKCS #8 DER, to be kept secret, and the p= tag of its record. `rsa` (2048 bits) or `ed25519`."""
    if algorithm not in ("rsa", "ed25519"):
        raise ValueError("algorithm is rsa or ed25519")
    private = generate_private_key(65537, 2048) if algorithm == "rsa" else Ed25519PrivateKey.generate()
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return der, published(private.public_key())


def published(public: RSAPublicKey | Ed25519PublicKey) -> str:
    """The p= tag of a public key: SubjectPublicKeyInfo of RSA, the 32 octets themselves of Ed25519 (RFC 8463 section 4)."""
    if isinstance(public, RSAPublicKey):
        return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return b64encode(public.public_bytes_raw()).decode()


def record(algorithm: str, p_tag: str) -> str:
    """The value of the TXT record. An RSA one is longer than 255 octets: a zone holds it as several strings."""
    return f"v=DKIM1; k={algorithm}; p={p_tag}"


@dataclass(frozen=True, slots=True)
class BodyHash:
    """SHA-256 of a body in relaxed form, 32 octets."""

    digest: bytes


class BodyHashing:
    """Relaxed form (RFC 6376 section 3.4.4) and hash of a body that comes in pieces cut anywhere. Time is linear; held between
    pieces are two octets at most, and a count of line ends that may turn out to be the last."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._held = b""  # a blank, CR, or both, which what follows decides about
        self._ends = 0
        self._empty = True

    def feed(self, piece: bytes) -> None:
        for start in range(0, len(piece), _SLICE):
            self._take(piece[start : start + _SLICE])

    def finish(self) -> BodyHash:
        """The end of the body. A last line without CRLF is hashed as if it had one, for that is how it is sent."""
        if self._held:
            self._take(b"\r\n")
        if not self._empty:
            self._hash.update(b"\r\n")
        return BodyHash(self._hash.digest())

    def _take(self, piece: bytes) -> None:
        piece = _single_blanks(self._held + piece)
        decided = len(piece) - piece.endswith(b"\r")
        decided -= piece.endswith(b" ", 0, decided)
        self._held = piece[decided:]
        lines = piece[:decided]
        if b" \r\n" in lines:  # finding out takes a twentieth of replacing nothing
            lines = lines.replace(b" \r\n", b"\r\n")
        ends = _line_ends(lines)
        if len(lines) > 2 * ends:
            self._put(lines[: -2 * ends] if ends else lines)
        self._ends += ends

    def _put(self, text: bytes) -> None:
        while self._ends:
            count = min(self._ends, _SLICE)
            self._hash.update(b"\r\n" * count)
            self._ends -= count
        self._hash.update(text)
        self._empty = False


def body_hash(pieces: Iterable[bytes]) -> BodyHash:
    """Of the whole body in pieces of any size."""
    hashing = BodyHashing()
    for piece in pieces:
        hashing.feed(piece)
    return hashing.finish()


async def hash_stream(content: AsyncIterator[bytes]) -> tuple[bytes, BodyHash]:
    """One pass over the content of a mail: its head, ready for `sign`, and the hash of its body. Holds one piece at a time."""
    head, hashing, in_body = bytearray(), BodyHashing(), False
    async for piece in content:
        if in_body:
            hashing.feed(piece)
            continue
        seen = len(head)
        head += piece
        end = head.find(b"\r\n\r\n", max(0, seen - 3))
        if in_body := end >= 0:
            hashing.feed(bytes(head[end + 4 :]))
            del head[end + 2 :]
    return bytes(head), hashing.finish()


def sign_content(content: bytes, keys: Sequence[Key], at: datetime) -> bytes:
    """`sign` for a mail that is there as a whole; its body is not copied."""
    end = content.find(b"\r\n\r\n")
    if end < 0:
        return sign(content, b"", keys, at)
    return sign(content[: end + 2], body_hash(_slices(content, end + 4)), keys, at)


def sign(head: bytes, body: bytes | BodyHash, keys: Sequence[Key], at: datetime) -> bytes:
    """One DKIM-Signature field per key, in their order, each ended by CRLF, to be sent before `head`: the header fields with CRLF
    line ends, without the empty line. `at` is aware and becomes t= in whole seconds. Raises ValueError without From or zone."""
    if at.tzinfo is None:
        raise ValueError("a time without zone")
    found = body if isinstance(body, BodyHash) else body_hash([body])
    fields = canonical_fields(head)
    if b"from" not in fields:
        raise ValueError("a mail without From can't be signed")
    names = _names(fields)
    block = hashed_fields(fields, names)
    closing = b"t=%d; bh=%b;\r\n b=" % (int(at.timestamp()), b64encode(found.digest))
    return b"".join(
        _field(key, _opening(key.domain, key.selector, key.algorithm, names) + closing, block) for key in keys
    )


def canonical_fields(head: bytes) -> dict[bytes, list[bytes]]:
    """Header fields in relaxed form (RFC 6376 section 3.4.2) with their CRLF, by lower-case name, in their order."""
    fields: dict[bytes, list[bytes]] = {}
    for line in _single_blanks(head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            name = name.rstrip(b" ").lower()
            fields.setdefault(name, []).append(b"%b:%b\r\n" % (name, value.strip(b" ")))
    return fields


def hashed_fields(fields: dict[bytes, list[bytes]], names: Sequence[bytes]) -> bytes:
    """What is hashed for these names (RFC 6376 section 5.4.2): of several fields of a name the lowest first, then nothing."""
    used: dict[bytes, int] = {}
    block = []
    for name in names:
        number = used[name] = used.get(name, 0) + 1
        same = fields.get(name, ())
        if number <= len(same):
            block.append(same[-number])
    return b"".join(block)


def _names(fields: dict[bytes, list[bytes]]) -> tuple[bytes, ...]:
    names: list[bytes] = []
    for name, extra in _PLAN:
        if count := len(fields.get(name, ())) + extra:
            names += [name] * count
    return tuple(names)


_PLAN = [(name.encode(), int(name in OVERSIGNED)) for name in COVERED]


@lru_cache(maxsize=1024)
def _opening(domain: str, selector: str, algorithm: str, names: tuple[bytes, ...]) -> bytes:
    """The field up to t=, which letters of a kind share. Folded before blanks, so that unfolding is taking out CRLF."""
    first, *between, last = (name.decode() for name in names)
    tags = (f" a={algorithm}-sha256;", " c=relaxed/relaxed;", f" d={domain};", f" s={selector};", f" h={first}:")
    lines = ["DKIM-Signature: v=1;"]
    for text in (*tags, *(f"{name}:" for name in between), f"{last};"):
        if len(lines[-1]) + len(text) > _FOLD:
            lines.append("" if text.startswith(" ") else " ")
        lines[-1] += text
    return "\r\n".join([*lines, " "]).encode()


def _field(key: Key, unsigned: bytes, block: bytes) -> bytes:
    """The whole field. What is hashed of it has an empty b= and no CRLF (RFC 6376 section 3.7)."""
    value = unsigned[len(b"DKIM-Signature: ") :].replace(b"\r\n", b"")
    encoded = b64encode(key.signature(b"%bdkim-signature:%b" % (block, value)))
    first, rest = encoded[: _FOLD - 3], encoded[_FOLD - 3 :]
    lines = [first, *(rest[start : start + _FOLD - 1] for start in range(0, len(rest), _FOLD - 1))]
    return unsigned + b"\r\n ".join(lines) + b"\r\n"


def _slices(content: bytes, start: int) -> Iterator[bytes]:
    return (content[at : at + _SLICE] for at in range(start, len(content), _SLICE))


def _single_blanks(data: bytes) -> bytes:
    """Each run of blanks as one space. Each pass halves the runs: linear time, unlike a pattern that begins anew in every run."""
    data = data.replace(b"\t", b" ")
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data


def _line_ends(data: bytes) -> int:
    """How many CRLF it ends with."""
    tail = data[len(data.rstrip(b"\r\n")) :].replace(b"\r\n", b" ")
    return len(tail) - len(tail.rstrip(b" "))
