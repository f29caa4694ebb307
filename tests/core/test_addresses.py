"""One address in, its canonical spellings out, or a coded refusal."""

import email_validator
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendarix.core.addresses import Address, AddressError, matching, parse


def refusal(text: str) -> AddressError:
    with pytest.raises(AddressError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kim@example.com", Address("", "kim", "example.com")),
        ("Kim Minsu <kim@Example.COM>", Address("Kim Minsu", "kim", "example.com")),
        ('"Kim, Minsu" <kim@example.com>', Address("Kim, Minsu", "kim", "example.com")),
        (r'"Kim \"M\" Minsu" <kim@example.com>', Address('Kim "M" Minsu', "kim", "example.com")),
        ("김민수 <kim@example.com>", Address("김민수", "kim", "example.com")),
        ("  Kim   Minsu  <kim@example.com> ", Address("Kim Minsu", "kim", "example.com")),
        ("<kim@example.com>", Address("", "kim", "example.com")),
        ("o'neil+tag@mail.example.co.kr", Address("", "o'neil+tag", "mail.example.co.kr")),
        ("kim@sandbox.sendarix.test", Address("", "kim", "sandbox.sendarix.test")),
    ],
)
def test_an_address_is_read_into_its_parts(text, expected):
    assert parse(text) == expected


def test_an_ascii_local_part_goes_on_the_wire_with_an_a_label_domain():
    address = parse("kim@예시.한국")
    assert address.spec == "kim@xn--vv4b11d.xn--3e0b707e"
    assert not address.needs_smtputf8


def test_an_international_local_part_goes_on_the_wire_in_unicode():
    address = parse("사용자@예시.한국")
    assert address.spec == "사용자@예시.한국"
    assert address.needs_smtputf8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kim@Example.com", "kim@EXAMPLE.COM"),
        ("kim@예시.한국", "KIM@xn--vv4b11d.xn--3e0b707e"),
        ("STRASSE@example.com", "straße@example.com"),
        ("caf\u00e9@example.com", "CAFE\u0301@example.com"),
    ],
)
def test_spellings_of_one_mailbox_share_a_key(one, other):
    assert parse(one).key == parse(other).key


@pytest.mark.parametrize(
    "text",
    [
        "kim", "@example.com", "kim@", "kim@example", "kim@example..com", ".kim@example.com", "kim.@example.com",
        "kim@-example.com", "kim@ab--cd.com", "kim@example.c0", "kim@[127.0.0.1]", '"kim"@example.com',
        "kim@example.com\n", "kim\x00@example.com", "Kim\r\nBcc: x <kim@example.com>", "kim@exa mple.com",
        "Kim <kim@example.com> x", "Kim, Minsu <kim@example.com>", "<kim@example.com", "kim@example.com>",
        "Kim\u202e <kim@example.com>", "kim\u200f@example.com", "kim@example.com <kim@example.com>",
    ],
)  # fmt: skip
def test_what_is_not_one_usable_address_is_refused(text):
    assert refusal(text).code == "invalid_value"


def test_several_addresses_are_refused_with_a_pointer_to_the_batch_call():
    assert "batch" in refusal("kim@example.com, lee@example.com").message


@pytest.mark.parametrize(
    "text",
    [
        f"{'k' * 65}@example.com",
        f"{'가' * 22}@example.com",
        f"kim@{'.'.join(['a' * 60] * 4)}.example.com",
        f"{'K' * 257} <kim@example.com>",
        "k" * 2_000,
    ],
)
def test_lengths_are_bounded_in_octets(text):
    assert refusal(text).code == "too_long"


def test_an_empty_address_is_a_missing_one():
    assert refusal(" ").code == "required"


@settings(deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[a-zA-Z.<>\"@ \\-]{1,30}@[a-zA-Z0-9.-]{1,30}>?", fullmatch=True))
def test_any_text_is_read_or_refused_and_never_yields_a_line_break(text):
    try:
        address = parse(text)
    except AddressError:
        return
    assert not set("\r\n\x00") & set(f"{address.name}{address.spec}{address.key}")
    assert parse(address.spec).key == address.key


@settings(deadline=None)
@given(st.from_regex(r"[a-z0-9.!#$%_+-]{1,66}@[a-z0-9.-]{1,66}\.[a-z0-9]{1,10}", fullmatch=True))
def test_the_fast_path_accepts_what_email_validator_accepts(text):
    try:
        expected = email_validator.validate_email(text, check_deliverability=False, strict=True).ascii_email
    except email_validator.EmailNotValidError:
        expected = None
    try:
        assert parse(text).spec == expected
    except AddressError:
        assert expected is None


def test_what_is_no_address_matches_nobody():
    assert matching("Kim <KIM@Hanbit.example>") == "kim@hanbit.example"
    assert matching("no address") == matching("") == ""
