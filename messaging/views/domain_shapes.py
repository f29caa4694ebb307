"""What a caller says of a sender domain."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from messaging.domains import names
from sendarix.core.shapes import Shape, fault


def _domain(text: str) -> str:
    try:
        return names.read(text)
    except names.NameFault as wrong:
        raise fault(wrong.code, wrong.message) from None


class DomainShape(Shape):
    """A domain to send from."""

    domain: Annotated[
        str,
        Field(max_length=400),
        AfterValidator(_domain),
        WithJsonSchema({"type": "string", "maxLength": 400, "examples": ["example.com"]}),
    ]
    """In U-labels or A-labels; not a public suffix such as `co.uk`."""
