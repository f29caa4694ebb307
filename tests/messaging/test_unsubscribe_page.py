"""What a person sees behind a link of List-Unsubscribe: a page in their language that needs nothing else and tells little."""

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client

from tests.messaging.test_unsubscribe_links import path
from tests.world import domain, send

KOREAN = Path(settings.BASE_DIR, "locale/ko/LC_MESSAGES/django.po")
TEMPLATES = Path(settings.BASE_DIR, "templates/unsubscribe")


@pytest.fixture
def link(acme) -> str:
    sender = {"from": '"Acme <b>Shop" <hello@acme.example>'}
    return path(send(acme.live, recipient="Kim Minsu <kim.minsu@hanbit.example>", **sender))


def page(link: str, language: str = "en", method: str = "get"):
    return getattr(Client(), method)(link, headers={"Accept-Language": language})


@pytest.mark.parametrize(("asked", "language", "word"), [
    ("en-GB,en;q=0.9", "en", "Unsubscribe"), ("ko-KR,ko;q=0.9,en;q=0.5", "ko", "수신 거부"), ("fr", "en", "Unsubscribe"),
    ("", "en", "Unsubscribe"), ("fr,ko;q=0.5", "ko", "수신 거부"), ("x" * 5000, "en", "Unsubscribe"),
])  # fmt: skip
def test_the_page_speaks_the_readers_language(link, asked, language, word):
    answer = page(link, asked)
    assert (answer["Content-Language"], answer["Vary"]) == (language, "Accept-Language")
    shown = answer.content.decode()
    assert f'<html lang="{language}">' in shown
    assert f'<button type="submit">{word}</button>' in shown


def test_a_language_is_the_one_requests_own(link):
    page(link, "ko")
    assert "Unsubscribe" in page(link, "en").content.decode()


def test_it_says_who_sends_and_not_who_receives(link):
    shown = page(link).content.decode()
    assert "Acme &lt;b&gt;Shop" in shown
    assert "acme.example" in shown
    assert "k•••@hanbit.example" in shown
    assert not re.search("minsu", shown, re.IGNORECASE)


@pytest.mark.parametrize("local", ["a", "ab"])
def test_a_short_address_is_not_guessed_from_its_first_letter(acme, local):
    shown = page(path(send(acme.live, recipient=f"{local}@hanbit.example"))).content.decode()
    assert "to •••@hanbit.example" in shown


def test_a_sender_without_a_name_is_shown_by_its_domain(acme):
    domain(acme, "xn--3e0b707e.example")
    shown = page(path(send(acme.live, **{"from": "hello@xn--3e0b707e.example"}))).content.decode()
    assert "<strong>한국.example</strong>" in shown


def test_it_needs_nothing_else_and_runs_nothing(link):
    answer = page(link)
    assert answer["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert not re.search(
        r"<script|<link(?! rel=\"icon\" href=\"data:,\")|src=|url\(|https?://| on\w+=", answer.content.decode()
    )
    assert not answer.cookies
    assert (answer["X-Robots-Tag"], answer["Cache-Control"]) == ("noindex, nofollow", "no-store")
    assert answer["Referrer-Policy"] == "no-referrer"


def test_its_button_posts_to_the_link_itself_without_a_cookie(link):
    assert '<form method="post"><button' in page(link).content.decode()
    answer = page(link, "ko", "post")
    assert answer.status_code == 200
    assert "수신 거부가 완료되었습니다" in answer.content.decode()
    assert "<form" not in answer.content.decode()


def test_a_broken_link_is_explained_in_the_readers_language(acme):
    assert "사용할 수 없는 링크입니다" in page("/u/x", "ko").content.decode()
    assert "This link does not work" in page("/u/x", "en").content.decode()


def test_every_text_of_the_pages_is_in_korean_and_compiled():
    with KOREAN.open("rb") as file:
        texts = {entry.id: entry.string for entry in read_po(file) if entry.id}
    with KOREAN.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    said = "".join(template.read_text() for template in TEMPLATES.glob("*.html"))
    asked = set(re.findall(r'{% translate "([^"]+)" %}', said))
    asked |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", text) for text in re.findall(r"{% blocktranslate[^%]*%}(.+?){%", said)}
    assert asked
    assert asked <= texts.keys()
    assert all(texts[original] and compiled.gettext(original) == texts[original] for original in asked)
