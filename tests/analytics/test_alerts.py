"""Alerts: what each metric sees, what is done about it, and what comes after."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from analytics import rollup
from analytics.alerts import readings, rounds
from analytics.dimensions import OTHER, Dimension
from analytics.models import Alert, AlertRule, HourCount
from messaging import notices
from messaging.models import MessageContent, QueuePause
from sendarix.accounts.models import ApiKey, AuditEntry
from tests import builders, world
from tests.analytics.traffic import message
from tests.world import drain, send, status

SECOND = timedelta(seconds=1)
BOUNCE = ("queued", "accepted", "bounced")


def rule(api, **fields) -> str:
    asked = {"name": "Rule", "metric": "volume", "minimum": 1, "window_seconds": 120, "webhook": False} | fields
    answer = api.post("/v1/alert-rules", asked)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def now() -> datetime:
    return datetime.now(UTC)


def look(at: datetime | None = None) -> int:
    """What a dispatcher does, as if it had waited since its last look."""
    rollup.run(60.0)
    AlertRule.objects.update(evaluated_at=None)
    return rounds.run(at or now())


def alerts(api, **query) -> list[dict]:
    return api.get("/v1/alerts", query).json["data"]


def mail(owner, count: int, story=("queued", "accepted", "delivered"), at: datetime | None = None, **fields) -> None:
    with transaction.atomic():
        for _ in range(count):
            message(owner, story, at or now() - 20 * SECOND, 0.001, **fields)


def actions(*names: str) -> list[str]:
    return list(AuditEntry.objects.filter(action__in=names).order_by("id").values_list("action", flat=True))


@pytest.mark.parametrize(
    ("fields", "story", "value"),
    [
        ({"metric": "volume", "threshold": 9}, BOUNCE, 10),
        ({"metric": "bounce_rate", "threshold": 0.05}, BOUNCE, 1.0),
        ({"metric": "deferral_rate", "threshold": 0.5}, ("queued", "accepted", "deferred"), 1.0),
        ({"metric": "complaint_rate", "threshold": 0.003}, ("queued", "accepted", "delivered", "complained"), 1.0),
    ],
    ids=["volume", "bounces", "deferrals", "complaints"],
)
@pytest.mark.parametrize(
    ("scope", "subject"),
    [
        ({"kind": "account"}, None),
        ({"kind": "key"}, "key_1"),
        ({"kind": "template", "value": "otp-code"}, "otp-code"),
        ({"kind": "tag"}, "vip"),
        ({"kind": "destination"}, "gmail"),
        ({"kind": "destination", "value": "gmail.com"}, "gmail.com"),
    ],
    ids=["account", "each key", "template", "each tag", "each group", "domain"],
)
def test_counts_cross_their_line_in_every_scope(acme, fields, story, value, scope, subject):
    rule(acme.live, scope=scope, **fields)
    mail(acme, 10, story, template="otp-code", tags=["vip"], recipient_key="kim@gmail.com")
    look()
    (alert,) = alerts(acme.live)
    assert (alert["state"], alert["value"], alert["scope"]["value"]) == ("open", value, subject)
    assert actions("alert.fired") == ["alert.fired"]


def test_below_its_line_nothing_fires(acme):
    rule(acme.live, threshold=10)
    rule(acme.live, metric="bounce_rate", threshold=0.5)
    mail(acme, 9)
    look()
    assert alerts(acme.live) == []


def test_a_rule_for_one_key_does_not_see_the_others(acme):
    rule(acme.live, threshold=5, scope={"kind": "key", "value": "key_1"})
    mail(acme, 10, key_id="key_2")
    look()
    assert alerts(acme.live) == []


def test_too_few_messages_prove_nothing(acme):
    rule(acme.live, metric="bounce_rate", threshold=0.05, minimum=11)
    mail(acme, 10, BOUNCE)
    look()
    assert alerts(acme.live) == []


def test_what_lies_before_the_window_does_not_count(acme):
    rule(acme.live, threshold=5)
    mail(acme, 10, at=now() - timedelta(minutes=4))
    look()
    assert alerts(acme.live) == []


def test_silence_crosses_a_line_downwards(acme):
    rule(acme.live, compare="below", threshold=1)
    look()
    assert alerts(acme.live)[0]["value"] == 0
    mail(acme, 5)
    look(now() + SECOND)
    look(now() + timedelta(minutes=3))
    assert alerts(acme.live)[0]["worst"] == 0


def test_latency_is_seen(acme):
    rule(acme.live, metric="latency_p95", threshold=30)
    with transaction.atomic():
        for _ in range(5):
            message(acme, ("queued", "delivered"), now() - 60 * SECOND, 45)
    look()
    assert alerts(acme.live)[0]["value"] == pytest.approx(45, rel=0.05)


def test_the_age_of_the_queue_is_seen(acme):
    rule(acme.live, metric="queue_age", threshold=60)
    send(acme.live)
    look()
    assert alerts(acme.live) == []
    world.sql("UPDATE messages SET due_at = now() - interval '5 minutes'")
    look()
    assert alerts(acme.live)[0]["value"] == pytest.approx(300, abs=60)


def test_failing_webhooks_are_seen(acme):
    hook = acme.live.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hooks", "event_types": ["message.queued"]})
    rule(acme.live, metric="webhook_failure_rate", threshold=0.5)
    send(acme.live)
    world.sql(
        "INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, succeeded, detail, request_headers,"
        " reply_headers, reply) SELECT id, 1, now(), 5, false, '', '{}', '{}', '' FROM webhook_deliveries WHERE endpoint_id = %s",
        hook.json["id"],
    )
    look()
    assert (alerts(acme.live)[0]["value"], alerts(acme.live)[0]["volume"]) == (1.0, 1)


@pytest.mark.parametrize(("scope", "subject"), [({"kind": "account"}, None), ({"kind": "key"}, "key_1")])
def test_many_mails_to_one_recipient_are_seen(acme, scope, subject):
    rule(acme.live, metric="recipient_volume", threshold=5, scope=scope)
    mail(acme, 6, recipient_key="victim@hanbit.example")
    for number in range(10):
        mail(acme, 1, recipient_key=f"other{number}@hanbit.example")
    look()
    (alert,) = alerts(acme.live)
    assert (alert["value"], alert["recipient"], alert["scope"]["value"]) == (6, "victim@hanbit.example", subject)


def usually(owner, key_id: str, an_hour: int) -> None:
    """As if this key had sent so many every hour for six weeks."""
    hour = now().replace(minute=0, second=0, microsecond=0)
    HourCount.objects.bulk_create(
        HourCount(
            account=owner.account, livemode=True, dimension=Dimension.KEY, value=key_id,
            at=hour - number * timedelta(hours=1), received=an_hour + number % 3,
        )
        for number in range(1, 24 * 7 * 6 + 1)
    )  # fmt: skip


@pytest.mark.parametrize("an_hour", [60, 600])
def test_a_key_that_sends_twenty_times_its_usual_is_held_within_two_minutes(acme, an_hour):
    usually(acme, acme_key(acme), an_hour)
    rule(acme.live, compare="baseline", factor=5, minimum=20, scope={"kind": "key"}, hold_key=True)
    began, seconds = now() - timedelta(minutes=3), 0.0
    while not alerts(acme.live):
        assert seconds <= 120
        mail(acme, round(20 * an_hour * rounds.EVERY / 3600), at=began + seconds * SECOND, key_id=acme_key(acme))
        seconds += rounds.EVERY
        look(began + seconds * SECOND)
    assert QueuePause.objects.get().key_id == acme_key(acme)


def test_a_key_that_sends_as_usual_is_left_alone(acme):
    usually(acme, "key_1", 600)
    rule(acme.live, compare="baseline", factor=5, minimum=20, scope={"kind": "key"})
    mail(acme, 40)
    look()
    assert alerts(acme.live) == []


def acme_key(owner) -> str:
    return world.sql("SELECT min(id) FROM api_keys WHERE account_id = %s AND livemode", owner.account.pk)[0][0]


def held(owner) -> tuple[str, dict]:
    """A key of Acme's that is held, with one message that waits; its id, and the alert."""
    waits = send(owner.live)
    rule(owner.live, threshold=0, scope={"kind": "key"}, hold_key=True, name="Flood")
    look()
    return waits, alerts(owner.live)[0]


def test_a_held_key_waits_and_says_why_and_goes_on_when_it_is_released(acme, sink):
    waits, alert = held(acme)
    free, later = send(acme.key()), send(acme.live)
    drain()
    assert [status(acme.live, one) for one in (waits, free, later)] == ["queued", "delivered", "queued"]
    assert world.message(acme.live, later)["waiting"]["why"].startswith("paused: alert Flood: key key_")
    answer = acme.live.post(f"/v1/alerts/{alert['id']}/release")
    assert (answer.status, answer.json["released"]) == (200, 2)
    assert answer.json["alert"]["hold"]["released_by"] == acme_key(acme)
    drain()
    assert status(acme.live, waits) == status(acme.live, later) == "delivered"
    assert actions("alert.fired", "queue.paused", "alert.released", "queue.resumed") == [
        "queue.paused", "alert.fired", "alert.released", "queue.resumed",
    ]  # fmt: skip


def test_a_key_that_was_released_is_not_held_again_by_the_same_alert(acme):
    _, alert = held(acme)
    acme.live.post(f"/v1/alerts/{alert['id']}/release")
    look()
    assert not QueuePause.objects.filter(ended_at=None).exists()
    assert acme.live.post(f"/v1/alerts/{alert['id']}/release").code == "conflict"


def test_an_alert_can_be_released_after_its_pause_was_ended_by_hand(acme):
    _, alert = held(acme)
    acme.live.post("/v1/queues/resume", {"id": alert["hold"]["pause_id"]})
    assert acme.live.post(f"/v1/alerts/{alert['id']}/release").json["released"] == 0


def test_what_can_not_be_held_is_told_and_the_rest_is_done(acme, settings):
    settings.PLATFORM_SENDER = ""
    rule(acme.live, threshold=0, scope={"kind": "key"}, hold_key=True, mail_to=["ops@acme.example"])
    mail(acme, 3, key_id="key_of_nobody")
    look()
    (alert,) = alerts(acme.live)
    assert alert["hold"] is None
    assert "There is no such live key." in alert["trouble"]
    assert "SENDARIX_PLATFORM_SENDER" in alert["trouble"]


def test_who_is_named_gets_a_mail_of_the_platforms_own(acme, sink):
    rule(acme.live, name="Too many", threshold=0, mail_to=["ops@acme.example", "cto@acme.example"])
    mail(acme, 3)
    look()
    drain()
    letters = [one.content.decode() for one in sink.transactions]
    assert len(letters) == 2
    assert all("Subject: Alert: Too many" in letter for letter in letters)
    assert all("3 messages in 2 minutes, more than 0" in letter for letter in letters)
    assert [row for row in acme.live.get("/v1/messages").json["data"] if "Alert" in row["subject"]] == []


def test_a_mail_is_in_the_language_of_the_user_it_goes_to(acme, sink):
    builders.user("kim@acme.example", language="ko")
    key = ApiKey.objects.get(account=acme.account, livemode=True)
    held = {"scope": {"kind": "key"}, "hold_key": True}
    rule(acme.live, name="Too many", threshold=0, mail_to=["kim@acme.example", "ops@acme.example"], **held)
    mail(acme, 3, key_id=key.id)
    look()
    mails = {one.recipient: one for one in MessageContent.objects.filter(key_id=notices.KEY)}
    subjects = {recipient: one.subject for recipient, one in mails.items()}
    assert subjects == {"kim@acme.example": "알림: Too many", "ops@acme.example": "Alert: Too many"}
    korean, english = (mails[name].text.splitlines() for name in sorted(mails))
    assert korean[0].endswith(": 2분 동안 메시지 3건, 0 초과")
    assert english[0].endswith(": 3 messages in 2 minutes, more than 0")
    assert [line for line in korean if re.search(r"[a-z]+ [a-z]+ [a-z]+", line)] == []


def test_endpoints_and_the_feed_are_told(acme):
    acme.live.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hooks", "event_types": ["alert.fired"]})
    rule_id = rule(acme.live, threshold=0, webhook=True)
    mail(acme, 3)
    look()
    acme.live.delete(f"/v1/alert-rules/{rule_id}")
    assert world.sql("SELECT type FROM webhook_deliveries") == [("alert.fired",)]
    told = [e for e in acme.live.get("/v1/events", {"limit": 100}).json["data"] if e["type"].startswith("alert.")]
    assert [event["type"] for event in told] == ["alert.fired", "alert.resolved"]
    assert told[0]["data"]["what"] == "3 messages in 2 minutes, more than 0"
    assert told[1]["data"]["resolution"] == "rule_removed"


def test_an_alert_ends_when_all_has_been_well_for_the_length_of_the_window(acme):
    rule(acme.live, threshold=5)
    mail(acme, 10)
    look()
    for minutes, state in ((1, "open"), (3.5, "open"), (5, "open"), (6, "resolved")):
        look(now() + timedelta(minutes=minutes))
        assert alerts(acme.live)[0]["state"] == state, minutes
    assert alerts(acme.live)[0]["resolution"] == "recovered"
    assert actions("alert.fired", "alert.resolved") == ["alert.fired", "alert.resolved"]


@pytest.mark.parametrize(
    ("fields", "story"),
    [
        ({"threshold": 9}, BOUNCE),
        ({"metric": "bounce_rate", "threshold": 0.5}, BOUNCE),
        ({"metric": "latency_p95", "threshold": 0.0001}, ("queued", "accepted", "delivered")),
        ({"metric": "recipient_volume", "threshold": 9}, BOUNCE),
    ],
    ids=["volume", "bounces", "latency", "to one recipient"],
)
def test_who_is_not_among_the_busiest_any_more_has_not_recovered(acme, monkeypatch, fields, story):
    rule(acme.live, scope={"kind": "key"}, **fields)
    mail(acme, 10, story, key_id="key_a")
    look()
    monkeypatch.setattr(readings, "SUBJECTS", 1)
    for busier in ("key_0", "key_b"):
        mail(acme, 20, story, key_id=busier)
    look()
    alert = Alert.objects.get(subject="key_a")
    assert (alert.resolved_at, alert.clear_since, alert.volume) == (None, None, 10)


def test_what_an_open_alert_is_about_is_counted_by_name_in_every_hour(acme, monkeypatch):
    rule(acme.live, threshold=9, scope={"kind": "key"})
    mail(acme, 10, key_id="key_a")
    look()
    monkeypatch.setattr(rollup, "MOST_VALUES", 1)
    later = now() + timedelta(hours=1)
    for key in ("key_b", "key_c", "key_a"):
        mail(acme, 1, at=later, key_id=key)
    rollup.run(60.0)
    counted = HourCount.objects.filter(dimension=Dimension.KEY, at__gt=now()).values_list("value", flat=True)
    assert set(counted) == {"key_b", OTHER, "key_a"}


def test_whose_mail_stops_altogether_has_not_risen_above_its_line(acme):
    rule(acme.live, compare="below", threshold=5, scope={"kind": "key"})
    mail(acme, 3, key_id="key_a")
    look()
    for minutes in (4, 10):
        look(now() + timedelta(minutes=minutes))
    (alert,) = alerts(acme.live)
    assert (alert["state"], alert["value"]) == ("open", 0)


def test_an_alert_that_is_open_is_not_opened_again_and_keeps_its_worst(acme):
    rule(acme.live, threshold=5)
    mail(acme, 10)
    look()
    mail(acme, 10)
    look()
    (alert,) = alerts(acme.live)
    assert (alert["value"], alert["worst"]) == (20, 20)


def test_two_dispatchers_open_one_alert(acme):
    rule(acme.live, threshold=5, mail_to=["ops@acme.example"])
    mail(acme, 10)
    rollup.run(60.0)
    at = now()
    done = world.together([lambda: rounds.run(at)] * 4)
    assert sum(done) == 1
    assert Alert.objects.count() == 1
    assert world.sql("SELECT count(*) FROM message_contents WHERE key_id = 'notices'") == [(1,)]


def test_a_rule_that_can_not_be_evaluated_keeps_no_other_from_it(acme, monkeypatch):
    broken = rule(acme.live, threshold=5)
    rule(acme.live, threshold=5)
    mail(acme, 10)
    read = readings.read
    monkeypatch.setattr(readings, "read", lambda rule, *rest: 1 / 0 if rule.id == broken else read(rule, *rest))
    assert look() == 1
    assert len(alerts(acme.live)) == 1


def test_a_disabled_rule_sleeps(acme):
    rule(acme.live, threshold=0, enabled=False)
    mail(acme, 3)
    assert look() == 0


def test_rules_watch_their_own_account_and_environment(acme, globex):
    for api in (globex.live, acme.test):
        rule(api, threshold=0)
    mail(acme, 10)
    look()
    assert [alerts(api) for api in (acme.live, globex.live, acme.test)] == [[], [], []]


def test_changing_what_is_watched_ends_the_alert_and_changing_its_name_does_not(acme):
    rule_id = rule(acme.live, threshold=5)
    mail(acme, 10)
    look()
    acme.live.patch(f"/v1/alert-rules/{rule_id}", {"name": "Other"})
    assert alerts(acme.live)[0]["state"] == "open"
    acme.live.patch(f"/v1/alert-rules/{rule_id}", {"threshold": 50})
    assert alerts(acme.live, state="resolved")[0]["resolution"] == "rule_changed"


def test_alerts_are_listed_by_state_and_rule(acme):
    first, second = rule(acme.live, threshold=5), rule(acme.live, threshold=6)
    mail(acme, 10)
    look()
    acme.live.delete(f"/v1/alert-rules/{first}")
    assert [one["rule_id"] for one in alerts(acme.live, state="open")] == [second]
    assert [one["rule_id"] for one in alerts(acme.live, rule=first)] == [first]
    page = acme.live.get("/v1/alerts", {"limit": 1}).json
    rest = acme.live.get("/v1/alerts", {"limit": 1, "cursor": page["next_cursor"]}).json
    assert {page["data"][0]["rule_id"], rest["data"][0]["rule_id"]} == {first, second}
    assert acme.live.get(f"/v1/alerts/{page['data'][0]['id']}").json == page["data"][0]
