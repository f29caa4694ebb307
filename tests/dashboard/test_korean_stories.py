"""Pages in Korean, told by what services say: findings of domains, reasons of routing, refusals of forms, mails. Texts in `<bdi>`
count here, for services' sentences stand in them; what is data is named by each story."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.models import Alert
from messaging import notices
from messaging.delivery import breaker
from messaging.delivery.breaker import NO_PROBES, Breaker, Probes, State, Window
from messaging.models import Message, MessageContent, PathChange, PathHealth
from messaging.queues import pauses
from messaging.routes import registry as routes
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import ids
from suppressions import imports
from tests import builders, world
from tests.api_client import Api
from tests.dashboard.test_alerts import RULE
from tests.dashboard.test_domains import add, asked
from tests.dashboard.test_keys import NEW
from tests.dashboard.test_languages import SENTENCE, Words
from tests.dashboard.test_odd_input import ODD, form
from tests.dashboard.test_requests import note
from tests.dashboard.test_roles import PAGES
from tests.dashboard.test_routing import COMMON, rule
from tests.dashboard.test_settings import FIELDS as SETTINGS
from tests.dashboard.test_suppressions import upload
from tests.dashboard.test_webhooks import HOOK
from tests.dashboard.visitors import Visitor
from tests.messaging.domain_zone import put, zone
from tests.world import drain, send

__all__ = ["note", "zone"]

WRITTEN = ("Your order", "It is on its way.")
"""What the messages of these stories say themselves."""

LIQUID = re.compile(r"[Ee]xpected |missing ")
"""Faults of syntax in the words of the template library."""

NOW = datetime.now(UTC)
REST = timedelta(minutes=1)


class Told(Words):
    """The texts of a page, those in `<bdi>` too."""

    OTHERS = tuple(tag for tag in Words.OTHERS if tag != "bdi")


def english(page: str, *data: str) -> list[str]:
    """Sentences of English in the main part of a page, but for `data`."""
    main = page[page.index("<main") :] if "<main" in page else page
    texts = Told(main).texts
    for known in data:
        texts = [text.replace(known, "") for text in texts]
    return [text for text in texts if SENTENCE.search(text)]


@pytest.fixture
def reader(owner) -> Visitor:
    """An owner whose browser asks for Korean."""
    owner.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
    return owner


def actor(account: Account) -> Actor:
    return Actor(account.pk, "operator")


# domains


WRONG: dict[str, dict[str, list[str]]] = {
    "nothing": {},
    "other values": {
        "ownership": ["something else"],
        "dkim": ["v=DKIM1; k=rsa; p=AAAA"],
        "spf": ["v=spf1 ip4:192.0.2.1 -all"],
        "dmarc": ["v=DMARC1; p=none; adkim=s; aspf=s"],
    },
    "broken": {
        "ownership": ["something else"],
        "dkim": ["v=DKIM1; k=rsa; p"],
        "spf": ["v=spf1 include:nowhere.example ~all"],
        "dmarc": ["v=dmarc1; p=none"],
    },
    "twice": {
        "dkim": ["v=DKIM1; p=", "v=DKIM1; p=A"],
        "spf": ["v=spf1 -all", "v=spf1 ~all"],
        "dmarc": ["v=DMARC1; p=x"],
    },
    "terms": {"dkim": ["v=DKIM1; h=sha1; p="], "spf": ["v=spf1 ip4:nonsense +all"], "dmarc": ["v=DMARC1; p=x; p=y"]},
}


@pytest.mark.parametrize("published", WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_records_of_a_domain(reader, acme, zone, published):
    domain = add(acme)
    for record in asked(domain)["records"]:
        if values := published.get(record["purpose"]):
            put(zone, record["host"], *values)
    reader.sent(f"domains/{domain.pk}/verify")
    assert english(reader.page(f"domains/{domain.pk}")) == []


# routing


@pytest.fixture
def acme_at_work(transactional_db) -> Account:
    made = builders.account("acme")
    world.domain(made, "acme.example")
    return made


def look(account: Account) -> Visitor:
    visitor = Visitor(builders.member(account, "owner"), account)
    visitor.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
    return visitor


def inbox(account: Account, name: str, **fields: object) -> str:
    return routes.create(account.pk, "inbox", {"name": name, **fields}, {}, actor(account)).pk


def at_rest(route_id: str) -> None:
    """The breaker of its path to hanbit.example is open for an hour."""
    PathHealth.objects.create(
        route_id=route_id, destination="hanbit.example", breaker="open", open_until=NOW + timedelta(hours=1),
        updated_at=NOW, changed_at=NOW,
    )  # fmt: skip


def hold_back(account: Account, reason: str, **where: object) -> None:
    pauses.pause(account.pk, pauses.Conditions(**where), reason, None, actor(account))


def test_why_a_message_took_its_way_and_what_barred_the_others(acme_at_work):
    inbox(acme_at_work, "Off", enabled=False)
    inbox(acme_at_work, "Weightless", weight=0)
    inbox(acme_at_work, "Bulk", tiers=["low"])
    at_rest(inbox(acme_at_work, "Resting"))
    hold_back(acme_at_work, "works", route=inbox(acme_at_work, "Paused"))
    inbox(acme_at_work, "Primary")
    message_id = send(Api(builders.api_key(acme_at_work)))
    drain()
    page = look(acme_at_work).page(f"messages/{message_id}")
    assert "적용되는 라우팅 규칙 없음: 사용할 수 있는 유일한 경로" in page
    assert page.count("일시 중지: works") == 1
    assert english(page, *WRITTEN) == []


def test_what_a_message_waits_for(acme_at_work):
    at_rest(inbox(acme_at_work, "Primary"))
    message_id = send(Api(builders.api_key(acme_at_work)))
    drain()
    page = look(acme_at_work).page(f"messages/{message_id}")
    assert "지금 보낼 수 있는 경로가 없습니다(Primary: " in page
    assert english(page, *WRITTEN) == []


@pytest.mark.parametrize(
    ("kind", "note", "told"),
    [
        ("paced", "route KR main is busy", "(KR main 경로가 붐빕니다)"),
        ("paced", "route KR main asked to be left alone", "(KR main 경로에서 발송을 멈춰 달라고 요청했습니다)"),
        (
            "paced",
            "the limits of route KR main to gmail are reached",
            "KR main 경로에서 gmail(으)로 보내는 한도에 도달",
        ),
        (
            "paused",
            "paused: alert Wild: key key_1: 9 messages in 2 minutes, more than 5",
            "(일시 중지: Wild 알림: 키 key_1: ",
        ),
    ],
)
def test_each_kind_of_waiting(acme_at_work, kind, note, told):
    message_id = send(Api(builders.api_key(acme_at_work)))
    Message.objects.filter(id=message_id).update(waits_for=kind, waits_note=note, due_at=NOW + timedelta(minutes=5))
    page = look(acme_at_work).page(f"messages/{message_id}")
    assert told in page
    assert english(page, *WRITTEN) == []


def test_what_an_attempt_ran_into(acme_at_work, sink):
    sink.stop()
    message_id = send(Api(builders.api_key(acme_at_work)))
    drain()
    assert english(look(acme_at_work).page(f"messages/{message_id}"), *WRITTEN) == []


def test_the_simulator_tells_what_bars_routes_and_which_rules_do_not_hold(acme_at_work):
    only, codes = inbox(acme_at_work, "Only", tiers=["low"]), inbox(acme_at_work, "Codes", enabled=False)
    visitor = look(acme_at_work)
    fields: dict[str, object] = {"rule": [f"r{number}" for number in range(5)], "do": "publish", "base": "0"}
    fields |= rule("r0", "Codes", codes, tiers="critical") | rule("r1", "Tagged", only, tags="codes")
    fields |= rule("r2", "Theirs", only, domains="acme.example") | rule("r3", "Large", only, larger_than="5000")
    fields |= rule("r4", "Rest", only, fallback0=codes, fallback0_weight="100")
    visitor.sent("routing/rules/edit", fields)
    page = visitor.page("routing/simulator", recipient="kim@hanbit.example", tier="normal", size="100")
    assert "Rest 규칙: 지금 보낼 수 있는 경로가 없습니다(Only: 이 등급을 보내지 않습니다; Codes: 중지됨)" in page
    assert "larger_than: 100바이트는 5000보다 크지 않습니다" in page
    assert english(page) == []


def test_the_history_of_a_route(acme_at_work):
    made = inbox(acme_at_work, "Primary")
    probing = Breaker(State.HALF_OPEN, openings=1, changed_at=NOW)
    steps = [
        breaker.step(Breaker(), Window(20, 20, 8, 5), NO_PROBES, NOW, REST),
        breaker.step(Breaker(), Window(100, 90, 0, 5), NO_PROBES, NOW, REST),
        breaker.step(probing, Window(1, 1, 0, 1), Probes(bad=1), NOW, REST),
        breaker.step(probing, Window(9, 0, 0, 0), Probes(good=9), NOW, REST),
        breaker.ask(Breaker(State.OPEN, NOW, 1), NOW),
    ]
    assert all(step.reason for step in steps)
    for step in steps:
        PathChange.objects.create(
            route_id=made, destination="*", before="closed", after=step.breaker.state, reason=step.reason, figures={}
        )
    page = look(acme_at_work).page(f"routing/routes/{made}")
    assert "연결이 8회 연속 실패했습니다" in page
    assert english(page) == []


# forms


def refused(visitor: Visitor, path: str, fields: dict[str, object]) -> str:
    answer = visitor.post(path, fields)
    assert answer.status_code == 422, answer.status_code
    return answer.content.decode()


def test_refusals_stand_at_their_fields_in_korean(reader, acme):
    inbox(acme, "Primary")
    reader.sent("templates", {"key": "welcome", "kind": "template"})
    for path, fields, told in (
        ("keys/new", NEW | {"source_ips": "nowhere"}, "같은 네트워크도 아닙니다: nowhere."),
        ("keys/new", NEW | {"sender_domains": "bad domain"}, "발신 도메인이 아닙니다: "),
        ("suppressions", {"recipient": "nobody", "reason": "manual"}, "이메일 주소에는 @이 있어야 합니다."),
        ("templates", {"key": "welcome", "kind": "template"}, "이 계정에 이미 키가 welcome인 템플릿이 있습니다."),
        ("templates", {"key": "two words", "kind": "template"}, ""),
        ("webhooks/new", HOOK | {"url": "ftp://acme.example"}, "URL은 http:// 또는 https://로 시작해야 합니다."),
        ("webhooks/new", HOOK | {"url": "https://10.0.0.1/hook"}, "URL의 주소가 공개 인터넷 주소가 아닙니다."),
        ("routing/routes/new?kind=smtp", {**COMMON, "name": "A", "host": "not a host", "port": "25"}, ""),
        ("routing/routes/new?kind=inbox", {**COMMON, "name": "Primary"}, "이미 Primary 경로가 있습니다."),
        (
            "routing/rules/edit",
            {"rule": ["r0"], **rule("r0", "A"), "do": "publish", "base": "0"},
            "항목이 1개 이상이어야",
        ),
        ("alerts/rules/new", RULE | {"scope": "account"}, "키 보류: 대상이 키이고"),
        ("alerts/rules/new", RULE | {"metric": "queue_age"}, ""),
        ("settings", SETTINGS | {"default_sender": "nobody"}, "발신자가 아닙니다: "),
        ("settings", SETTINGS | {"timezone": "Mars/Olympus"}, ""),
        ("domains", {"domain": "co.uk"}, "co.uk: 다른 사람들이 등록하는 공용 접미사입니다."),
        ("queues", {"destination": "not a domain", "reason": "why"}, "도메인이거나 다음 중 하나여야 합니다: "),
    ):
        page = refused(reader, path, fields)
        assert told in page, (path, english(page))
        assert english(page) == [], path
    page = reader.get("messages", q="status:bounce statsu:x").content.decode()
    assert "&#x27;bounce&#x27; 상태는 없습니다. 혹시 bounced 인가요?" in page
    assert english(page) == []


def test_refusals_without_a_field_are_notices_in_korean(reader, acme):
    made = inbox(acme, "Primary")
    fields = {"rule": ["r0"], **rule("r0", "A", made), "do": "publish", "base": "0"}
    reader.sent("routing/rules/edit", fields)
    assert "A 라우팅 규칙에서 이 경로를 사용합니다." in reader.sent(f"routing/routes/{made}/remove")
    assert "메일이 여기에 보관되므로 연결할 곳이 없습니다." in reader.sent(f"routing/routes/{made}/check")


def test_what_is_wrong_with_a_template_is_told_in_korean(reader):
    reader.sent("templates", {"key": "welcome", "kind": "template"})
    page = reader.page("templates/welcome")
    blank = dict(re.findall(r'name="([\w-]+)"[^>]*?value="([^"]*)"', page)) | {"subject": "Hi", "data": "{}"}
    for html, told in (
        ("{% if %}", ""),
        ("{{ user.name }", ""),
        ("<p>{{ name }}</p>", "템플릿에 name 변수가 필요합니다."),
        ("{% render 'nowhere' %}", "키가 nowhere인 게시된 부분 템플릿이 없습니다."),
    ):
        shown = reader.post("templates/welcome/facts", blank | {"html": html}).content.decode()
        assert told in shown, shown
        assert [text for text in english(shown) if not LIQUID.search(text)] == [], html


def test_odd_words_in_forms_are_refused_in_korean(reader):
    """Each form of the pages' own, as its page shows it, every field with another odd word."""
    left = []
    for at, (name, pattern) in enumerate(PAGES.items()):
        view = pattern.callback.view_class
        if not {"GET", "POST"} <= set(view.actions) or pattern.pattern.converters.keys() - {"slug", "environment"}:
            continue
        path = reader.url(str(pattern.pattern))
        fields = set(re.findall(r'name="([\w-]+)"', reader.client.get(path).content.decode())) - {"viewport"}
        for turn in range(3):
            words = {asked: ODD[(at + place * 7 + turn * 5) % len(ODD)] for place, asked in enumerate(sorted(fields))}
            answer = reader.client.post(path, form(words), content_type="application/x-www-form-urlencoded")
            if answer.status_code == 422:
                left += [(name, text) for text in english(answer.content.decode())]
    assert left == []


# what is stored by alerts, webhooks, imports and the request log


def test_what_an_alert_could_not_do_and_the_pause_it_made(reader, acme):
    key = acme.api_keys.create(id=ids.new("key"), livemode=True, digest="0" * 64, last4="0000", scopes=[])
    hold_back(acme, f"alert Wild: key {key.id}: 412 messages in 2 minutes, usually 18", key=key.id)
    Alert.objects.create(
        id=ids.new("alt"), account=acme, livemode=True, rule_id="alr_1", rule_name="Wild", metric="volume", compare="above",
        window_seconds=120, scope="key", subject=key.id, threshold=20, value=412, worst=412, volume=412, fired_at=NOW,
        seen_at=NOW, trouble="The key could not be held: There is no such live key. No mail to ops@acme.example: "
        "SENDARIX_PLATFORM_SENDER is not set: the platform can't send mail.",
    )  # fmt: skip
    assert "키를 보류할 수 없었습니다: 없는 실제 환경 키입니다." in reader.page("alerts")
    assert "2분 동안 메시지 412건, 평소 18" in reader.page("queues")
    assert english(reader.page("alerts") + reader.page("queues")) == []


def test_rows_of_a_table_that_were_refused(reader):
    path = upload(reader, "recipient,reason\nnobody,manual\nkim@hanbit.example,mood\nlee@hanbit.example,manual,more\n")
    imports.work()
    page = reader.page(path)
    assert "이메일 주소에는 @이 있어야 합니다." in page
    assert "행에는 셀이 3개 있지만 열은 2개입니다." in page
    assert english(page) == []


def test_what_was_wrong_with_a_request(reader, note):
    faults = (("recipient", "required"), ("colour", "unknown_field"))
    page = reader.page(f"requests/{note(status=422, code='validation_failed', faults=faults)}")
    assert "errors에 나열된 항목을 모두 고치세요." in page
    assert english(page) == []


# mails


def letters() -> list[tuple[str, str, str, str]]:
    """Recipient, subject, text and HTML of the mails of the platform."""
    found = MessageContent.objects.filter(key_id=notices.KEY).order_by("message_id")
    return [(one.recipient, one.subject, one.text or "", one.html or "") for one in found]


def test_an_invitation_is_in_the_language_of_who_is_invited(owner, platform):
    builders.user("kim@hanbit.example", language="ko")
    for visitor, language in ((owner, "en"), (owner, "ko")):
        visitor.client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        for address in ("kim@hanbit.example", "lee@hanbit.example"):
            visitor.sent("members", {"email": address, "role": "support"})
    mails = letters()
    assert [subject for _, subject, *_ in mails] == ["Sendarix에서 Acme 참여하기", "Join Acme on Sendarix"] * 2
    for recipient, _, text, html in mails:
        if recipient == "kim@hanbit.example":
            assert english(html) == []
            assert "일주일" in text
            assert '<html lang="ko">' in html
        else:
            assert "The link works for a week." in text
            assert '<html lang="en">' in html


def test_a_password_reset_is_in_the_language_of_its_person(owner, platform):
    owner.user.language = "ko"
    owner.user.set_password("a long passphrase of theirs")
    owner.user.save()
    Client().post("/password/reset", {"email": owner.user.email})
    ((recipient, subject, text, html),) = letters()
    assert (recipient, subject) == (owner.user.email, "Sendarix 비밀번호 재설정")
    assert not SENTENCE.search(text)
    assert english(html) == []
