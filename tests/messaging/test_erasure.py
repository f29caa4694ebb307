"""Erasure of an address: afterwards nothing says who it was, and everything that is counted still counts."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from analytics import rollup
from analytics.models import Alert
from messaging import actions, exports
from messaging.keeping import erasure
from messaging.models import DeadLetter
from messaging.searching import Scope
from sendarix.accounts import searches
from sendarix.accounts.keys import Caller
from sendarix.accounts.models import Role, User
from sendarix.core import events
from sendarix.core.errors import ValidationFailed
from suppressions import imports
from suppressions.models import Reason
from suppressions.spreadsheets import Table
from tests import builders, world
from tests.world import send

KIM = "Kim.Minji@hanbit.example"
FILE = {"filename": "a.txt", "content": "YQ==", "content_type": "text/plain"}


def erase(owner, address: str = KIM, **options) -> erasure.Erased:
    return erasure.erase(owner.account.pk, address, owner.actor, **options)


def note(owner) -> None:
    answer = owner.live.post("/v1/suppressions", {"recipient": KIM, "reason": "manual", "note": "Minji asked"})
    assert answer.status in (200, 201), answer.json


def everything() -> str:
    """All rows of all tables that hold mail or what was done with it."""
    tables = (
        "messages", "message_contents", "events", "attempts", "attachments", "captured_mail", "idempotency_keys", "audit_log",
        "webhook_deliveries", "webhook_attempts", "exports", "inbound_mail", "saved_searches", "suppression_import_parts",
        "alerts", "hour_counts", "minute_counts", "hour_latencies", "minute_latencies",
    )  # fmt: skip
    return " ".join(str(row) for table in tables for row in world.sql(f"SELECT t::text FROM {table} t"))


def test_nothing_says_who_it_was(acme, sink):
    sink.script["rcpt"] = f"550 5.1.1 <{KIM.lower()}> no such user"
    send(
        acme.live,
        recipient=f"Minji <{KIM}>",
        subject="Dear Minji",
        text=f"You are {KIM}.",
        metadata={"who": KIM},
        tags=["vip", f"to:{KIM}"],
        attachments=[FILE],
    )
    world.drain()
    acme.live.post("/v1/messages", world.MAIL | {"recipient": KIM}, {"Idempotency-Key": "k"})
    note(acme)
    done = erase(acme)
    left = everything().lower()
    assert "minji" not in left
    assert done.left == 0
    assert done.counts["messages"] == 2
    assert done.digest.lower() in left


def test_neither_does_a_search_an_import_or_an_alert(acme):
    key, caller = KIM.lower(), Caller(acme.account.pk, "acme", "key_1", True, frozenset(), (), "")
    searches.save(builders.member(acme.account, Role.OWNER), acme.account, f"of {KIM}", f"to:{KIM}")
    searches.save(User.objects.get(), acme.account, f"of {KIM.upper()}", "is:live")
    exports.start(Scope(acme.account.pk, True), f"to:{KIM}", acme.actor)
    imports.begin(caller, acme.actor, Table(f"recipient\n{KIM}\n"), Reason.MANUAL, "list.csv")
    imports.work()
    now = datetime.now(UTC)
    Alert.objects.create(
        id="alt_1", account=acme.account, livemode=True, rule_id="alr_1", rule_name="many", metric="recipient_volume",
        compare="above", window_seconds=60, scope="account", subject="", threshold=1, value=2, worst=2, volume=2,
        recipient=key, fired_at=now, seen_at=now,
    )  # fmt: skip
    with transaction.atomic():
        events.note(acme.account.pk, True, "alert.fired", recipient=key)
    erase(acme, forget_suppression=True)
    assert "minji" not in everything().lower()


def test_what_is_counted_under_a_tag_that_names_it_is_counted_under_the_mask(acme, sink):
    for tag in (KIM, KIM.lower(), "eu"):
        send(acme.live, recipient=KIM, tags=[f"to:{tag}"])
    world.drain()
    rollup.run()
    erase(acme)
    assert "minji" not in everything().lower()
    for table, column in (("hour_counts", "delivered"), ("minute_counts", "delivered"), ("hour_latencies", "messages")):
        counted = world.sql(f"SELECT value, sum({column})::int FROM {table} WHERE dimension = 3 GROUP BY 1 ORDER BY 1")
        assert counted == [("to:[erased]", 2), ("to:eu", 1)], table


def test_an_alert_about_a_tag_that_names_it_is_masked(acme):
    now = datetime.now(UTC)
    for number, address in enumerate((KIM, KIM.lower())):
        Alert.objects.create(
            id=f"alt_{number}", account=acme.account, livemode=True, rule_id="alr_1", rule_name="many", metric="volume",
            compare="above", window_seconds=60, scope="tag", subject=f"to:{address}", threshold=1, value=2, worst=2,
            volume=2, fired_at=now, seen_at=now,
        )  # fmt: skip
    erase(acme)
    assert {alert.subject for alert in Alert.objects.all()} == {"to:[erased] alt_0", "to:[erased] alt_1"}


@pytest.mark.parametrize("forget", [False, True])
def test_a_row_that_still_waits_to_be_imported_is_erased(acme, forget):
    caller = Caller(acme.account.pk, "acme", "key_1", True, frozenset(), (), "")
    rows = f"recipient,note\nlee@hanbit.example,wife of {KIM}\nMinji <{KIM.upper()}>,Minji asked\n"
    one = imports.begin(caller, acme.actor, Table(rows), Reason.MANUAL, "list.csv")
    done = erase(acme, forget_suppression=forget)
    assert done.counts["import_rows"] == 2
    assert "minji" not in everything().lower()
    assert imports.work() == 1
    assert "minji" not in everything().lower()
    one.refresh_from_db()
    assert (one.created, one.failed) == (1, 1)
    suppressed = world.sql("SELECT recipient_key, note FROM suppressions ORDER BY 1")
    lee = ("lee@hanbit.example", "wife of [erased]")
    assert suppressed == ([lee] if forget else [(KIM.lower(), ""), lee])


def test_counts_and_the_course_of_a_message_stay(acme, sink):
    made = send(acme.live, recipient=KIM, tags=["eu"])
    world.drain()
    erase(acme)
    shown = world.message(acme.live, made)
    assert (shown["status"], shown["recipient"], shown["subject"], shown["tags"]) == (
        "delivered",
        "[erased]",
        "[erased]",
        ["eu"],
    )
    assert world.story(acme.live, made) == ["queued", "accepted", "delivered"]


def test_what_waits_for_it_is_canceled(acme):
    made = send(acme.live, recipient=KIM)
    done = erase(acme)
    assert done.counts["canceled"] == 1
    assert world.status(acme.live, made) == "canceled"
    assert world.drain() == 0


def test_a_mail_that_is_being_sent_is_left_and_told(acme):
    made = send(acme.live, recipient=KIM)
    world.dying_worker(made)
    assert erase(acme).left == 1
    world.sql("UPDATE messages SET worker = NULL, status = 'delivered' WHERE id = %s", made)
    assert erase(acme).left == 0


def test_a_mail_that_is_being_queued_again_is_left_whole(acme, sink):
    sink.script["rcpt"] = "550 5.7.1 not like this"
    made = send(acme.live, recipient=KIM, attachments=[FILE])
    world.drain()
    sink.script.clear()
    with transaction.atomic():
        actions.redrive(DeadLetter.objects.all(), datetime.now(UTC))
        assert world.in_background(erase, acme).result().left == 1
    world.drain()
    assert world.status(acme.live, made) == "delivered"
    assert b"a.txt" in sink.accepted[-1].content


def test_its_suppression_stays_without_the_note_unless_it_is_to_go(acme):
    note(acme)
    erase(acme)
    assert world.sql("SELECT recipient_key, note FROM suppressions") == [(KIM.lower(), "")]
    erase(acme, forget_suppression=True)
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_other_addresses_and_other_accounts_are_not_touched(acme, globex):
    others = [send(acme.live), send(globex.live, recipient=KIM)]
    erase(acme)
    assert [world.sql("SELECT recipient FROM message_contents WHERE message_id = %s", one) for one in others] == [
        [(world.MAIL["recipient"],)],
        [(KIM,)],
    ]


def test_an_address_that_is_part_of_another_is_not_touched(acme, sink):
    others = (
        "aa@x.test",
        "b.a@x.test",
        "b+a@x.test",
        "b-a@x.test",
        "a@x.test.example",
        "a@x.tester",
        "a@x.test-b.example",
    )
    itself = ("<a@x.test>", "A@X.TEST", "rfc822;a@x.test", "'a@x.test'", "a@x.test.", "a@x.test,a@x.test", "a@x.test님")
    said = "\n".join(("", *others, *itself))
    send(acme.live, recipient="a@x.test")
    world.drain()
    world.sql("UPDATE attempts SET detail = %s", said)
    world.sql("UPDATE events SET data = %s", json.dumps({"text": said, "next": "\x01a@x.test\ta@x.test"}))
    kept = [send(acme.live, recipient=other) for other in others]
    searches.save(builders.member(acme.account, Role.OWNER), acme.account, "hers", "to:a@x.test -to:aa@x.test")
    erase(acme, "a@x.test")
    masked = [line.lower().replace("a@x.test", "[erased]") for line in itself]
    ((detail,),) = world.sql("SELECT detail FROM attempts")
    assert detail.split("\n") == ["", *others, *masked]
    for text, following in world.sql("SELECT data->>'text', data->>'next' FROM events WHERE data ? 'next'"):
        assert text.split("\n") == ["", *others, *masked]
        assert following == "\x01[erased]\t[erased]"
    assert world.sql("SELECT query FROM saved_searches") == [("to:[erased] -to:aa@x.test",)]
    assert {world.message(acme.live, one)["recipient"] for one in kept} == set(others)


def test_an_address_beyond_ascii_is_found_however_it_is_written(acme):
    body = world.MAIL | {"recipient": "민지@한빛.example"}
    assert acme.live.post("/v1/messages", body, {"Idempotency-Key": "k"}).status == 202
    erase(acme, "민지@한빛.example")
    searches.save(builders.member(acme.account, Role.OWNER), acme.account, "hers", "to:kim@한빛.example")
    erase(acme, "kim@xn--xx3br43b.example")
    left = everything()
    assert not any(part in left for part in ("민지", "\\ubbfc", "xn--", "한빛"))


def test_exports_made_before_are_deleted(acme):
    send(acme.live, recipient=KIM)
    export = exports.start(Scope(acme.account.pk, True), "", acme.actor)
    exports.work()
    erase(acme)
    assert world.sql("SELECT status, parts FROM exports WHERE id = %s", export.id) == [("expired", [])]


def test_many_are_erased_in_batches(acme, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 2)
    for api in (acme.live, acme.live, acme.test, acme.live, acme.test):
        send(api, recipient=KIM)
    assert erase(acme).counts["messages"] == 5


def test_the_audit_log_names_a_digest_only(acme):
    send(acme.live, recipient=KIM)
    done = erase(acme)
    ((subject, after),) = world.sql("SELECT subject, after::text FROM audit_log WHERE action = 'address.erased'")
    assert subject == done.digest == erase(acme).digest
    assert json.loads(after)["erased"]["messages"] == 1


def test_what_is_no_address_is_refused(acme):
    with pytest.raises(ValidationFailed):
        erase(acme, "not an address")


def test_the_command_erases_and_says_what(acme, capsys):
    send(acme.live, recipient=KIM)
    call_command("erase_address", "acme", KIM, "--json")
    assert json.loads(capsys.readouterr().out)["counts"]["messages"] == 1
    with pytest.raises(CommandError):
        call_command("erase_address", "nobody", KIM)
