"""From pydantic's findings to faults a caller can act on."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator

from sendarix.core import shapes
from sendarix.core.errors import ValidationFailed
from sendarix.core.shapes import Instant, Page, Shape, Whole, fault


class Attachment(Shape):
    filename: Annotated[str, Field(min_length=1)]


class Order(Shape):
    sender: str = Field(alias="from")
    to: str | list[str] = ""
    copies: Annotated[int, Field(ge=1, le=9)] = 1
    urgent: bool = False
    priority: Literal["high", "low"] = "low"
    tags: Annotated[list[str], Field(max_length=2)] = []
    attachments: list[Attachment] = []
    metadata: dict[str, str] = {}
    at: Instant | None = None

    @field_validator("sender")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "short":
            raise fault("too_short", "Must be {longer}.")
        if "@" not in value:
            raise ValueError("Must be an address.")
        return value


def faults(payload, model=Order):
    with pytest.raises(ValidationFailed) as caught:
        shapes.validate(model, payload)
    return {item.field: (item.code, item.message) for item in caught.value.errors}


def test_every_fault_is_told_by_its_path():
    found = faults(
        {
            "copies": 10,
            "urgent": "yes",
            "priority": "medium",
            "tags": ["a", "b", "c"],
            "attachments": [{"filename": ""}, {}, 3],
            "metadata": {"order": 7},
            "at": "2026-04-19T14:30:00",
            "bcc": "x",
        }
    )
    assert {field: code for field, (code, _) in found.items()} == {
        "from": "required",
        "copies": "out_of_range",
        "urgent": "invalid_type",
        "priority": "invalid_value",
        "tags": "too_long",
        "attachments.0.filename": "too_short",
        "attachments.1.filename": "required",
        "attachments.2": "invalid_type",
        "metadata.order": "invalid_type",
        "at": "invalid_value",
        "bcc": "unknown_field",
    }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("copies", "1", "Must be a whole number."),
        ("copies", 1.5, "Must be a whole number."),
        ("copies", True, "Must be a whole number."),
        ("copies", 0, "Must be at least 1."),
        ("urgent", 1, "Must be true or false."),
        ("from", None, "Must be a string."),
        ("from", "nobody", "Must be an address."),
        ("from", "short", "Must be {longer}."),
        ("priority", "x", "Must be one of 'high' or 'low'."),
        ("metadata", [], "Must be an object."),
        ("at", 1767225600, "Must be a string with an ISO 8601 time."),
    ],
)
def test_messages_say_what_is_expected_and_nothing_is_converted(field, value, message):
    assert faults({"from": "a@b.example"} | {field: value})[field][1] == message


def test_a_union_is_told_once_and_by_the_branch_that_came_furthest():
    assert faults({"from": "a@b.example", "to": 5}) == {"to": ("invalid_type", "Must be a string or a list.")}
    assert faults({"from": "a@b.example", "to": [5]}) == {"to.0": ("invalid_type", "Must be a string.")}


def test_a_field_named_like_a_branch_keeps_its_name():
    assert faults({"from": "a@b.example", "metadata": {"str": 1}}).keys() == {"metadata.str"}


def test_more_faults_than_can_be_listed_are_counted():
    found = faults({f"field{number}": 1 for number in range(shapes.MAX_FAULTS)})
    assert found[""] == ("invalid_value", "10,001 faults, more than can be listed.")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-04-19T14:30:00Z", datetime(2026, 4, 19, 14, 30, tzinfo=UTC)),
        ("2026-04-19 14:30+09:00", datetime(2026, 4, 19, 5, 30, tzinfo=UTC)),
        ("2026-04-19t14:30:00.123456789z", datetime(2026, 4, 19, 14, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_instants_are_read_into_utc(text, at):
    assert shapes.validate(Order, {"from": "a@b.example", "at": text}).at == at


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-19",
        "now",
        "",
        "2026-02-30T00:00:00Z",
        "2026-04-19T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "٢٠٢٦-04-19T14:30:00Z",
    ],
)
def test_what_is_no_instant_is_a_fault(text):
    assert faults({"from": "a@b.example", "at": text})["at"][0] == "invalid_value"


@pytest.mark.parametrize("text", ["", "1.0", " 1", "1_0", "１", "9" * 5000])
def test_a_whole_number_in_a_query_is_plain_digits(text):
    assert faults({"limit": text}, Page)["limit"][0] == "invalid_type"


def test_a_page_is_25_unless_asked():
    assert shapes.validate(Page, {}).limit == 25
    assert shapes.validate(Page, {"limit": "100"}).limit == 100


def test_the_schema_shows_instants_and_wholes_by_their_wire_types():
    class Both(Shape):
        at: Instant
        count: Whole

    shown = Both.model_json_schema()["properties"]
    assert (shown["at"]["format"], shown["count"]["type"]) == ("date-time", "integer")
