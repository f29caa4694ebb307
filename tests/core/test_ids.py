"""Ids of numbered rows, read back."""

from datetime import UTC, datetime

import pytest

from sendarix.core import ids

AT = datetime(2026, 4, 19, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("number", [0, 1, 31, 32, 4711, 2**63 - 1])
def test_the_number_of_a_row_is_in_its_id(number):
    assert ids.number_in(ids.from_number("dlv", AT, number), "dlv") == number


@pytest.mark.parametrize(
    "text",
    ["", "dlv_", "7", "dlv_" + "u" * 26, "dlv_" + "0" * 25, "dlv_" + "0" * 27, "evt_" + "0" * 26, "xdlv_" + "0" * 26,
     "dlv_" + "0" * 10 + "z" * 16, "dlv_" + "０" * 26, "dlv_" + "A" * 26],
)  # fmt: skip
def test_what_is_no_id_of_a_row_has_no_number(text):
    assert ids.number_in(text, "dlv") is None
