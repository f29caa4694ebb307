"""Signatures as others see them: the vectors of the RFCs, dkimpy and Debian's opendkim say whether they are valid."""

import asyncio
import hashlib
import re
import subprocess
import tracemalloc
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.delivery import dkim, mime
from tests import peers

DOMAIN = "acme.example"
SELECTORS = {"rsa": "r1", "ed25519": "e1"}
MADE = {algorithm: dkim.generate(algorithm) for algorithm in SELECTORS}
KEYS = [dkim.Key.load(DOMAIN, SELECTORS[algorithm], der) for algorithm, (der, _) in MADE.items()]
RECORDS = {f"{SELECTORS[made]}._domainkey.{DOMAIN}": dkim.record(made, p_tag) for made, (_, p_tag) in MADE.items()}

MAIL = mime.Mail(
    message_id="msg_01jabcdefghijklmnopqrstuvw@acme.example",
    date=datetime(2026, 4, 19, 14, 30, tzinfo=UTC),
    sender=("Acme", "no-reply@acme.example"),
    recipient=("", "kim@example.com"),
    subject="Your code is 123456",
    headers=(
        ("List-Unsubscribe", "<https://acme.example/u/1>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ),
    text="Your  code\tis 123456. \n\n",
)
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")) | st.sampled_from("  \t"), max_size=200)
BODIES = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\r") | st.sampled_from(" \t\n"), max_size=500
)
NAMES = st.sampled_from(["References", "In-Reply-To", "List-Id", "List-Unsubscribe", "X-Order", "Feedback-ID"])
OCTETS = st.lists(st.sampled_from([b" ", b"\t", b"\r", b"\n", b"\r\n", b" \r\n", b"a", b"=20"]), max_size=40).map(
    b"".join
)


def signed(mail: mime.Mail = MAIL, keys: list[dkim.Key] = KEYS) -> bytes:
    content = mime.build(mail)
    return dkim.sign_content(content, keys, mail.date) + content


def verdicts(raw: bytes, records: dict[str, str] = RECORDS) -> list[bool]:
    """What dkimpy says of each signature."""

    def found(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    def valid(number: int) -> bool:
        try:
            return dkimpy.DKIM(raw).verify(number, found)
        except dkimpy.ValidationError:
            return False

    count = len(re.findall(rb"^DKIM-Signature:", raw.partition(b"\r\n\r\n")[0], re.MULTILINE))
    return [valid(number) for number in range(count)]


def digest(body: bytes) -> bytes:
    return dkim.body_hash([body]).digest


# RFC 8463 appendix A: one message, two published keys.

FOOTBALL = "football.example.com"
VECTOR = (
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
)
VECTOR_HASH = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
VECTOR_NAMES = [b"from", b"to", b"subject", b"date", b"message-id", b"from", b"subject", b"date"]
VECTOR_ED25519 = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    b" subject : date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=\r\n"
)
VECTOR_RSA = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    b" date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=\r\n"
)
SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
RSA_DER = (
    "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ"
    "/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQABAoGAH0cx"
    "OhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQ"
    "pbRqE7Tm5SxKjvvQoZZezHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy6enGVj2kWF732CoW"
    "FZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8GcuSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/O"
    "PN0oWCbXIGxyWvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxdWFV6Z7ULnKyV7HSVYF0hgYOH"
    "jeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1alicIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKf"
    "Icsto7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOeuEzxBDAr518Z8VFbR41in3W4Y3yCDgQl"
    "LlcETrS+zYcL"
)
ED25519_SIGNATURE = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
RSA_SIGNATURE = (
    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGd"
    "aSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="
)


def vector_key(algorithm: str) -> dkim.Key:
    if algorithm == "ed25519":
        return dkim.Key(FOOTBALL, "brisbane", Ed25519PrivateKey.from_private_bytes(b64decode(SEED)))
    return dkim.Key.load(FOOTBALL, "test", b64decode(RSA_DER))


def test_the_body_hash_of_rfc_8463():
    assert b64encode(digest(VECTOR.partition(b"\r\n\r\n")[2])).decode() == VECTOR_HASH


@pytest.mark.parametrize(
    ("algorithm", "field", "expected"),
    [("ed25519", VECTOR_ED25519, ED25519_SIGNATURE), ("rsa", VECTOR_RSA, RSA_SIGNATURE)],
)
def test_the_signatures_of_rfc_8463(algorithm, field, expected):
    block = dkim.hashed_fields(dkim.canonical_fields(VECTOR.partition(b"\r\n\r\n")[0]), VECTOR_NAMES)
    [own] = dkim.canonical_fields(field)[b"dkim-signature"]
    signature = vector_key(algorithm).signature(block + own.removesuffix(b"\r\n"))
    assert b64encode(signature).decode() == expected


def test_our_fields_over_the_mail_of_rfc_8463_are_valid_with_its_records():
    keys = [vector_key("ed25519"), vector_key("rsa")]
    raw = dkim.sign_content(VECTOR, keys, MAIL.date) + VECTOR
    public = keys[1].private.public_key()
    records = {
        f"brisbane._domainkey.{FOOTBALL}": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        f"test._domainkey.{FOOTBALL}": dkim.record("rsa", dkim.published(public)),
    }
    assert verdicts(raw, records) == [True, True]


# RFC 6376 section 3.4: canonical forms.


def test_the_relaxed_example_of_rfc_6376():
    head, _, body = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n".partition(b"\r\n\r\n")
    assert dkim.canonical_fields(head) == {b"a": [b"a:X\r\n"], b"b": [b"b:Y Z\r\n"]}
    assert digest(body) == hashlib.sha256(b" C\r\nD E\r\n").digest()


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n" * 9, b" \t\r\n\r\n \r\n", b" ", b"\t\t"])
def test_a_body_of_nothing_but_blanks_and_line_ends_is_empty(body):
    assert b64encode(digest(body)) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b"a", b"a\r\n"),
        (b"a \t", b"a\r\n"),
        (b"\r\n\r\na\r\n\r\n", b"\r\n\r\na\r\n"),
        (b"a \r\n \r\n\t", b"a\r\n"),
        (b"a \r b\r\r\n", b"a \r b\r\r\n"),
        (b"a \n\r\n", b"a \n\r\n"),
        (b"a\r", b"a\r\r\n"),
    ],
)
def test_a_line_ends_with_crlf_only(body, canonical):
    assert digest(body) == hashlib.sha256(canonical).digest()


@given(OCTETS)
def test_a_body_hashes_as_dkimpy_canonicalises_it(body):
    body += b"\r\n"
    assert digest(body) == hashlib.sha256(Relaxed.canonicalize_body(body)).digest()


@given(st.lists(OCTETS))
def test_a_body_cut_anywhere_hashes_as_the_whole(pieces):
    assert dkim.body_hash(pieces).digest == digest(b"".join(pieces))


@pytest.mark.parametrize(
    ("run", "canonical"), [(b" ", b" "), (b"\t", b" "), (b"\r\n", b"\r\n" * 1_000_000), (b" \r", b" \r" * 1_000_000)]
)
def test_a_run_of_a_million_is_no_trouble(run, canonical):
    assert digest(b"a" + run * 1_000_000 + b"b") == hashlib.sha256(b"a" + canonical + b"b\r\n").digest()


# Any mail of ours.


@given(
    subject=TEXTS,
    name=TEXTS,
    sender=st.sampled_from(["no-reply@acme.example", "문의@acme.example", "a@예시.한국"]),
    headers=st.lists(st.tuples(NAMES, TEXTS), max_size=4).map(tuple),
    text=st.none() | BODIES,
    html=st.none() | BODIES,
)
@settings(deadline=None, max_examples=100)
def test_dkimpy_finds_both_signatures_of_any_mail_valid(subject, name, sender, headers, text, html):
    mail = replace(MAIL, subject=subject, sender=(name, sender), headers=headers, text=text, html=html)
    assert verdicts(signed(mail)) == [True, True]


def test_the_same_mail_signs_to_the_same_bytes():
    assert signed() == signed()


def test_signature_fields_are_short_ascii_lines_before_the_mail():
    content = mime.build(MAIL)
    fields = dkim.sign_content(content, KEYS, MAIL.date)
    lines = fields.split(b"\r\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 78
    assert [line[:15] for line in lines if not line.startswith(b" ")] == [b"DKIM-Signature:"] * 2
    assert re.fullmatch(rb"[\x20-\x7e\r\n]+", fields)
    assert b"; t=1776609000;" in fields.replace(b"\r\n", b"")
    assert b" l=" not in fields


def test_a_long_domain_and_selector_are_folded():
    long = replace(KEYS[0], domain=f"{'a' * 63}.{'b' * 63}.{'c' * 63}.example", selector="s" * 63)
    raw = signed(MAIL, [long])
    assert verdicts(raw, {f"{long.selector}._domainkey.{long.domain}": RECORDS[f"r1._domainkey.{DOMAIN}"]}) == [True]


def test_without_keys_nothing_is_added():
    assert dkim.sign_content(mime.build(MAIL), [], MAIL.date) == b""


# What a signature protects.


def swapped(old: bytes, new: bytes) -> bytes:
    raw = signed()
    assert raw.count(old) == 1
    return raw.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"123456.", b"654321."),
        (b"Subject: Your code is 123456", b"Subject: Your code is 000000"),
        (b"kim@example.com", b"lee@example.com"),
        (b"acme.example/u/1>", b"evil.example/u/1>"),
        (b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click", b""),
    ],
)
def test_a_changed_mail_is_not_valid(old, new):
    assert verdicts(swapped(old, new)) == [False, False]


@pytest.mark.parametrize(
    "field",
    [
        *(
            b"From: Eve <eve@evil.example>",
            b"To: eve@evil.example",
            b"Cc: eve@evil.example",
            b"Reply-To: eve@evil.example",
            b"Sender: eve@evil.example",
        ),
        *(b"Subject: You have won", b"Date: Sun, 19 Apr 2026 14:30:01 +0000", b"Message-ID: <2@evil.example>"),
        *(b"List-Unsubscribe: <https://evil.example>", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        *(b"Content-Type: text/html", b"Content-Transfer-Encoding: base64", b"MIME-Version: 1.0"),
    ],
)
@pytest.mark.parametrize("before", [b"DKIM-Signature: ", b"Message-ID: ", b"\r\nYour  code"])
def test_a_field_added_anywhere_is_not_valid(field, before):
    raw = signed()
    place = raw.index(before)
    assert verdicts(raw[:place] + field + b"\r\n" + raw[place:]) == [False, False]


def test_a_changed_signature_field_is_not_valid():
    assert verdicts(signed().replace(b" t=1776609000;", b" t=1776609001;")) == [False, False]


def test_no_unsubscribe_link_can_be_added_to_a_mail_without_one():
    raw = signed(replace(MAIL, headers=()))
    assert verdicts(raw) == [True, True]
    assert verdicts(b"List-Unsubscribe: <https://evil.example>\r\n" + raw) == [False, False]


def test_a_feedback_id_of_ours_is_signed_and_a_relay_may_add_its_own():
    ours = signed(replace(MAIL, headers=(("Feedback-ID", "1:acme"),)))
    assert verdicts(ours.replace(b"1:acme", b"2:evil")) == [False, False]
    assert verdicts(b"Feedback-ID: 7:relay\r\n" + signed()) == [True, True]


def test_what_servers_do_on_the_way_leaves_it_valid():
    raw = swapped(b"Subject: Your code is", b"subject:\tYour  code\r\n  is").replace(
        b"\r\nTo: ", b"\r\nX-Spam: no\r\nTo: "
    )
    received = b"Return-Path: <b-1@acme.example>\r\nReceived: from a by b; Sun, 19 Apr 2026 14:30:02 +0000\r\n"
    assert verdicts(received + raw + b"\r\n \r\n") == [True, True]


# Streamed mail.


def attached(size: int) -> mime.Mail:
    async def blocks():
        for _ in range(size // 10_000):
            yield bytes(range(250)) * 40

    return replace(MAIL, attachments=(mime.Part("terms.pdf", "application/pdf", None, size, blocks),))


def test_a_streamed_mail_is_signed_as_if_it_were_whole():
    async def signature(mail: mime.Mail) -> tuple[bytes, bytes]:
        head, body = await dkim.hash_stream(mime.stream(mail))
        return dkim.sign(head, body, KEYS, mail.date), b"".join([piece async for piece in mime.stream(mail)])

    fields, content = asyncio.run(signature(attached(200_000)))
    assert fields == dkim.sign_content(content, KEYS, MAIL.date)
    assert verdicts(fields + content) == [True, True]


@given(st.integers(1, 40))
def test_a_stream_may_be_cut_in_the_middle_of_the_empty_line(size):
    content = mime.build(MAIL)

    async def pieces():
        for start in range(0, len(content), size):
            yield content[start : start + size]

    head, body = asyncio.run(dkim.hash_stream(pieces()))
    assert dkim.sign(head, body, KEYS, MAIL.date) == dkim.sign_content(content, KEYS, MAIL.date)


def test_hashing_a_large_mail_holds_little_of_it():
    tracemalloc.start()
    try:
        asyncio.run(dkim.hash_stream(mime.stream(attached(20_000_000))))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("line", [b"<td>  x  </td>\r\n", b"\r\n"])
def test_hashing_a_large_body_does_not_copy_it(line):
    content = mime.build(MAIL) + line * 1_000_000 + b"end"
    tracemalloc.start()
    try:
        dkim.sign_content(content, KEYS, MAIL.date)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# Keys.


@pytest.mark.parametrize(("algorithm", "size"), [("rsa", 294), ("ed25519", 32)])
def test_a_generated_key_has_its_public_half_in_the_record(algorithm, size):
    der, p_tag = dkim.generate(algorithm)
    public = load_der_private_key(der, None).public_key()
    assert dkim.published(public) == p_tag
    assert len(b64decode(p_tag)) == size
    assert dkim.record(algorithm, p_tag) == f"v=DKIM1; k={algorithm}; p={p_tag}"


def test_only_rsa_and_ed25519_are_made():
    with pytest.raises(ValueError, match="rsa or ed25519"):
        dkim.generate("dsa")


def test_a_key_that_can_not_sign_dkim_is_refused():
    der = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="neither"):
        dkim.Key.load(DOMAIN, "s", der)


@pytest.mark.parametrize(
    ("domain", "selector"),
    [
        ("예시.한국", "s"),
        ("Acme.example", "s"),
        ("acme.example;x", "s"),
        ("a..b", "s"),
        (DOMAIN, ""),
        (DOMAIN, "s; l=0"),
        (DOMAIN, "s\r\n"),
    ],
)
def test_a_name_that_is_none_is_refused(domain, selector):
    with pytest.raises(ValueError, match="not a "):
        dkim.Key(domain, selector, KEYS[1].private)


def test_an_international_domain_signs_by_its_a_labels():
    key = replace(KEYS[1], domain="xn--vv4b23g.xn--3e0b707e")
    assert b" d=xn--vv4b23g.xn--3e0b707e;" in signed(MAIL, [key])


def test_a_mail_without_from_or_a_time_without_zone_is_not_signed():
    with pytest.raises(ValueError, match="From"):
        dkim.sign(b"To: kim@example.com\r\n", b"", KEYS, MAIL.date)
    with pytest.raises(ValueError, match="zone"):
        dkim.sign(b"From: kim@example.com\r\n", b"", KEYS, datetime(2026, 4, 19))


# Debian's verifier.


@pytest.fixture
def opendkim(tmp_path):
    """Asks `opendkim -t` about a mail, the keys read from a file instead of the DNS: its verdicts by algorithm."""
    program = peers.program("opendkim")
    records = tmp_path / "records"
    records.write_text("".join(f"{name} {value}\n" for name, value in RECORDS.items()))
    configuration = tmp_path / "opendkim.conf"
    configuration.write_text(f"Mode v\nSyslog no\nTestPublicKeys {records}\n")

    def ask(raw: bytes) -> dict[str, str]:
        mail = tmp_path / "mail"
        mail.write_bytes(raw)
        argv = [program, "-x", str(configuration), "-vvv", "-t", str(mail)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
        found = re.findall(r"dkim=(\w+).*? header\.a=([\w-]+)", done.stdout)
        return {algorithm: verdict for verdict, algorithm in found}

    return ask


@pytest.mark.parametrize(
    "mail", [MAIL, replace(MAIL, sender=("문의", "문의@acme.example"), html="<p>  안녕  </p>\n\n")]
)
def test_opendkim_finds_the_signature_valid(opendkim, mail):
    assert opendkim(signed(mail, KEYS[:1])) == {"rsa-sha256": "pass"}
    assert opendkim(signed(mail))["rsa-sha256"] == "pass"


@pytest.mark.parametrize("old_and_new", [(b"123456.", b"654321."), (b"\r\nTo: ", b"\r\nSubject: You have won\r\nTo: ")])
def test_opendkim_finds_a_changed_mail_not_valid(opendkim, old_and_new):
    assert opendkim(signed(MAIL, KEYS[:1]).replace(*old_and_new)) == {"rsa-sha256": "fail"}
