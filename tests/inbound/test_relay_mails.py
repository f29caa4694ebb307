"""From a mail as programs write it to the message that goes out."""

import email
import email.policy
from contextlib import suppress
from email.message import EmailMessage

import pytest

from messaging.inbound import submissions
from messaging.inbound.submissions import Refused
from tests import world
from tests.inbound.relaying import KIM, client, crlf, mail

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def read(raw: bytes) -> dict:
    return submissions.read(raw).payload


def plain(body: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([b"From: hello@acme.example", b"Subject: s", *fields, b"", body])


def rich() -> EmailMessage:
    letter = mail(Reply_To="Büro <office@acme.example>")
    letter.add_alternative('<p>Schön <img src="cid:logo@acme"></p>', subtype="html")
    letter.get_payload()[1].add_related(PNG, "image", "png", cid="<logo@acme>", filename="logo.png")
    letter.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Übersicht 김.pdf")
    return letter


def test_alternatives_pictures_and_files_arrive_as_they_were(relay, key, sink) -> None:
    with client(relay, key) as session:
        session.send_message(rich(), to_addrs=[KIM])
    world.drain()
    got = email.message_from_bytes(sink.accepted[0].content, policy=email.policy.default)
    assert got["Reply-To"] == "Büro <office@acme.example>"
    assert got.get_body(("plain",)).get_content().strip() == "It is on its way."
    assert "Schön" in got.get_body(("html",)).get_content()
    picture = next(part for part in got.walk() if part.get_content_type() == "image/png")
    assert (picture["Content-ID"], picture.get_content()) == ("<logo@acme>", PNG)
    file = next(got.iter_attachments())
    assert (file.get_filename(), file.get_content()) == ("Übersicht 김.pdf", b"%PDF-1.7")


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("euc-kr", "안녕하세요 똠방각하"),
        ("ks_c_5601-1987", "뷁"),
        ("iso-2022-jp", "注文"),
        ("windows-1252", "“€”"),
        ("utf-8", "✓"),
    ],
)
def test_text_is_read_in_its_charset(charset: str, text: str) -> None:
    codec = {"euc-kr": "cp949", "ks_c_5601-1987": "cp949"}.get(charset, charset)
    raw = plain(text.encode(codec), f"Content-Type: text/plain; charset={charset}".encode())
    assert read(raw)["text"] == text


@pytest.mark.parametrize("charset", ["x-unknown", "punycode", "hex", "unicode_escape", "undefined"])
def test_a_charset_that_is_none_is_read_as_utf8(charset: str) -> None:
    assert read(plain("ü\\n41".encode(), f"Content-Type: text/plain; charset={charset}".encode()))["text"] == "ü\\n41"


def test_encoded_words_become_text() -> None:
    raw = b"From: =?utf-8?q?Kim=2C_Lee_=22K=22?= <hello@acme.example>\r\n"
    raw += b"Subject: =?euc-kr?b?vsiz5w==?=\r\n =?utf-8?q?_!?=\r\n\r\nx"
    payload = read(raw)
    assert payload["from"] == '"Kim, Lee \\"K\\"" <hello@acme.example>'
    assert payload["subject"] == "안녕 !"


def test_a_line_break_in_an_encoded_word_starts_no_header() -> None:
    raw = plain(b"x", b"X-Shop: =?utf-8?q?Seoul=0D=0ABcc:_all@globex.example?=")
    assert read(raw)["headers"] == {"X-Shop": "Seoul  Bcc: all@globex.example"}


def test_a_mail_without_a_body_is_sent_with_an_empty_one() -> None:
    assert read(plain(b""))["text"] == "\n"


def test_what_sendarix_sets_is_left_out_and_the_rest_goes_on() -> None:
    fields = [
        b"Message-ID: <1@app>",
        b"Date: today",
        b"Received: from a by b",
        b"DKIM-Signature: v=1",
        b"Return-Path: <a@b>",
    ]
    payload = read(
        plain(b"x", *fields, b"In-Reply-To: <0@app>", b"X-Empty:", b"List-Unsubscribe: <mailto:u@acme.example>")
    )
    assert payload["headers"] == {"In-Reply-To": "<0@app>"}
    assert payload["unsubscribe"] is True


def test_a_file_name_in_bare_octets_is_read() -> None:
    kind = b"Content-Type: application/pdf"
    for octets, name in (("주문서.pdf".encode(), "주문서.pdf"), (b"f\xfcr.pdf", "für.pdf")):
        found = read(plain(b"x", kind, b'Content-Disposition: attachment; filename="' + octets + b'"'))
        assert found["attachments"][0]["filename"] == name


def test_a_mail_within_a_mail_is_a_file() -> None:
    outer = EmailMessage()
    outer["From"], outer["Subject"] = "hello@acme.example", "fwd"
    outer.set_content("see below")
    outer.add_attachment(mail())
    file = read(crlf(outer))["attachments"][0]
    assert (file["content_type"], file["filename"]) == ("message/rfc822", "part-1.eml")


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ([b"X-Sendarix-Data: {"], "5.6.0", "X-Sendarix-Data"),
        ([b"X-Sendarix-Metadata: [1]"], "5.6.0", "JSON object"),
        ([b"X-Sendarix-Colour: red"], "5.6.0", "x-sendarix-colour"),
        ([b"From: lee@acme.example"], "5.6.0", "more than one From"),
        ([b"X-Idempotency-Key: a", b"X-Idempotency-Key: b"], "5.6.0", "two different"),
        ([b"Content-Type: multipart/signed; boundary=b"], "5.6.1", "multipart/signed"),
        ([b"Received: from a"] * 31, "5.4.6", "loop"),
        ([b"Message-ID: <msg_01m859mcpdddt1hqg2n8ywvrsp@acme.example>"], "5.4.6", "loop"),
        ([b"X-Long: " + b"x" * 300_000], "5.6.0", "header has more than"),
    ],
)
def test_what_cannot_be_taken_is_told(fields: list[bytes], status: str, word: str) -> None:
    with pytest.raises(Refused) as refused:
        read(plain(b"x", *fields))
    assert refused.value.status == status
    assert word in refused.value.text


def nested(depth: int) -> bytes:
    parts = [
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(depth)
    ]
    return b"From: a@acme.example\r\nSubject: s\r\n" + b"".join(parts)


HOSTILE = [
    nested(3000),
    nested(19),
    nested(19) + b"\r\n".join([b"x" * 20] * 400_000),
    plain(b"x", b"To: " + b"a@b.example, " * 18_000),
    plain(b"x", b"To: " + b"(" * 200_000),
    plain(b"x", b"From: " + b'"' * 100_000),
    plain(b"x", b"Content-Type: text/plain; " + b"a=b; " * 40_000),
    plain(b"x", b"Content-Type: text/plain; charset*0*=" + b'"' * 7_000),
    plain(b"x", b"Subject: " + b"=?utf-8?q?x?= " * 15_000),
    plain(b"--b\r\n\r\n" * 100_000, b"Content-Type: multipart/mixed; boundary=b"),
    plain(b"=" * 2_000_000, b"Content-Transfer-Encoding: quoted-printable"),
    plain(b"\xff" * 1_000_000, b"Content-Type: text/html; charset=utf-7"),
    plain(b"begin 644 x\r\n" + b"M" * 1_000_000, b"Content-Transfer-Encoding: uuencode"),
    plain(b"x", b"Content-Disposition: attachment; filename*=utf-16''%ff", b"Content-Type: text/\xff"),
    b"\r\n" * 100_000,
    b"",
    bytes(range(1, 10)) * 1000,
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.timeout(30)
def test_no_mail_makes_the_reader_raise_or_dwell(raw: bytes) -> None:
    with suppress(Refused):
        submissions.read(raw)
