"""Milliseconds of a DKIM signature of ours and of dkimpy's on the same 5 KB mail with the same keys, and of the arithmetic alone.
What is timed has been found valid by dkimpy."""

import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from statistics import median

import dkim as dkimpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench import seeding
from bench.report import Part
from bench.stage import Stage
from messaging.delivery import dkim, mime

COUNT = 100
DOMAIN = "acme.example"
NAMES = {"rsa": "RSA-2048", "ed25519": "Ed25519"}
MAIL = mime.Mail(
    message_id="msg_01jabcdefghijklmnopqrstuvw@acme.example",
    date=datetime(2026, 4, 19, 14, 30, tzinfo=UTC),
    sender=("Acme", "no-reply@acme.example"),
    recipient=("", "reader@example.test"),
    subject="Your order 4711",
    headers=(
        ("List-Unsubscribe", "<https://acme.example/u/1>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ),
    text=seeding.TEXT,
    html=seeding.HTML,
)


def measure(stage: Stage, rounds: int, scale: float) -> Part:
    """One thread. Within a round the sides take turns signature by signature, so that a busy machine disturbs all alike."""
    content = mime.build(MAIL)
    part = Part("dkim", f"ms per relaxed/relaxed signature of a mail of {len(content):,} octets")
    sides = _sides(content)
    for _ in range(rounds):
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(max(20, round(COUNT * scale))):
            for side, sign in sides.items():
                times[side].append(_milliseconds(sign))
        for side, values in times.items():
            part.add(side, {"ms": median(values)})
    for name in (*NAMES.values(), "both"):
        part.ratio(f"sendarix {name}", f"dkimpy {name}", "ms")
    for name in NAMES.values():
        part.ratio(f"sendarix {name}", f"{name} alone", "ms")
    part.notes = ["both: the two signatures of one mail. alone: cryptography signs 700 octets, nothing else."]
    return part


def _sides(content: bytes) -> dict[str, Callable[[], object]]:
    made = {algorithm: dkim.generate(algorithm) for algorithm in NAMES}
    keys = {algorithm: dkim.Key.load(DOMAIN, algorithm, der) for algorithm, (der, _) in made.items()}
    records = {name: dkim.record(name, p_tag).encode() for name, (_, p_tag) in made.items()}
    sides: dict[str, Callable[[], object]] = {}
    for algorithm, name in NAMES.items():
        key = keys[algorithm]
        theirs = _theirs(content, key)
        _verify(dkim.sign_content(content, [key], MAIL.date) + content, records[algorithm])
        _verify(theirs() + content, records[algorithm])
        sides[f"sendarix {name}"] = partial(dkim.sign_content, content, [key], MAIL.date)
        sides[f"dkimpy {name}"] = theirs
        sides[f"{name} alone"] = partial(key.signature, content[:700])
    first, second = (sides[f"dkimpy {name}"] for name in NAMES.values())
    sides["sendarix both"] = partial(dkim.sign_content, content, list(keys.values()), MAIL.date)
    sides["dkimpy both"] = lambda: (first(), second())
    return sides


def _theirs(content: bytes, key: dkim.Key) -> Callable[[], bytes]:
    """dkimpy takes an RSA key as PEM and an Ed25519 one as its seed in base64."""
    if isinstance(key.private, Ed25519PrivateKey):
        secret = b64encode(key.private.private_bytes_raw())
    else:
        secret = key.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    forms, algorithm = (b"relaxed", b"relaxed"), f"{key.algorithm}-sha256".encode()

    def sign() -> bytes:
        return dkimpy.DKIM(content, signature_algorithm=algorithm).sign(
            key.selector.encode(), DOMAIN.encode(), secret, canonicalize=forms
        )

    return sign


def _verify(raw: bytes, record: bytes) -> None:
    if not dkimpy.DKIM(raw).verify(dnsfunc=lambda name, timeout: record):
        raise RuntimeError("a signature that is not valid is not worth timing")


def _milliseconds(sign: Callable[[], object]) -> float:
    begun = time.perf_counter()
    sign()
    return (time.perf_counter() - begun) * 1000
