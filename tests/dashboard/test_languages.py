"""The Korean catalogue: nothing is missing from it, and pages in Korean say nothing in English."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

from sendarix.dashboard import urls
from tests.dashboard.test_roles import path_of

ROOT = Path(settings.BASE_DIR)
CATALOGUE = ROOT / "locale/ko/LC_MESSAGES/django.po"
SOURCES = ("sendarix", "messaging", "suppressions", "webhooks", "analytics")
KEYWORDS = DEFAULT_KEYWORDS | {"gettext_lazy": None, "ngettext_lazy": (1, 2), "pgettext_lazy": ((1, "c"), 2)}
TEXT = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b_\({TEXT}\)|\bn?p?gettext\({TEXT}(?:, *{TEXT})*(?:, *count)?\)")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]|%%")
SENTENCE = re.compile(r"[A-Za-z']+ [a-z']+ [a-z']+")
ALONE = [pattern for pattern in urls.account if set(pattern.pattern.converters) <= {"slug", "environment"}]
OUTSIDE = [
    "/login",
    "/password/reset",
    "/password",
    "/profile",
    "/second-factor/setup",
    "/operator/",
    "/operator/platform",
    "/inbox",
]


@cache
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file)


def wanted() -> Iterator[tuple[str | None, str]]:
    """Context and text of every string marked for translation."""
    for package in SOURCES:
        for file in (ROOT / package).rglob("*.py"):
            yield from _found(file.read_text())
    for file in (ROOT / "templates").rglob("*.*"):
        yield from _found("\n".join(CALL.findall(templatize(file.read_text()))))


def _found(python: str) -> Iterator[tuple[str | None, str]]:
    for _line, text, _comments, context in extract("python", BytesIO(python.encode()), KEYWORDS):
        yield context, text if isinstance(text, str) else text[0]


class Words(HTMLParser):
    """The texts of a page that are its own: no code, no script, nothing that somebody else wrote."""

    OTHERS = ("script", "style", "code", "pre", "bdi", "textarea", "option")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.within: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.OTHERS:
            self.within.append(tag)
        named = [value for name, value in attrs if name in ("aria-label", "title", "placeholder", "data-confirm")]
        self.texts += [value for value in named if value]

    def handle_endtag(self, tag: str) -> None:
        if self.within and tag == self.within[-1]:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if not self.within and data.strip():
            self.texts.append(data.strip())


def english(page: str) -> list[str]:
    """Texts of a page that have a translation and are not translated, or that are sentences of English."""
    translated = {str(message.id) for message in catalogue() if message.id and message.string != message.id}
    return [text for text in Words(page).texts if text in translated or SENTENCE.search(text)]


def test_every_text_has_its_korean():
    missing = {f"{context or ''}: {text}" for context, text in wanted() if not _korean(text, context)}
    assert missing == set()


def _korean(text: str, context: str | None) -> object:
    message = catalogue().get(text, context)
    return message and not message.fuzzy and all(_parts(message.string))


def test_a_translation_keeps_the_placeholders():
    wrong = []
    for message in catalogue():
        if message.id and message.python_format:
            there = _placeholders(_parts(message.id)[-1])
            wrong += [text for text in _parts(message.string) if _placeholders(text) != there]
    assert wrong == []


def _placeholders(text: str) -> set[str]:
    return set(PLACEHOLDER.findall(text))


def test_what_is_compiled_is_the_catalogue():
    fresh = BytesIO()
    write_mo(fresh, catalogue())
    fresh.seek(0)
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        assert _contents(read_mo(file)) == _contents(read_mo(fresh))


def _contents(of: Catalog) -> list[tuple[str, str, str]]:
    """But the header, whose dates differ."""
    return sorted((str(one.context), str(_parts(one.id)), str(_parts(one.string))) for one in of if one.id)


def _parts(text: str | Sequence[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


@pytest.mark.parametrize("pattern", ALONE, ids=[pattern.name for pattern in ALONE])
def test_a_page_in_korean_says_nothing_in_english(owner, pattern):
    answer = owner.client.get(path_of(pattern, "acme"), headers={"Accept-Language": "ko"})
    assert answer.status_code in (200, 302, 405, 404), answer.status_code
    assert answer.headers["Content-Language"] == "ko"
    if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
        assert english(answer.content.decode()) == []


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_page_outside_an_account_says_nothing_in_english(operator, client, settings, path):
    settings.INBOX_PAGE = True
    visitor = client if path in ("/login", "/password/reset") else operator.client
    answer = visitor.get(path, headers={"Accept-Language": "ko"})
    assert answer.status_code == 200
    assert english(answer.content.decode()) == []
