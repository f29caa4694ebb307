"""What replies mean, and how long to wait after them."""

from datetime import UTC, datetime

import pytest

from webhooks import verdicts

NOW = datetime(2026, 4, 19, 14, 30, tzinfo=UTC)


def of(code: int, **headers: str) -> verdicts.Verdict:
    return verdicts.of_answer(code, {name.replace("_", "-"): text for name, text in headers.items()}, NOW)


@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_2xx_is_success(code: int) -> None:
    assert of(code).succeeded


def test_a_redirect_is_a_failure_that_says_why() -> None:
    assert of(301).cause == "status"
    assert "redirects are not followed" in of(308).detail


def test_410_is_final_and_nothing_else_is() -> None:
    assert of(410, retry_after="5") == verdicts.Verdict("status", "answered 410", gone=True, final=True)
    assert not any(of(code).final for code in (301, 400, 401, 404, 422, 429, 500, 503))


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_these_speak_of_the_server_not_of_the_event(code: int) -> None:
    assert of(code).away
    assert not of(500).away


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("999999999999999999999", 86_400),
        ("Sun, 19 Apr 2026 14:31:30 GMT", 90),
        ("Sun, 19 Apr 2026 14:29:00 GMT", 0),
        ("Sunday, 19-Apr-26 14:30:05 GMT", 5),
        ("Wed, 19 Apr 2028 14:30:00 GMT", 86_400),
        ("soon", None),
        ("Mon, 01 Jan 2024 00:00:00 +9999999999999999", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    assert of(503, retry_after=text).retry_after == seconds


def test_an_endpoint_is_left_alone_from_the_third_failure_on_for_longer_and_longer() -> None:
    assert [verdicts.pause(failures, None) for failures in range(1, 8)] == [None, None, 1, 2, 4, 8, 16]
    assert verdicts.pause(1_000_000, None) == verdicts.LONGEST_PAUSE


def test_what_it_asks_for_counts_when_it_is_longer() -> None:
    assert verdicts.pause(1, 7.0) == 7
    assert verdicts.pause(6, 3.0) == 8
    assert verdicts.pause(1, 900.0) == verdicts.pause(20, 900.0) == 900
    assert verdicts.pause(1, 86_400.0) == verdicts.LONGEST_REST == 3600
