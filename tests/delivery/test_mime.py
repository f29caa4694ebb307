"""The bytes of outgoing mail, read back by Python's own parser."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.delivery.mime import BLOCK, Mail, Part, build, encoded_size, flags, size, stream

PLAIN = Mail(
    message_id="msg_01jabcdefghijklmnopqrstuvw@acme.example",
    date=datetime(2026, 4, 19, 14, 30, tzinfo=UTC),
    sender=("Acme", "no-reply@acme.example"),
    recipient=("", "kim@example.com"),
    subject="Your code is 123456",
    text="Your code is 123456.\n",
)
LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300)
BODIES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r") | st.just("\n"), max_size=2_000)
RELAXED = settings(deadline=None, max_examples=150)


def part(data: bytes, filename: str = "a.pdf", content_id: str | None = None, block: int = 1_000) -> Part:
    async def blocks():
        for start in range(0, len(data), block):
            yield data[start : start + block]

    kind = "image/png" if content_id else "application/pdf"
    return Part(filename, kind, content_id, len(data), blocks)


def written(mail: Mail) -> bytes:
    async def collected() -> bytes:
        return b"".join([piece async for piece in stream(mail)])

    raw = asyncio.run(collected()) if mail.attachments else build(mail)
    assert len(raw) == size(mail)
    assert raw.endswith(b"\r\n")
    assert b"\x00" not in raw
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii() or flags(mail)[0]
    return raw


def read(mail: Mail) -> EmailMessage:
    return message_from_bytes(written(mail), policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,)).get_content()
    return found.replace("\r\n", "\n").removesuffix("\n")


def test_a_short_ascii_mail_is_exactly_this():
    assert build(PLAIN).decode() == (
        "Date: Sun, 19 Apr 2026 14:30:00 +0000\r\n"
        "From: Acme <no-reply@acme.example>\r\n"
        "To: kim@example.com\r\n"
        "Message-ID: <msg_01jabcdefghijklmnopqrstuvw@acme.example>\r\n"
        "Subject: Your code is 123456\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Your code is 123456.\r\n"
        "\r\n"
    )


def test_the_same_mail_makes_the_same_bytes():
    mail = replace(PLAIN, html="<p>안녕</p>", attachments=(part(b"x" * 999),))
    assert written(mail) == written(mail)


@RELAXED
@given(LINES)
def test_any_subject_is_read_back(subject):
    assert read(replace(PLAIN, subject=subject))["subject"] == subject.strip(" \t")


@RELAXED
@given(LINES.map(lambda text: " ".join(text.split())))
def test_any_display_name_is_read_back(name):
    found = read(replace(PLAIN, sender=(name, "a@acme.example"), reply_to=(name, "b@acme.example")))
    phrase, _ = parseaddr(dict(found.raw_items())["From"].replace("\r\n", ""))
    assert str(make_header(decode_header(phrase))) == name
    assert found["reply-to"].addresses[0].addr_spec == "b@acme.example"


@RELAXED
@given(BODIES, BODIES)
def test_any_bodies_are_read_back(text, html):
    found = read(replace(PLAIN, text=text, html=html))
    assert found.get_content_type() == "multipart/alternative"
    assert body(found, "plain") == text.removesuffix("\n")
    assert body(found, "html") == html.removesuffix("\n")


@RELAXED
@given(LINES.filter(lambda name: name.strip()), st.binary(max_size=300))
def test_any_file_name_and_its_bytes_are_read_back(name, data):
    (found,) = read(replace(PLAIN, attachments=(part(data, name),))).iter_attachments()
    assert found.get_filename() == name.strip()
    assert found.get_content() == data


@RELAXED
@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1, max_size=3_000))
def test_any_ascii_header_value_is_read_back(value):
    assert read(replace(PLAIN, headers=(("X-Order", value),)))["x-order"] == value.strip(" ")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "7bit"),
        ("From here on", "quoted-printable"),
        ("a\nFrom here on", "quoted-printable"),
        ("x" * 1_000, "quoted-printable"),
        ("bell \x07", "quoted-printable"),
        ("Ein schöner Tag für uns alle, und für alle anderen auch.", "quoted-printable"),
        ("주문이 완료되었습니다.", "base64"),
        ("nul \x00 here", "quoted-printable"),
    ],
)
def test_the_shortest_safe_encoding_is_chosen(text, encoding):
    found = read(replace(PLAIN, text=text))
    assert found["content-transfer-encoding"] == encoding
    assert body(found, "plain") == text


def test_line_ends_of_every_kind_become_crlf():
    assert b"a\r\nb\r\nc\r\nd" in written(replace(PLAIN, text="a\r\nb\rc\nd"))


def test_headers_are_folded_at_78():
    words = " ".join(["word"] * 60)
    mail = replace(PLAIN, subject=words, recipient=("김민수 " * 20, "kim@example.com"), headers=(("X-A", words),))
    head = written(mail).partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78


def test_a_name_that_looks_encoded_is_not_decoded_into_another():
    found = read(replace(PLAIN, subject="=?utf-8?B?aGk=?=", sender=("=?utf-8?Q?Bank?=", "a@acme.example")))
    assert found["subject"] == "=?utf-8?B?aGk=?="
    assert found["from"].addresses[0].display_name == "=?utf-8?Q?Bank?="


def test_an_international_address_stands_in_utf8_and_asks_for_smtputf8():
    mail = replace(PLAIN, recipient=("김", "사용자@예시.한국"))
    assert "<사용자@예시.한국>".encode() in written(mail)
    assert flags(mail) == (True, True)
    assert flags(replace(PLAIN, subject="안녕", text="안녕")) == (False, False)


def test_nesting_is_no_deeper_than_needed():
    def shape(**parts: object) -> list[str]:
        return [found.get_content_type() for found in read(replace(PLAIN, **parts)).walk()]

    image, file = part(b"png", "logo.png", "logo@acme"), part(b"pdf")
    assert shape() == ["text/plain"]
    assert shape(text=None, html="<p>") == ["text/html"]
    assert shape(html="<p>") == ["multipart/alternative", "text/plain", "text/html"]
    assert shape(attachments=(file,)) == ["multipart/mixed", "text/plain", "application/pdf"]
    assert shape(attachments=(image,)) == ["multipart/mixed", "text/plain", "image/png"]
    assert shape(html="<img src=cid:logo@acme>", attachments=(image, file)) == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "application/pdf",
    ]  # fmt: skip


def test_an_inline_image_carries_its_content_id():
    found = read(replace(PLAIN, html="<p>", attachments=(part(b"png", "l.png", "logo@acme"),)))
    (image,) = [item for item in found.walk() if item.get_content_type() == "image/png"]
    assert (image["content-id"], image.get_content_disposition()) == ("<logo@acme>", "inline")


def test_an_attached_mail_is_sent_as_plain_octets():
    mail = replace(PLAIN, attachments=(replace(part(b"x"), content_type="message/rfc822"),))
    assert [item.get_content_type() for item in read(mail).iter_attachments()] == ["application/octet-stream"]


def test_a_boundary_never_occurs_in_the_content():
    boundary = message_from_bytes(written(replace(PLAIN, html="x")), policy=policy.default).get_boundary()
    text = f"--{boundary}\n--{boundary}--"
    assert body(read(replace(PLAIN, html="x", text=text)), "plain") == text


@pytest.mark.parametrize("octets", [0, 1, 2, 3, 56, 57, 58, 114, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("block", [1_000, BLOCK])
def test_sizes_are_exact_whatever_the_blocks(octets, block):
    data = bytes(range(256)) * (octets // 256 + 1)
    (found,) = read(replace(PLAIN, attachments=(part(data[:octets], block=block),))).iter_attachments()
    assert found.get_content() == data[:octets]
    assert encoded_size(octets) == len(found.get_payload().replace("\r\n", "\n").strip()) + max(0, (octets - 1) // 57)


def test_a_large_attachment_is_streamed_in_pieces():
    async def largest() -> int:
        mail = replace(PLAIN, attachments=(part(bytes(20 * 2**20), block=2**20),))
        return max([len(piece) async for piece in stream(mail)])

    assert asyncio.run(largest()) < 100_000


def test_an_attachment_that_changed_its_size_is_not_sent_as_whole():
    mail = replace(PLAIN, attachments=(replace(part(b"abc"), size=4),))
    with pytest.raises(ValueError, match="4 octets has 3"):
        written(mail)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "a\r\nBcc: b@example.com"},
        {"subject": "a\x00"},
        {"subject": "a\u2028b"},
        {"sender": ("a\nb", "a@acme.example")},
        {"sender": ("", "a@acme.example\r\nBcc: b@example.com")},
        {"recipient": ("", "a@b, c@d")},
        {"reply_to": ("", "")},
        {"headers": (("X-A\r\nBcc", "b"),)},
        {"headers": (("X-A", "a\rb"),)},
        {"message_id": "a>\r\n"},
        {"attachments": (part(b"", "a\r\n.pdf"),)},
        {"attachments": (replace(part(b""), content_type="a/b\r\nX: y"),)},
        {"attachments": (part(b"", "a.png", "x>\r\n"),), "html": ""},
    ],
)
def test_what_could_break_a_header_is_refused(change):
    with pytest.raises(ValueError):  # noqa: PT011 - its message is for the log
        written(replace(PLAIN, **change))
