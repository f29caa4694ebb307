"""Which custom headers a message may carry."""

import pytest

from messaging.headers import line_fault, read


def codes(headers: dict[str, str]) -> list[tuple[str, str]]:
    return [(fault.field, fault.code) for fault in read(headers).faults]


def test_ordinary_headers_go_out_in_their_order():
    found = read({"X-Order": "42", "References": "<a@example.com>", "x-note": "안녕"})
    assert found.pairs == (("X-Order", "42"), ("References", "<a@example.com>"), ("x-note", "안녕"))
    assert not found.faults


@pytest.mark.parametrize(
    "name",
    [
        "From", "TO", "Cc", "bcc", "Sender", "Received", "Return-Path", "DKIM-Signature", "ARC-Seal", "Subject",
        "Authentication-Results", "Content-Type", "content-anything", "MIME-Version", "Message-ID", "Date",
        "Reply-To", "List-Unsubscribe", "List-Unsubscribe-Post", "X-Sendarix-Tag", "Resent-From",
    ],
)  # fmt: skip
def test_headers_that_are_ours_are_refused_in_any_case(name):
    assert codes({name: "x"}) == [(f"headers.{name}", "reserved_header")]


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nBcc", "X\x00", "X-é", "X" * 77])
def test_a_name_outside_rfc_5322_is_refused(name):
    assert codes({name: "x"}) == [("headers", "invalid_value")]


@pytest.mark.parametrize("mark", ["\r", "\n", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800"])
def test_a_value_that_could_break_the_line_is_refused(mark):
    assert codes({"X-Order": f"a{mark}b"}) == [("headers.X-Order", "invalid_value")]


def test_sizes_and_counts_are_bounded():
    assert codes({"X-Empty": " "}) == [("headers.X-Empty", "too_short")]
    assert codes({"X-Long": "x" * 4_097}) == [("headers.X-Long", "too_long")]
    assert codes({f"X-{number}": "x" for number in range(51)}) == [("headers", "too_long")]
    assert codes({f"X-{number}": "x" * 4_000 for number in range(9)}) == [("headers", "too_long")]


def test_one_header_in_two_spellings_is_refused():
    assert codes({"X-Order": "1", "x-order": "2"}) == [("headers.x-order", "invalid_value")]


def test_every_fault_is_named():
    assert len(codes({"From": "x\n", "X Y": "", "X-Fine": "x"})) == 4


def test_idempotency_keys_are_taken_out_in_any_case():
    found = read({"x-idempotency-KEY": "a", "Idempotency-Key": "b", "X-Order": "1"})
    assert found.pairs == (("X-Order", "1"),)
    assert found.idempotency_keys == ("a", "b")
    assert read({"X-Idempotency-Key": "a", "Idempotency-Key": "a"}).idempotency_keys == ("a",)


def test_a_fault_of_a_line_is_said_in_words():
    assert line_fault("fine 안녕\u200f") is None
    assert line_fault("a\rb") == "must not hold a line break"
    assert line_fault("a\x7fb") == "must not hold the control character U+007F"
