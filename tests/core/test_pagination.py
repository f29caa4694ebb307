"""Cursors and pages of lists."""

import pytest

from sendarix.core.errors import BadRequest
from sendarix.core.pagination import cursor_part, decode_cursor, encode_cursor, page


@pytest.mark.parametrize("parts", [["msg_1"], ["12", "msg_1"], ["가나", ""]])
def test_a_cursor_comes_back_as_it_was_and_is_safe_in_a_url(parts):
    cursor = encode_cursor(*parts)
    assert decode_cursor(cursor, len(parts)) == parts
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text", ["!", "a", "é", "a" * 5000, "aa\n", encode_cursor("a", "b"), encode_cursor("a\x00"), "_w", ""[:0] + "=="]
)
def test_a_cursor_of_somebody_elses_making_is_refused(text):
    with pytest.raises(BadRequest) as caught:
        decode_cursor(text, 1)
    assert caught.value.code == "bad_cursor"


@pytest.mark.parametrize("part", ["x", "", "1e400", "9" * 5000])
def test_a_part_that_is_no_number_is_a_bad_cursor(part):
    with pytest.raises(BadRequest):
        cursor_part(int, part)


def test_a_page_knows_whether_there_is_more():
    def shown(rows):
        return page(rows, 2, encode_cursor, lambda row: {"id": row})

    full = shown([1, 2, 3])
    assert (full["data"], full["has_more"]) == ([{"id": 1}, {"id": 2}], True)
    assert decode_cursor(full["next_cursor"], 1) == ["2"]
    assert shown([1, 2]) == {"data": [{"id": 1}, {"id": 2}], "has_more": False, "next_cursor": None}
    assert shown([]) == {"data": [], "has_more": False, "next_cursor": None}
