"""What a JSON body may not hold, and that hostile ones cost little."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendarix.core.strictjson import JsonError, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))), inner)
    ),
)


@settings(deadline=None)
@given(JSON, st.booleans())
def test_everything_acceptable_comes_through_unchanged(value, ascii_only):
    assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_read_or_refused(raw):
    with suppress(JsonError):
        loads(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,}', "Not valid JSON"),
        (b'{"a": 1} x', "Extra data"),
        (b'"\xff"', "not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "byte order mark"),
        (b'{"a": 1, "a": 1}', '"a" stands twice'),
        (b'{"a": {"b": "x\\u0000"}}', "NUL character (\\u0000) is not allowed in a.b"),
        (b'{"a": {"b\\u0000": 1}}', "NUL"),
        (b'"\x00"', "control character"),
        (b'{"a": ["\\ud800"]}', "surrogate pair stands alone in a.0"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e400]", "1e400"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[" + b"9" * 100_000 + b"]", "64 bits"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "64 levels"),
    ],
)
def test_what_a_later_step_would_stumble_over_is_refused(raw, reason):
    with pytest.raises(JsonError) as caught:
        loads(raw)
    assert reason in str(caught.value)


def test_depth_64_and_escaped_pairs_are_fine():
    assert loads(b"[" * 64 + b"]" * 64)
    assert loads(b'"\\ud83d\\ude00 \\\\ud800"') == "😀 \\ud800"


@pytest.mark.parametrize(
    "raw",
    [b"[" * 5_000_000, b"[" + b"{}," * 3_000_000 + b"{}]", b'{"a":"' + b"QUJD" * 5_000_000 + b'"}', b'["' * 2_000_000],
    ids=["deep", "many", "long", "strings"],
)
def test_large_bodies_take_little_time(raw):
    start = time.process_time()
    with suppress(JsonError):
        loads(raw)
    assert time.process_time() - start < 2
