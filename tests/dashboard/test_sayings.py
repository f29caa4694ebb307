"""What services say, in Korean: every sentence of theirs that a page may show has its translation, and is found again with what
it fills in."""

from functools import cache
from io import BytesIO
from pathlib import Path
from time import perf_counter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.conf import settings

from sendarix.core import sayings
from sendarix.core.sayings import said
from tests.dashboard.sentences import literals, sentences

CATALOGUE = Path(settings.BASE_DIR, "locale/ko/LC_MESSAGES/services.po")


@cache
def catalogue() -> Catalog:
    with CATALOGUE.open("rb") as file:
        return read_po(file)


def translations() -> dict[str, str]:
    return {str(one.id): str(one.string) for one in catalogue() if one.id and one.string and not one.fuzzy}


def test_every_sentence_of_a_service_has_its_korean():
    assert {text.strip() for text in sentences()} - set(translations()) == set()


def test_the_catalogue_holds_nothing_that_no_service_says():
    known = {text.strip() for text in literals() | sentences()}
    assert set(translations()) - known == set()


def test_a_translation_fills_in_what_the_sentence_does():
    names = sayings._placeholder.findall
    assert [text for text, told in translations().items() if set(names(text)) != set(names(told))] == []


def test_what_is_compiled_is_the_catalogue():
    fresh = BytesIO()
    write_mo(fresh, catalogue())
    fresh.seek(0)
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = {str(one.id): str(one.string) for one in read_mo(file) if one.id}
    assert compiled == {str(one.id): str(one.string) for one in read_mo(fresh) if one.id}


def test_each_sentence_is_told_with_what_is_filled_in():
    """Whatever else the catalogue holds that looks like it."""
    wrong = []
    for text, told in translations().items():
        values = {name: str(7 + number) for number, name in enumerate(sayings._placeholder.findall(text))}
        filled = [sayings._placeholder.sub(lambda at, values=values: values[at[1]], part) for part in (text, told)]
        if said(filled[0], "ko").removesuffix(".") != filled[1].removesuffix("."):
            wrong.append((filled[0], said(filled[0], "ko")))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "There is no TXT record at sx1._domainkey.acme.example. We sign with this key as soon as its record is found.",
            "sx1._domainkey.acme.example에 TXT 레코드가 없습니다. 레코드가 확인되는 대로 이 키로 서명합니다.",
        ),
        (
            "The SPF record fails: in spf.example.com, include example.net has no SPF record.",
            "SPF 레코드 오류: spf.example.com에서 include example.net: SPF 레코드가 없습니다.",
        ),
        (
            "rule Bulk mail: the fallback, one of 2 usable routes, with a share of 50%",
            "Bulk mail 규칙: 대체 경로, 사용할 수 있는 경로 2개 중 하나, 비중 50%",
        ),
        (
            "no routing rule applies: no route may carry it now (A: its weight is 0; B: disabled; C: paused: works; until 3)",
            "적용되는 라우팅 규칙 없음: 지금 보낼 수 있는 경로가 없습니다"
            "(A: 가중치가 0입니다; B: 중지됨; C: 일시 중지: works; until 3)",
        ),
        (
            "paused: alert Too many: key key_01: 412 messages in 2 minutes, usually 18",
            "일시 중지: Too many 알림: 키 key_01: 2분 동안 메시지 412건, 평소 18",
        ),
        (
            "A tag is not closed, or longer than 4,000 characters, line 1, column 3.",
            "태그가 닫히지 않았거나 4,000자를 넘습니다, 1행 3열.",
        ),
    ],
)
def test_sentences_stand_beside_and_inside_each_other(text, told):
    assert said(text, "ko") == told


@pytest.mark.parametrize(
    "text", ["", ".", "550 5.1.1 No such user here; see https://hanbit.example/", "Lee, in Seoul, today", "x" * 5_000]
)
def test_what_others_say_stays_as_it_is(text):
    assert said(text, "ko") == text


def test_english_stays_english():
    assert said("disabled", "en") == "disabled"


@pytest.mark.parametrize("piece", ["paused: ", "A. ", "a: ", "a; ", "There is no x. ", "rule a: in 1, ", "(of {1}"])
def test_no_text_takes_long(piece):
    began = perf_counter()
    said((piece * 2_000)[: sayings.LONGEST], "ko")
    assert perf_counter() - began < 1
