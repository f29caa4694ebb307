"""What is known of a path: counted by all workers together, fading, and the breaker that it moves."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import transaction

from messaging.delivery import breaker, health, ways
from messaging.delivery.outcomes import Cause, Outcome, Phase, Reply, Verdict
from messaging.delivery.tallies import Seen
from messaging.delivery.ways import EVERYWHERE, Kind
from messaging.models import PathChange, PathHealth
from tests import world
from tests.delivery import paths
from tests.delivery.dns_server import DnsServer
from tests.delivery.paths import breakers, end_rests, history, path, route
from tests.delivery.smtp_sink import Later, SmtpSink
from tests.world import MAIL, drain, message, send, status

LATER = "451 4.3.0 later"


def flood(api, count: int, recipient: str = "kim@hanbit.example", **fields) -> None:
    """That many different mails."""
    mails = [MAIL | {"recipient": recipient, "subject": f"Order {n}"} | fields for n in range(count)]
    assert api.post("/v1/messages/batch", {"messages": mails}).status == 202


def counts(row: PathHealth) -> tuple[int, ...]:
    return tuple(round(n) for n in (row.delivered, row.deferred, row.bounced, row.failed))


@pytest.fixture
def primary(sink):
    return route("primary", sink.port)


@pytest.fixture
def mail_hosts(settings, take_route):
    """Direct delivery to quick.example and slow.example, each with a mail server of its own."""
    zones = {f"{name}.example": {"MX": [f"10 mx.{name}.example."]} for name in ("slow", "quick")}
    hosts = {"mx.slow.example": {"A": ["127.0.0.2"]}, "mx.quick.example": {"A": ["127.0.0.3"]}}
    with (
        DnsServer(zones | hosts) as names,
        SmtpSink(host="127.0.0.2") as slow,
        SmtpSink(host="127.0.0.3", port=slow.port) as quick,
    ):
        settings.DNS_SERVERS = [urlsplit(f"//127.0.0.1:{names.address[1]}")]
        take_route(f"mx:?port={slow.port}&allow_private=1&tls=none")
        yield slow, quick


# counting


def test_every_outcome_is_counted_for_its_path_and_for_its_route(api, sink, primary):
    sink.script["rcpt"] = ["250 ok", "451 4.3.0 later", "550 5.1.1 unknown"]
    flood(api, 1)
    drain()
    flood(api, 1)
    drain()
    flood(api, 1)
    drain()
    flood(api, 1, "lee@daesan.example")
    drain()
    assert counts(path(primary.id, "hanbit.example")) == (1, 1, 1, 0)
    assert counts(path(primary.id, "daesan.example")) == (1, 0, 0, 0)
    assert counts(path(primary.id, EVERYWHERE)) == (2, 1, 1, 0)
    assert path(primary.id, "hanbit.example").milliseconds > 0


def test_a_connection_that_fails_speaks_against_the_smarthost_not_the_destination(api, primary, sink):
    sink.stop()
    send(api)
    drain()
    assert [(row.destination, counts(row)) for row in PathHealth.objects.all()] == [(EVERYWHERE, (0, 0, 0, 1))]


def test_a_test_key_leaves_no_trace_in_the_health_of_paths(acme, sink):
    send(acme.test)
    drain()
    assert not PathHealth.objects.exists()


def seen(outcome: Outcome, message_id: str = "msg_1", destination: str = "hanbit.example") -> Seen:
    return Seen(ways.Route("mx", "mx", Kind.MX), destination, message_id, 2, outcome, 40)


DELIVERED = Outcome(Verdict.DELIVERED, None, Phase.DONE, Reply(250, None, "ok"))
DEFERRED = Outcome(Verdict.DEFERRED, Cause.SYSTEM, Phase.RCPT, Reply(451, None, "later"))
UNREACHED = Outcome(Verdict.DEFERRED, Cause.CONNECTION, Phase.CONNECTING)


def age(**delta: float) -> None:
    world.sql("UPDATE path_health SET updated_at = updated_at - %s", timedelta(**delta))


def test_what_was_seen_counts_half_after_ten_minutes(transactional_db):
    health.write([seen(DELIVERED)] * 8)
    age(minutes=10)
    health.write([seen(DEFERRED)])
    row = path("mx", "hanbit.example")
    assert (row.delivered, row.deferred) == (pytest.approx(4, rel=0.01), 1)
    assert row.milliseconds == 40


def test_workers_on_all_hosts_add_to_the_same_figures(transactional_db):
    world.together([lambda: health.write([seen(DELIVERED)] * 5)] * 4)
    assert path("mx", "hanbit.example").delivered == pytest.approx(20, rel=0.01)


def test_complaints_are_counted_where_the_mail_went_and_for_its_route(api, sink, primary):
    send(api)
    drain()
    health.note(primary.id, "hanbit.example", complained=1)
    assert path(primary.id, "hanbit.example").complained == 1
    assert path(primary.id, EVERYWHERE).complained == 1


def test_faded_figures_are_dropped_and_open_breakers_kept_for_a_day(transactional_db):
    health.write([seen(DELIVERED)])
    health.write([seen(UNREACHED, f"msg_{n}", "gone.example") for n in range(5)])
    age(hours=3)
    health.forget()
    assert breakers() == {("mx", "gone.example"): "open"}
    age(hours=24)
    health.forget()
    assert not PathHealth.objects.exists()


# opening


def test_one_message_that_fails_again_and_again_opens_nothing(transactional_db):
    for _ in range(30):
        health.write([seen(UNREACHED)])
    assert breakers() == {}


def test_trouble_long_past_is_not_held_against_a_path(transactional_db):
    for number in range(10):
        health.write([seen(UNREACHED, f"msg_{number}")])
        age(hours=6)
    assert breakers() == {}


def test_greylisting_opens_nothing(api, sink, primary):
    sink.script["rcpt"] = "450 4.2.0 greylisted, come back"
    flood(api, 40)
    drain()
    assert (counts(path(primary.id, "hanbit.example")), breakers()) == ((0, 40, 0, 0), {})


def test_a_destination_that_defers_everything_opens_its_path_only(api, sink, primary):
    sink.script["rcpt"] = lambda line: LATER if "hanbit" in line else None
    flood(api, 30)
    flood(api, 5, "lee@daesan.example")
    drain()
    assert breakers() == {(primary.id, "hanbit.example"): "open"}


def test_a_smarthost_that_is_away_opens_the_whole_route(api, sink, primary):
    sink.stop()
    for number in range(6):
        send(api, recipient=f"kim@company{number}.example")
    drain()
    assert breakers() == {(primary.id, EVERYWHERE): "open"}
    assert path(primary.id, EVERYWHERE).failed == pytest.approx(6, abs=1.1)


def test_a_dead_destination_opens_only_its_own_path_of_the_default_route(api, mail_hosts):
    slow, quick = mail_hosts
    slow.stop()
    flood(api, 12, "kim@slow.example")
    flood(api, 12, "lee@quick.example")
    drain()
    assert breakers() == {("mx", "slow.example"): "open"}
    assert len(quick.accepted) == 12


def test_what_waits_for_an_open_path_costs_no_attempt_and_says_until_when(api, sink, primary):
    sink.script["rcpt"] = LATER
    flood(api, 20)
    drain()
    tried = len(sink.sessions)
    message_id = send(api)
    drain()
    waiting = message(api, message_id)["waiting"]
    assert "primary: breaker open until " in waiting["why"]
    assert (status(api, message_id), message(api, message_id)["attempts"], waiting["for"]) == ("queued", 0, "paused")
    assert len(sink.sessions) == tried


def test_an_opening_is_on_record_with_its_figures(acme, sink):
    own = route("own", sink.port, acme)
    sink.script["rcpt"] = LATER
    flood(acme.live, 20)
    drain()
    assert history(own.id) == [("hanbit.example", "closed", "open")]
    change = PathChange.objects.get()
    assert "of the last tries were deferred or failed" in change.reason
    assert change.figures["deferred"] >= 10
    entry = world.sql("SELECT account_id, actor, action, subject FROM audit_log WHERE action LIKE 'breaker%%'")
    assert entry == [(acme.account.id, "delivery", "breaker.opened", f"{own.id} hanbit.example")]


def test_workers_that_see_it_at_the_same_moment_open_a_path_once(transactional_db):
    bad = [seen(UNREACHED, f"msg_{n}") for n in range(6)]
    world.together([lambda: health.write(bad)] * 4)
    assert history("mx") == [("hanbit.example", "closed", "open")]
    assert path("mx", "hanbit.example").openings == 1


# moving


def test_what_a_worker_holds_moves_to_the_next_route_critical_first(api, sink, primary):
    sink.script["rcpt"] = lambda _: LATER
    with SmtpSink() as other:
        backup = route("backup", other.port, connections=1)
        paths.publish({"then": {"routes": [{"route": primary.id}], "fallback": [{"route": backup.id}]}})
        flood(api, 60, priority="low")
        urgent = send(api, priority="critical", recipient="urgent@hanbit.example")
        drain()
        world.bring_due()
        drain()
        assert breakers() == {(primary.id, "hanbit.example"): "open"}
        assert len(other.accepted) == 61
        told = world.attempts(api, urgent)[-1]["explanation"]
    assert told["route"] == "backup"
    assert "breaker open until" in told["candidates"][0]["barred"]


def test_what_waits_in_a_lane_moves_at_once_when_its_path_opens(api, sink, primary):
    sink.script["rcpt"] = lambda _: Later(0.1, LATER)
    with SmtpSink() as other:
        backup = route("backup", other.port)
        paths.publish({"then": {"routes": [{"route": primary.id}], "fallback": [{"route": backup.id}]}})
        flood(api, 90)
        drain()
        tried = path(primary.id, EVERYWHERE).deferred
        assert len(other.accepted) == 90 - world.sql("SELECT count(*) FROM messages WHERE status = 'deferred'")[0][0]
        assert 10 <= round(tried) < 70


# coming back


@pytest.fixture
def resting(api, sink, primary):
    """The path of primary to hanbit.example rests; its mail server is well again."""
    sink.script["rcpt"] = LATER
    flood(api, 20)
    drain()
    assert breakers() == {(primary.id, "hanbit.example"): "open"}
    sink.script.clear()
    return primary


def test_a_rested_path_takes_a_few_probes_and_is_closed_when_they_come_through(api, sink, resting):
    end_rests()
    world.bring_due()
    drain()
    assert len(sink.accepted) == 2
    while breakers():
        world.bring_due()
        drain()
    assert [after for _, _, after in history(resting.id)] == ["open", "half_open", "closed"]
    world.bring_due()
    drain()
    assert len(sink.accepted) == 20


def test_a_probe_says_that_it_is_one(api, sink, resting):
    end_rests()
    message_id = send(api, priority="critical")
    drain()
    assert world.attempts(api, message_id)[0]["explanation"]["why"].endswith("a probe of its half-open path")


def test_a_probe_that_fails_opens_the_path_again_for_twice_as_long(api, sink, resting):
    sink.script["rcpt"] = LATER
    end_rests()
    send(api)
    drain()
    row = path(resting.id, "hanbit.example")
    assert (row.breaker, row.openings) == ("open", 2)
    assert row.open_until - row.changed_at == timedelta(seconds=60)


def test_all_workers_together_send_no_more_than_two_probes_at_once(resting):
    end_rests()
    key = (resting.id, "hanbit.example")

    def take() -> int:
        with transaction.atomic():
            free = health.probes([key])[key]
            health.begin({key: min(1, free)})
            return min(1, free)

    assert sum(world.together([take] * 6)) == breaker.MOST_PROBES


def test_a_message_whose_ladder_is_long_over_is_tried_although_the_path_rests(api, sink, resting):
    message_id = send(api)
    world.sql("UPDATE messages SET created_at = created_at - interval '2 days' WHERE id = %s", message_id)
    drain()
    assert status(api, message_id) == "delivered"


# asked to wait


def test_who_asks_to_be_left_alone_is_left_alone_by_all(api, sink, primary):
    sink.script["rcpt"] = ["451 4.7.1 rate limited, try again in 5 minutes"]
    send(api)
    drain()
    message_id = send(api)
    drain()
    assert sink.dots == 0
    assert "primary: asked to be left alone until" in message(api, message_id)["waiting"]["why"]
    critical = send(api, priority="critical")
    drain()
    assert status(api, critical) == "delivered"
