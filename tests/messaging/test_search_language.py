"""The search language: what is read, what is refused with a hint, and chips that are the query."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from messaging.searching import WORDS, parse
from sendarix.core.errors import ValidationFailed

NOW = datetime(2026, 4, 19, 12, tzinfo=UTC)


def read(text: str) -> list[tuple]:
    return [(term.word, term.value, term.negated) for term in parse(text, NOW).terms]


def refused(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ValidationFailed) as caught:
        parse(text, NOW)
    return [(fault.code, fault.message) for fault in caught.value.errors]


def test_words_without_a_colon_are_text():
    assert read("invoice 한빛  100%") == [("", "invoice", False), ("", "한빛", False), ("", "100%", False)]


def test_quotation_marks_hold_words_together():
    assert read('"your order" -"last call" "say \\"hi\\""') == [
        ("", "your order", False),
        ("", "last call", True),
        ("", 'say "hi"', False),
    ]


def test_what_is_quoted_is_text_even_with_a_colon():
    assert read('"status:bounced"') == [("", "status:bounced", False)]


def test_a_minus_negates_any_term_and_stands_for_itself_alone():
    assert read("-status:delivered -promo -") == [
        ("status", ("delivered",), True),
        ("", "promo", True),
        ("", "-", False),
    ]


def test_a_status_may_be_several():
    assert read("STATUS:Bounced,deferred") == [("status", ("bounced", "deferred"), False)]


def test_metadata_is_named_by_its_key():
    (plain, quoted) = parse('meta.order:A-7 meta."order id":"7 8"').terms
    assert (plain.key, plain.value, quoted.key, quoted.value) == ("order", "A-7", "order id", "7 8")


def test_a_date_is_its_first_moment_in_the_readers_zone():
    (term,) = parse("after:2026-04-19", NOW, ZoneInfo("Asia/Seoul")).terms
    assert term.value == datetime(2026, 4, 18, 15, tzinfo=UTC)


def test_times_may_be_exact_or_ages():
    assert [value for _, value, _ in read("after:2026-04-19T14:30+09:00 before:36h slower:30s")] == [
        datetime(2026, 4, 19, 5, 30, tzinfo=UTC),
        NOW - timedelta(hours=36),
        timedelta(seconds=30),
    ]


def test_a_domain_is_read_in_either_spelling():
    assert read("domain:@한빛.example")[0][1] == "xn--" + "한빛".encode("punycode").decode() + ".example"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("statsu:bounced", "status:?"),
        ("recipient:kim", "to:?"),
        ("Temlpate:x", "template:?"),
        ("metadata:7", "meta.KEY:?"),
    ],
)
def test_an_unknown_word_gets_a_hint(text, meant):
    ((code, message),) = refused(text)
    assert code == "unknown_field"
    assert f"Did you mean {meant}" in message


def test_a_word_like_nothing_gets_all_of_them():
    ((_, message),) = refused("https://hanbit.example/")
    assert all(word in message for word in WORDS)
    assert "quotation marks" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("status:bounce", "Did you mean bounced?"),
        ("status:", "A value must follow"),
        ("tier:urgent", "There are critical, high, normal, low"),
        ("is:lost", "There are test, live"),
        ("has:wings", "has:attachment"),
        ("code:5xx", "550"),
        ("after:yesterday", "2026-04-19"),
        ("after:2026-02-30", "There is no such time"),
        ("slower:fast", "30s"),
        ('"open', "not closed"),
        ("nul\x00", "NUL"),
    ],
)
def test_a_value_that_cannot_be_read_says_what_was_expected(text, message):
    ((code, told),) = refused(text)
    assert code == "invalid_value"
    assert message in told


@pytest.mark.parametrize(
    ("text", "message"),
    [('"unclosed', "A quotation mark is not closed."), ("subject:", "A value must follow the colon of subject.")],
)
def test_what_is_begun_only_is_told_without_being_repeated(text, message):
    assert refused(text) == [("invalid_value", message)]


def test_every_fault_is_told_at_once():
    assert [code for code, _ in refused('colour:red status:lost "x')] == [
        "unknown_field",
        "invalid_value",
        "invalid_value",
    ]


def test_a_search_has_its_limits():
    assert refused("x" * 501)[0][0] == "too_long"
    assert refused(" ".join(f"w{n}" for n in range(21)))[0][0] == "too_long"
    assert refused("is:live is:test")[0][0] == "conflict"


@pytest.mark.parametrize(
    "text",
    [
        "kim@hanbit.example invoice",
        '-status:bounced,deferred "two words" to:kim',
        'meta."order id":"7 \\"8\\"" meta.shop:한빛',
        'tag:"a b" code:5.1.1 after:7d is:waiting has:attachment',
        '"-dash" "a:b" "back\\\\slash"',
        "subject:12:30",
    ],
)
def test_a_query_becomes_the_same_text_again(text):
    query = parse(text, NOW)
    assert str(query) == text
    assert parse(str(query), NOW) == query


def test_each_chip_knows_the_query_without_it():
    chips = parse('to:kim -status:bounced "two words"').chips()
    assert [chip.text for chip in chips] == ["to:kim", "-status:bounced", '"two words"']
    assert chips[1].without == 'to:kim "two words"'


def test_a_term_said_twice_counts_once():
    assert str(parse("tag:a tag:a tag:b")) == "tag:a tag:b"


def test_the_environment_is_told_apart():
    assert [parse(text).livemode for text in ("is:test", "is:live", "-is:live", "kim")] == [False, True, False, None]
