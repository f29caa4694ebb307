"""Whatever is sent, the answer is in the one shape, below 500, and the next request works."""

import base64
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world import MAIL, send

FUZZ = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

FIELDS = (
    "recipient", "from", "subject", "template", "template_data", "html", "text", "reply_to", "headers", "attachments",
    "metadata", "tags", "priority", "scheduled_time", "expires_at", "ttl_seconds", "unsubscribe", "sensitive",
)  # fmt: skip
NASTY = st.sampled_from(
    [
        "", " ", "a\r\nb", "\u2028", "\ufeff", "\u202e", "\x7f", "\x0b", "'; DROP TABLE messages; --", "%s", "%(id)s", "{{ x }}",
        "{% for a in b %}", "a@b", "a@b.example", "<a@b.example>", "@", "x" * 1000, "😀" * 100, "2026-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", "\\u0041",
        "xn--a@xn--.example", "a@xn--zz.example", "é@é.example", "a@[127.0.0.1]", '"a b"@c.example', "AA==", "=",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    NASTY, st.text(max_size=30), st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none(), st.just(10**400)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | NASTY, inner, max_size=4),
    max_leaves=12,
)


def sound(answer) -> None:
    assert answer.status < 500, answer.body[:300]
    if answer.status >= 400:
        error = answer.json["error"]
        assert all(error[name] for name in ("code", "message", "request_id"))
        assert error.get("errors", []) or answer.status != 422


def body(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


@FUZZ
@given(wrong=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, min_size=1, max_size=5))
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/validate"])
def test_no_field_of_a_message_breaks_anything(api, path, wrong):
    sound(api.call("POST", path, body=body(MAIL | wrong)))


@FUZZ
@given(value=VALUES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/batch", "/v1/dead-letters/redrive"])
def test_no_json_breaks_anything(api, path, value):
    sound(api.call("POST", path, body=body(value)))
    sound(api.call("POST", path, body=body({"messages": [value], "filter": value, "ids": value})))


@FUZZ
@given(raw=st.binary(max_size=200) | st.binary(max_size=40).map(lambda data: b'{"recipient": "' + data + b'"}'))
def test_no_bytes_break_anything(api, raw):
    sound(api.call("POST", "/v1/messages", body=raw))


NAMES = [
    "status",
    "recipient",
    "created_after",
    "created_before",
    "tag",
    "template",
    "metadata[a]",
    "q",
    "limit",
    "cursor",
    "after",
]


@FUZZ
@given(
    pairs=st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=10), NASTY | st.text(max_size=20)), max_size=5),
    path=st.sampled_from(["/v1/messages", "/v1/events", "/v1/dead-letters", "/v1/nowhere"]),
)
def test_no_query_breaks_anything(api, path, pairs):
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value.encode("utf-8", "replace").decode())
    sound(api.get(path, {name.encode("utf-8", "replace").decode(): values for name, values in query.items()}))


@FUZZ
@given(raw=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
def test_no_raw_query_breaks_anything(api, raw):
    sound(api.get(f"/v1/messages?{raw}"))


def test_cursors_that_were_tampered_with_break_nothing(api):
    for _ in range(3):
        send(api)
    given_out = api.get("/v1/messages", {"limit": 1}).json["next_cursor"]
    rng = random.Random(7)
    for path, name in (("/v1/messages", "cursor"), ("/v1/dead-letters", "cursor"), ("/v1/events", "after")):
        for _ in range(60):
            at = rng.randrange(len(given_out))
            sound(api.get(path, {name: given_out[:at] + rng.choice("AZaz09-_=/+ ") + given_out[at + 1 :]}))


@pytest.mark.parametrize("numbers", ["9" * 30 + "\x1f1", "-1\x1f-1", "1\x1f" + "9" * 400, "1.5\x1f2", "\x1f", "१\x1f२"])
def test_cursors_of_absurd_numbers_break_nothing(api, numbers):
    cursor = base64.urlsafe_b64encode(numbers.encode()).decode().rstrip("=")
    sound(api.get("/v1/events", {"after": cursor}))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"recipient": "a@b.example", "recipient": "c@d.example"}', 400),
        ('{"template_data": ' + "[" * 70 + "]" * 70 + "}", 400),
        ("[" * 200_000, 400),
        ('{"a":' * 200_000, 400),
        ('{"metadata": {"a": "\\u0000"}}', 400),
        ('{"metadata": {"\\ud800": "a"}}', 400),
        ('{"ttl_seconds": 1e400}', 400),
        ('{"ttl_seconds": -1e400}', 400),
        ('{"ttl_seconds": NaN}', 400),
        ('{"ttl_seconds": 99999999999999999999999}', 400),
        ('{"ttl_seconds": 9223372036854775807}', 422),
        ('{"ttl_seconds": 1.0}', 422),
        ('{"template_data": {"a": ' + "9" * 10_000 + "}}", 400),
        ("{" + ",".join(f'"k{n}": {n}' for n in range(20_000)) + "}", 422),
        ('{"tags": [' + ",".join(["1"] * 50_000) + "]}", 422),
    ],
)
def test_json_made_to_hurt_is_refused_quickly(api, text, status):
    answer = api.call("POST", "/v1/messages", body=text.encode())
    sound(answer)
    assert answer.status == status


@pytest.mark.parametrize(
    "name", ["Authorization", "Idempotency-Key", "Content-Type", "Content-Length", "X-Request-Id", "Accept"]
)
@pytest.mark.parametrize(
    "value", ["", "\x00", "é", "a" * 10_000, "-1", "99999999999999999999", "application/json; charset=", "*/*;q=x"]
)
def test_no_header_breaks_anything(api, name, value):
    answer = api.call("POST", "/v1/messages", MAIL, headers={name: value})
    assert answer.status < 500


@pytest.mark.parametrize("tail", ["%00", "%ff", "..%2f..", "a" * 5000, "%F0%9F%98%80", "msg_%0a", "'", "a/b/c"])
def test_no_path_breaks_anything(api, tail):
    for method in ("GET", "DELETE", "PATCH"):
        sound(
            api.call(
                method,
                f"/v1/messages/{tail}",
                {"scheduled_time": "2031-01-01T00:00:00Z"} if method == "PATCH" else None,
            )
        )
