"""Mails handed to the relay stand in the request log like calls of the API."""

import smtplib
from collections.abc import Iterator

import pytest

from sendarix.accounts import request_log
from sendarix.accounts.models import LoggedRequest
from tests import world
from tests.inbound.relaying import KIM, LEE, client, mail


@pytest.fixture(autouse=True)
def log(transactional_db) -> Iterator[request_log.Writer]:
    writer = request_log.keep()
    yield writer
    request_log.stop()
    world.sql("DELETE FROM api_requests; DELETE FROM request_counts")


def rows(log) -> list[LoggedRequest]:
    log.flush()
    return list(LoggedRequest.objects.order_by("id"))


def test_an_accepted_mail_is_one_request_with_a_message_for_each_recipient(relay, key, log):
    with client(relay, key) as session:
        session.send_message(mail(), to_addrs=[KIM, LEE])
    (row,) = rows(log)
    assert (row.method, row.route, row.status, row.messages) == ("SMTP", "/relay", 250, 2)
    assert row.source == "127.0.0.1"
    assert world.sql("SELECT DISTINCT request_id FROM message_contents") == [(row.id,)]


def test_a_refused_mail_is_kept_with_its_faults(relay, key, log):
    with client(relay, key) as session, pytest.raises(smtplib.SMTPDataError):
        session.send_message(mail(From="hello@elsewhere.example"), from_addr="hello@acme.example", to_addrs=[KIM])
    found = rows(log)
    assert [(row.status, row.route, row.faults) for row in found] == [
        (550, "/relay", [{"field": "from", "code": "sender_domain_not_registered"}])
    ]


def test_a_repetition_is_kept_as_a_replay(relay, key, log):
    with client(relay, key) as session:
        for _ in range(2):
            session.send_message(mail(Idempotency_Key="order-7"), to_addrs=[KIM])
    assert [row.replayed for row in rows(log)] == [False, True]
