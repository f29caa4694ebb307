"""What services say, in Korean: every sentence of theirs that a page may show has its translation, and is found again with what
it fills in."""

from functools import cache
from io import BytesIO
from pathlib import Path

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
    "text",
    [
        "",
        ".",
        "550 5.1.1 No such user here; see https://hanbit.example/",
        "Lee, in Seoul, today",
        "Sent in 3, 4",
        "Moved to 5 messages",
        "in 3: Seoul",
        "x" * 5_000,
    ],
)
def test_what_others_say_stays_as_it_is(text):
    assert said(text, "ko") == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rule Disabled: disabled", "Disabled 규칙: 중지됨"),
        ("Alert: 5 messages", "알림: 5 messages"),
        ("paused: 5 messages", "일시 중지: 5 messages"),
        ("tag disabled: 412 messages in 2 minutes, usually 18", "태그 disabled: 2분 동안 메시지 412건, 평소 18"),
    ],
)
def test_names_and_peoples_own_words_stay_inside_sentences(text, told):
    assert said(text, "ko") == told


def test_names_are_of_sentences_of_ours():
    known = translations()
    assert {text: set(names) - set(sayings._placeholder.findall(text)) for text, names in sayings.NAMES.items()} == {
        text: set() for text in sayings.NAMES if text in known
    }


def test_markup_is_not_made():
    told = said("rule <b>x</b>: disabled", "ko")
    assert (told, type(told)) == ("<b>x</b> 규칙: 중지됨", str)


def test_english_stays_english():
    assert said("disabled", "en") == "disabled"


PIECES = (
    "paused: ", "A. ", "a: ", "a; ", "There is no x. ", "rule a: in 1, ", "(of {1}",
    ": in , to ", " in , to  is used by ", ":  in ,  minutes5disabledalert ", "disabled is used by  in :  in in  messages, ",
    " (, line , column )", "the limits of route tags: in 5,  does not allow the key for e-mail",
)  # fmt: skip


def tries(text: str) -> int:
    ours = sayings._of("ko")
    assert ours
    reading = sayings.Reading(ours)
    reading.told(text)
    return reading.tries


@pytest.mark.parametrize("length", [60, 200, sayings.LONGEST])
@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece, length):
    assert tries((piece * sayings.LONGEST)[:length]) < 1_000


def test_sentences_of_ours_take_few_tries():
    assert max(tries(sayings._placeholder.sub("mail.acme.example", text)) for text in translations()) < 50


def test_a_text_that_takes_more_tries_than_it_may_stays_as_it_is(monkeypatch):
    text = "paused: alert Too many: key key_01: 412 messages in 2 minutes, usually 18"
    assert said(text, "ko") != text
    monkeypatch.setattr(sayings, "TRIES", tries(text) - 1)
    assert said(text, "ko") == text
