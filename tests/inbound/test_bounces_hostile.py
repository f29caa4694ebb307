"""Whatever the bytes, the reader answers: no exception, bounded values, bounded work."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.inbound.bounces import parts
from messaging.inbound.bounces.reading import read
from messaging.inbound.bounces.reports import AutoReply, Bounce, Complaint, Other

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "corpora").glob("*.eml"))]
HEAD = b"From: MAILER-DAEMON@globex.example\nTo: b-1@bounce.acme.example\nSubject: failure notice\n"
MULTIPART = HEAD + b'Content-Type: multipart/report; report-type=delivery-status; boundary="cut"\n\n'
STATUS = b"--cut\nContent-Type: message/delivery-status\n\n"
PIECES = st.sampled_from(
    [
        HEAD,
        MULTIPART,
        STATUS,
        b"--cut--\n",
        b"--cut\n",
        b"\n",
        b"\n\n",
        b"Final-Recipient: rfc822; ",
        b"Original-Recipient: utf-8;\\x{D800}@x.example",
        b"Action: failed\n",
        b"Status: 5.1.1\n",
        b"Diagnostic-Code: smtp; 550 ",
        b"jan@globex.example",
        b"<jan@globex.example>:\n",
        b"Content-Type: message/feedback-report\n\n",
        b"Feedback-Type: abuse\nUser-Agent: x\n",
        b"Content-Type: text/html; charset=idna\n\n<b",
        b"Content-Type: message/rfc822\n\n",
        b"Content-Transfer-Encoding: base64\n\n===",
        b"Subject: =?utf-8?b?\xff?= =?x?q?=ff?=\n",
        b'{"notificationType": "Bounce", "bounce": {"bouncedRecipients": [{}, 1]}}',
        b"X-Failed-Recipients: ,,\n",
        b"\x00\xff\xfe\r",
    ]
)


def check(raw: bytes) -> None:
    report = read(raw)
    assert isinstance(report, Bounce | Complaint | AutoReply | Other)
    if isinstance(report, Bounce):
        assert 1 <= len(report.recipients) <= 100
        assert all(len(one.text) <= 1000 and len(one.address or "") <= 400 for one in report.recipients)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=40), max_size=30))
def test_any_pieces_of_reports_in_any_order_are_answered(pieces):
    check(b"".join(pieces))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 3000), st.binary(max_size=30), st.integers(0, 400))
def test_a_damaged_report_is_answered(sample, at, put, cut):
    check(sample[:at] + put + sample[at + cut :])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 500_000,
        b"\n" * 500_000,
        HEAD + b"To: " + b"<a@b.example>, " * 30_000 + b"\n\nuser unknown",
        HEAD + b"\n" + b"-\n" * 250_000,
        HEAD + b"\n" + b" \n" * 250_000,
        HEAD + b"\n" + b"a@a." * 120_000,
        HEAD + b"\n" + b"copy of the " * 40_000,
        HEAD + b"Content-Type: text/html\n\n" + b"<style>" * 70_000,
        HEAD + b'Content-Type: multipart/mixed; boundary="-"\n\n' + b"---\n" * 120_000,
        HEAD + b'\nnotificationType {"a":' + b"[" * 500_000,
        MULTIPART + STATUS + b"Final-Recipient: rfc822;u@x.example\nAction: failed\n\n" * 9_000,
        MULTIPART + STATUS + b"Final-Recipient: rfc822;" + b"a" * 500_000,
        HEAD + b"Content-Type: message/rfc822\n\n" + b"Content-Type: message/rfc822\n\n" * 15_000,
    ],
    ids=lambda raw: f"{len(raw)}-{raw[100:140]!r}",
)
def test_large_and_repetitive_mails_are_answered(raw):
    check(raw)


def test_deep_multiparts_are_cut_at_a_depth_without_recursion():
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (at, at) for at in range(5000))
    mail = parts.cut(HEAD + nested)
    assert len(mail.parts) == 1
    assert parts.DEPTH < 20 < sys.getrecursionlimit()
    check(HEAD + nested)


def test_no_more_parts_are_read_than_the_limit():
    assert len(parts.cut(MULTIPART + b"--cut\n\nx\n" * 5000).parts) == parts.PART_COUNT


def test_what_lies_behind_the_limit_is_not_read():
    late = b"\n" + b"x" * parts.LOOKED_AT + b"\n<jan@globex.example>: 550 5.1.1 user unknown\n"
    assert "jan" not in str(read(HEAD + late))
