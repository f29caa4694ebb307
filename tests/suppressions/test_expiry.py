"""A suppression with an end: until then it holds, from then on it is as if it had never been."""

from datetime import datetime, timedelta

import pytest
from django.core.checks import run_checks

from suppressions import services
from tests import world
from tests.suppressions.test_records import KIM, add, check, get
from tests.world import drain, from_now, send, status


def pass_away() -> None:
    """As if every end had come."""
    world.sql("UPDATE suppressions SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL")


def test_until_its_end_it_holds(acme, sink):
    add(acme.live, expires_at=from_now(hours=1))
    message_id = send(acme.live)
    assert drain() == 0
    assert status(acme.live, message_id) == "suppressed"


def test_after_its_end_the_recipient_is_mailed_again(acme, sink):
    add(acme.live, expires_at=from_now(hours=1))
    pass_away()
    message_id = send(acme.live)
    drain()
    assert status(acme.live, message_id) == "delivered"


def test_after_its_end_nobody_sees_it(api):
    add(api, expires_at=from_now(hours=1))
    pass_away()
    assert get(api).status == api.delete(f"/v1/suppressions/{KIM}").status == 404
    assert api.get("/v1/suppressions").json["data"] == []
    assert check(api, KIM)[0]["suppressed"] is False
    assert KIM not in api.get("/v1/suppressions/export").body.decode()


def test_after_its_end_a_new_one_is_new(api):
    old = add(api, expires_at=from_now(hours=1), note="old").json
    pass_away()
    answer = add(api, reason="hard_bounce")
    assert answer.status == 201
    assert (answer.json["reason"], answer.json["note"], answer.json["expires_at"]) == ("hard_bounce", None, None)
    assert answer.json["id"] > old["id"]
    assert answer.json["created_at"] > old["created_at"]


def test_housekeeping_deletes_what_has_ended(api):
    add(api, expires_at=from_now(hours=1))
    add(api, "lee@hanbit.example")
    pass_away()
    assert services.forget_expired() == 1
    assert world.sql("SELECT recipient FROM suppressions") == [("lee@hanbit.example",)]


def test_without_an_end_the_reason_decides(api, settings):
    settings.SUPPRESSION_EXPIRY = {"hard_bounce": 90, "manual": 0}
    assert add(api).json["expires_at"] is None
    shown = add(api, "lee@hanbit.example", "hard_bounce").json
    lasts = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert abs(lasts - timedelta(days=90)) < timedelta(seconds=5)


@pytest.mark.parametrize("wrong", [{"bored": 3}, {"manual": -1}])
def test_an_unknown_reason_or_a_negative_time_is_told_at_the_start(settings, wrong):
    settings.SUPPRESSION_EXPIRY = wrong
    assert "suppressions.E001" in [found.id for found in run_checks()]
    settings.SUPPRESSION_EXPIRY = {"manual": 30}
    assert "suppressions.E001" not in [found.id for found in run_checks()]


def test_after_its_end_acceptance_does_not_warn(api):
    add(api, expires_at=from_now(hours=1))
    pass_away()
    assert "warnings" not in world.post(api).json
