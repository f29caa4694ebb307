"""Attachments: stored before acceptance, streamed into the mail, gone when the message was not accepted."""

import base64
import email
import email.policy
import os
from functools import partial

import pytest
from django.core.files.storage import storages

from messaging import content
from messaging.models import Attachment, Message
from tests import world
from tests.world import drain, post, send


@pytest.fixture
def folder(tmp_path, settings):
    """Where attachments lie, empty at first."""
    settings.STORAGES = {
        **settings.STORAGES,
        content.ALIAS: {
            "BACKEND": "messaging.content.DurableFileSystemStorage",
            "OPTIONS": {"location": tmp_path / "attachments"},
        },
    }
    return tmp_path / "attachments"


def files(folder) -> list:
    return [path for path in folder.rglob("*") if path.is_file()]


def attachment(data: bytes, name: str = "a.bin", **rest) -> dict:
    return {"filename": name, "content": base64.b64encode(data).decode(), **rest}


def received(sink):
    return email.message_from_bytes(sink.accepted[0].content, policy=email.policy.default)


def test_files_arrive_as_they_were_given_with_their_names_and_types(api, sink, folder):
    logo, bill = os.urandom(100_000), "€ 9,99".encode()
    html = '<img src="cid:logo@acme">'
    send(
        api,
        html=html,
        attachments=[
            attachment(bill, "청구서 2026.pdf", content_type="application/pdf"),
            attachment(logo, "logo.png", content_type="image/png", content_id="logo@acme"),
        ],
    )
    drain()
    parts = {part.get_filename(): part for part in received(sink).walk() if part.get_filename()}
    assert parts["청구서 2026.pdf"].get_content_type() == "application/pdf"
    assert parts["청구서 2026.pdf"].get_payload(decode=True) == bill
    assert parts["logo.png"].get_payload(decode=True) == logo
    assert parts["logo.png"]["Content-ID"] == "<logo@acme>"


def test_a_30_mb_body_is_accepted_and_delivered_whole(api, sink, folder):
    data = os.urandom(22 * 1024 * 1024)
    assert post(api, attachments=[attachment(data)]).status == 202
    drain(60)
    part = next(part for part in received(sink).walk() if part.get_filename())
    assert part.get_payload(decode=True) == data


def test_a_retry_sends_the_same_bytes(api, sink, folder):
    sink.script["dot"] = ["451 4.3.0 later"]
    send(api, attachments=[attachment(os.urandom(50_000))])
    drain()
    world.bring_due()
    drain()
    first, second = sink.transactions
    assert first.content == second.content


def test_an_empty_file_is_a_file(api, sink, folder):
    send(api, attachments=[attachment(b"", "empty.txt")])
    drain()
    assert next(part for part in received(sink).walk() if part.get_filename()).get_payload(decode=True) == b""


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"content": "not base64!"}, {"attachments.0.content": "invalid_value"}),
        ({"content": 5}, {"attachments.0.content": "invalid_type"}),
        ({"content": None}, {"attachments.0.content": "invalid_type"}),
        ({"content": "é"}, {"attachments.0.content": "invalid_value"}),
        ({"filename": ""}, {"attachments.0.filename": "too_short"}),
        ({"filename": "a\r\nb"}, {"attachments.0.filename": "invalid_value"}),
        ({"content_type": "text"}, {"attachments.0.content_type": "invalid_value"}),
        ({"content_type": "text/html\r\nX: y"}, {"attachments.0.content_type": "invalid_value"}),
        ({"content_id": "<a>"}, {"attachments.0.content_id": "invalid_value"}),
        ({"path": "/etc/passwd"}, {"attachments.0.path": "unknown_field"}),
    ],
)
def test_a_wrong_attachment_is_named_by_its_place(api, folder, wrong, fault):
    assert post(api, attachments=[attachment(b"x") | wrong]).faults == fault
    assert files(folder) == []


def test_every_attachment_that_is_wrong_is_named(api):
    answer = post(api, attachments=[{"filename": "a"}, {"filename": "b", "content": "%"}, {"content": "AA=="}])
    assert answer.faults == {
        "attachments.0.content": "required",
        "attachments.1.content": "invalid_value",
        "attachments.2.filename": "required",
    }


def test_when_the_store_fails_nothing_is_accepted_and_nothing_is_left(api, folder, monkeypatch):
    save = storages[content.ALIAS].save

    def save_once(path, data):
        if files(folder):
            raise OSError(28, "No space left on device")
        return save(path, data)

    monkeypatch.setattr(storages[content.ALIAS], "save", save_once)
    answer = post(api, attachments=[attachment(b"first"), attachment(b"second")])
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "storage_unavailable", "30")
    assert (Message.objects.count(), Attachment.objects.count(), files(folder)) == (0, 0, [])


def test_a_replay_keeps_no_second_copy(api, folder):
    for _ in range(2):
        api.post("/v1/messages", world.MAIL | {"attachments": [attachment(b"x")]}, {"Idempotency-Key": "k"})
    assert len(files(folder)) == 1


def test_twins_keep_one_copy(acme, folder):
    mail = world.MAIL | {"attachments": [attachment(b"x")]}
    post_once = partial(acme.key().post, "/v1/messages", mail, {"Idempotency-Key": "k"})
    assert {answer.status for answer in world.together([post_once] * 8)} == {202}
    assert len(files(folder)) == 1


def test_a_file_that_has_vanished_defers_the_message_as_our_fault(api, sink, folder):
    message_id = send(api, attachments=[attachment(b"x")])
    files(folder)[0].unlink()
    drain()
    shown = world.message(api, message_id)
    assert (shown["status"], shown["reason"], sink.dots) == ("deferred", "system", 0)
