"""Retention: what is older than an account keeps it goes, whole and provably; nothing else does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.db import transaction

from messaging import actions, content, resending
from messaging.keeping import discards, retention, traces
from messaging.models import DeadLetter, RetentionRun
from sendarix.accounts import audit, provisioning, request_log
from sendarix.accounts.keys import Caller
from sendarix.core import ids
from tests import world
from tests.world import send

FILE = {"filename": "a.txt", "content": "YQ==", "content_type": "text/plain"}


def aged(api, days: int, **fields) -> str:
    """A message that ended so many days ago."""
    made = send(api, **fields)
    api.delete(f"/v1/messages/{made}")
    return world.created(made, (datetime.now(UTC) - timedelta(days=days)).isoformat())


def path_of(message_id: str) -> str:
    return world.sql("SELECT path FROM attachments WHERE message_id = %s", message_id)[0][0]


def runs(kind: str) -> list[RetentionRun]:
    return [one for one in retention.run() if one.kind == kind]


def test_bodies_and_files_go_after_30_days_and_the_rest_stays(acme):
    old, young = aged(acme.live, 31, attachments=[FILE]), aged(acme.live, 29)
    path = path_of(old)
    (run,) = runs("bodies")
    assert run.deleted == {"bodies": 1, "files": 1}
    assert run.complete
    assert run.oldest_left > run.cutoff
    assert world.sql("SELECT message_id, text IS NULL, redacted_at IS NULL FROM message_contents ORDER BY 1") == [
        (old, True, False),
        (young, False, True),
    ]
    assert world.message(acme.live, old)["subject"] == world.MAIL["subject"]
    with pytest.raises(OSError, match="No such file"):
        content.read(path, 1)


def test_messages_go_after_90_days_with_everything_about_them(acme):
    old, young = aged(acme.live, 91), aged(acme.live, 89)
    (run,) = runs("messages")
    assert run.complete
    assert (run.deleted["messages"], run.deleted["message_contents"], run.deleted["events"]) == (1, 1, 2)
    for table, column in (("messages", "id"), ("message_contents", "message_id"), ("events", "message_id")):
        assert world.sql(f"SELECT DISTINCT {column} FROM {table}") == [(young,)]
    assert acme.live.get(f"/v1/messages/{old}").status == 404


def test_mail_that_has_not_ended_is_kept_however_old(acme):
    waiting = world.created(send(acme.live), (datetime.now(UTC) - timedelta(days=400)).isoformat())
    assert retention.run() == []
    assert world.message(acme.live, waiting)["status"] == "queued"


def test_each_account_keeps_what_it_says(acme, globex):
    provisioning.change_account(acme.account, {"keep_bodies": 5, "keep_messages": 10}, audit.operator(acme.account))
    aged(acme.live, 11)
    theirs = aged(globex.live, 11)
    retention.run()
    assert world.sql("SELECT id FROM messages") == [(theirs,)]


def test_webhook_deliveries_go_with_their_message(acme):
    old = aged(acme.live, 91)
    world.sql(
        "INSERT INTO webhook_deliveries (endpoint_id, event_number, type, message_id, status, attempt, created_at)"
        " VALUES (1, 1, 'message.queued', %s, 'succeeded', 1, now())",
        old,
    )
    retention.run()
    assert world.sql("SELECT count(*) FROM webhook_deliveries") == [(0,)]


def test_the_request_log_goes_after_7_days(acme):
    now = datetime.now(UTC)
    for days in (6, 8):
        at = now - timedelta(days=days)
        request_log.write(
            [
                request_log.Entry(
                    ids.floor("req", at), at, acme.account.pk, True, "key_a", "GET", "", "/", 200, None, (), 1.0, None
                )
            ]
        )
    (run,) = runs("requests")
    assert (run.deleted, run.complete) == ({"requests": 1}, True)
    assert world.sql("SELECT count(*) FROM api_requests") == [(1,)]
    world.sql("DELETE FROM api_requests; DELETE FROM request_counts")


def test_many_go_in_small_batches_of_one_round(acme, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        aged(acme.live, 31)
    (run,) = runs("bodies")
    assert run.deleted == {"bodies": 5}


def test_a_file_that_could_not_be_deleted_is_said_to_be_left_and_swept_later(acme):
    old = aged(acme.live, 31, attachments=[FILE])
    whole = Path(storages[content.ALIAS].path(path_of(old)))
    whole.unlink()
    (whole / "in the way").mkdir(parents=True)
    (run,) = runs("bodies")
    assert (run.deleted, run.complete) == ({"bodies": 1}, False)
    (whole / "in the way").rmdir()
    world.sql("UPDATE discarded_files SET due_at = now()")
    discards.sweep()
    assert not whole.exists()
    assert world.sql("SELECT count(*) FROM discarded_files") == [(0,)]
    assert retention.run() == []


def test_what_a_killed_process_left_is_swept(acme):
    old = aged(acme.live, 31, attachments=[FILE])
    path = path_of(old)
    with transaction.atomic():
        traces.forget_files(acme.account.pk, [old])
    assert content.read(path, 1) == b"a"
    discards.sweep()
    with pytest.raises(OSError, match="No such file"):
        content.read(path, 1)


@pytest.mark.parametrize("days", [31, 91])
def test_what_is_being_sent_again_this_moment_keeps_its_files(acme, sink, days):
    sink.script["rcpt"] = "550 5.7.1 not like this"
    old = send(acme.live, attachments=[FILE])
    world.drain()
    sink.script.clear()
    old = world.created(old, (datetime.now(UTC) - timedelta(days=days)).isoformat())
    world.sql("UPDATE dead_letters SET message_id = %s", old)
    with transaction.atomic():
        assert actions.redrive(DeadLetter.objects.all(), datetime.now(UTC)) == [old]
        assert not any(one.deleted or one.complete for one in world.in_background(retention.run).result())
    world.drain()
    assert world.status(acme.live, old) == "delivered"
    assert b"a.txt" in sink.accepted[-1].content


def test_what_is_being_sent_once_more_as_a_new_message_is_read_whole(acme, monkeypatch):
    old = aged(acme.live, 31, attachments=[FILE])
    caller = Caller(acme.account.pk, "acme", "key_1", True, frozenset(), (), "")
    files = resending._files

    def late(message):
        world.in_background(retention.run).result()
        return files(message)

    monkeypatch.setattr(resending, "_files", late)
    made = resending.again(caller, old, "", datetime.now(UTC))
    assert content.read(path_of(made), 1) == b"a"
    assert runs("bodies")[0].deleted == {"bodies": 1, "files": 1}


def test_the_audit_log_says_what_went(acme):
    aged(acme.live, 31)
    retention.run()
    ((actor, subject, after),) = world.sql(
        "SELECT actor, subject, after->'deleted'->>'bodies' FROM audit_log WHERE action = 'retention.applied'"
    )
    assert (actor, subject, after) == ("retention", "bodies", "1")


def test_a_second_round_finds_nothing_and_says_nothing(acme):
    aged(acme.live, 91)
    retention.run()
    assert retention.run() == []


def test_bodies_are_not_kept_longer_than_messages(acme):
    with pytest.raises(provisioning.AccountFault, match="keep_bodies"):
        provisioning.change_account(acme.account, {"keep_bodies": 91}, audit.operator(acme.account))
