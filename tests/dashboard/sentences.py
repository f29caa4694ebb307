"""The sentences of services that people read on pages and in mails, as they stand in the sources: what the catalogue
`locale/ko/LC_MESSAGES/services.po` has to hold."""

import ast
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import email_validator.syntax
from django.conf import settings

from sendarix.core.errors import CODES, FIELD_CODES

PACKAGES = ("messaging", "suppressions", "webhooks", "analytics", "sendarix/accounts", "sendarix/core")

ELSEWHERE = re.compile(
    r"""
    .*/(migrations|management|models|keeping|inbound)/.* | .*/(models|apps|chores|urls|views)\.py
    | .*(?<!alerts/)(calls|answers)\.py | .*_(calls|answers)\.py | analytics/alerts/(calls|answers|readings|rounds)\.py
    | messaging/views/(messages|queues|routing|rules|policies|templates|domains|events)\.py
    | messaging/(demo_templates|exports|lifecycle|redaction|tasks|acceptance)\.py
    | messaging/delivery/(default_route|destinations|dispatcher|dkim|identities|ledger|mime|pacing|provider_verdicts|replies)\.py
    | messaging/domains/schedule\.py | messaging/searching/(conditions|pages)\.py
    | analytics/(queries|rollup)\.py | suppressions/(expiry|services)\.py | webhooks/(holds|ledger|ticking)\.py
    | sendarix/accounts/(api|rate|request_log|schema|shapes)\.py
    | sendarix/core/(chores|errors|events|grouping|jobs|ladders|pagination|reading|statements|strictjson|vault|watchdog)\.py
    """,
    re.VERBOSE,
)
"""Files whose texts no page shows: they speak to the API's callers, to SMTP clients, to the log, to PostgreSQL."""

UNSHOWN = {
    # commands, headers and requests on the wire
    "EHLO {1}", "HELO {1}", "AUTH PLAIN {1}", "User-Agent: {1}", "POST {1}/release", "Details: GET {1}",
    "POST {1} HTTP/1.1\r\nHost: {2}\r\nAccept-Encoding: identity\r\nContent-Length: {3}",
    # template code
    "if {1}", "elsif {1}", "unless {1}", "for {1} in {2}", "{1} and {2} != empty and {3} != 0", "<style {1}>{2}",
    # samples and names
    "The content of a message.", "The subject of a message", "first live key", "first test key",
    # faults of ours, which end in the log
    "{1} has no route", "{1} was claimed without a route", "a message without a route has no lane",
    "{1} is no path of a request", "{1} can't stand in a request, or not with this value",
    "an attachment of {1} octets has {2}",
    # JSON of the wrong type, which no form makes
    "{1} or {2}", "Must be ",
}  # fmt: skip
"""Texts that look like sentences, and that nobody reads on a page."""


def sentences() -> set[str]:
    found = {text for file in _files() for text in _texts(file) if _is_sentence(text)}
    told = {text for code in CODES.values() for text in (code.meaning, code.remedy)} | set(FIELD_CODES.values())
    return (found | told) - UNSHOWN


def literals() -> set[str]:
    """Every text of those files, single words too."""
    return {text for file in _files() for text in _texts(file)}


def _files() -> Iterator[Path]:
    """Ours, and what the library says that judges addresses."""
    yield Path(email_validator.syntax.__file__)
    root = Path(settings.BASE_DIR)
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            if not ELSEWHERE.fullmatch(str(file.relative_to(root))):
                yield file


def _texts(file: Path) -> Iterator[str]:
    """The texts of a source, with `{1}`, `{2}` … for what is filled in."""
    tree = ast.parse(file.read_text())
    skipped = {id(part) for node in ast.walk(tree) for part in _not_told(node)}
    for node in ast.walk(tree):
        if id(node) not in skipped and (parts := _parts(node)):
            yield _template(parts)


def _parts(node: ast.AST) -> list[str | None]:
    """The parts of a text, None where something is filled in; empty for what is no text."""
    match node:
        case ast.Constant(value=str() as text):
            pieces = text.split("{}")
            return [piece for text in pieces for piece in (None, text)][1:]
        case ast.JoinedStr():
            return [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
        case ast.BinOp(op=ast.Add()):
            left, right = _parts(node.left), _parts(node.right)
            return [*(left or [None]), *(right or [None])] if left or right else []
    return []


def _template(parts: list[str | None]) -> str:
    numbers = count(1)
    return "".join(f"{{{next(numbers)}}}" if part is None else part for part in parts)


def _not_told(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node's children is no text of its own, or is said to the log only."""
    match node:
        case ast.Expr(value=ast.Constant() as docstring):
            yield docstring
        case ast.JoinedStr():
            for part in node.values:
                yield from (
                    part,
                    *([part.format_spec] if isinstance(part, ast.FormattedValue) and part.format_spec else []),
                )
        case ast.BinOp(op=ast.Add()):
            yield from (node.left, node.right)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"))):
            yield from node.args
        case ast.Call(func=ast.Name(id="Word")):  # dashboard.search_help explains the words of a search
            yield from node.args[1:]


def _is_sentence(text: str) -> bool:
    """Words in a row, or a word with something filled in; nothing that only a machine reads."""
    return bool(re.search(r"[A-Za-z]{2,}[,:;]? (?:[a-z]|\{\w+\})|\} [a-z]{2,}", text)) and not re.search(
        r"\b(SELECT|UPDATE|DELETE|INSERT|FROM|WHERE|SET|ORDER BY|INTERVAL)\b|%s|\\[bsd]|\(\?|\n", text
    )
