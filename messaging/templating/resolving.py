"""The published template a message names, in the recipient's language: one statement, because acceptance of every message waits
for it. Layout and partials are those published last; publishing one of them rebuilds the templates that use it."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection

from messaging.templating import rendering
from messaging.templating.declarations import Variable
from messaging.templating.rendering import Piece, Rendered, Source
from sendarix.core.statements import Statement

_BUILD = Statement(
    "template_build",
    "SELECT version, shown_locale, default_sender, sensitive, variables::text, subject, html, text, layout::text, partials::text"
    " FROM template_builds"
    " WHERE account_id = %(account_id)s::bigint AND key = %(key)s::text AND locale = ANY(%(locales)s::text[])"
    " ORDER BY array_position(%(locales)s::text[], locale) LIMIT 1",
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The published version of a template, in the locale that was found. `sensitive` names its declared variables that are."""

    key: str
    version: int
    locale: str | None
    default_sender: str
    sensitive: tuple[str, ...]
    source: Source


def resolve(account_id: int, key: str, locale: str | None) -> Resolved | None:
    """The account's published template with this key, or None; layouts and partials are not found here.
    The locale is looked up as RFC 4647 section 3.4 has it, and the template's default taken when nothing fits."""
    with connection.cursor() as cursor:
        _BUILD.run(cursor, {"account_id": account_id, "key": key, "locales": [*rendering.ranges(locale), ""]})
        row = cursor.fetchone()
    if row is None:
        return None
    version, shown, sender, sensitive, variables, subject, html, text, layout, partials = row
    source = Source(
        key, version, subject, html, text, shown, _layout(layout), _partials(partials), _variables(variables)
    )
    return Resolved(key, version, shown, sender, tuple(sensitive), source)


def render(resolved: Resolved, data: dict[str, Any]) -> Rendered:
    """The parts of a message. Raises TemplateFault as rendering.render does."""
    return rendering.render(resolved.source, data)


@lru_cache(maxsize=500)
def _layout(stored: str | None) -> Piece | None:
    found = json.loads(stored) if stored else None
    return Piece(found["html"], found["text"]) if found else None


@lru_cache(maxsize=500)
def _partials(stored: str) -> dict[str, Piece]:
    return {key: Piece(piece["html"], piece["text"]) for key, piece in json.loads(stored).items()}


@lru_cache(maxsize=500)
def _variables(stored: str) -> tuple[Variable, ...]:
    return tuple(Variable(**item) for item in json.loads(stored))
