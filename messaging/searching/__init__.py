"""The search over messages: `parse` a text into a query, ask for a `page` of it, `count` it, or `look` for both. Pages of
the dashboard and GET /v1/messages speak the same language."""

from messaging.searching.language import Chip, Query, Term, parse
from messaging.searching.pages import Counts, Page, Scope, Stretch, Tenant, count, look, page, stretches
from messaging.searching.words import WORDS

__all__ = [
    "WORDS",
    "Chip",
    "Counts",
    "Page",
    "Query",
    "Scope",
    "Stretch",
    "Tenant",
    "Term",
    "count",
    "look",
    "page",
    "parse",
    "stretches",
]
