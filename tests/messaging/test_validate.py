"""POST /v1/messages/validate: everything short of accepting."""

from datetime import UTC, datetime

from messaging.models import MailDomain, Message
from tests import world
from tests.delivery import paths
from tests.world import MAIL


def validate(api, **fields):
    return api.post(
        "/v1/messages/validate", {name: value for name, value in (MAIL | fields).items() if value is not None}
    )


def test_it_shows_the_mail_as_it_would_be_sent(acme):
    acme.template()
    data = {"code": "<1>", "expires_in": "5 minutes"}
    answer = validate(acme.live, subject=None, text=None, template="otp-code", template_data=data)
    assert answer.status == 200
    assert answer.json["from"] == "Acme <hello@acme.example>"
    assert answer.json["subject"] == "Your verification code is •••"
    assert "5 minutes" in answer.json["html"]
    assert "5 minutes" in answer.json["text"]
    assert "<1>" not in answer.json["text"]
    assert answer.json["size"] > len(answer.json["html"])
    assert (answer.json["suppressed"], answer.json["large"], answer.json["livemode"]) == (None, False, True)


def test_it_says_which_route_and_why(acme, take_route):
    take_route("smtp://127.0.0.1:2500")
    assert validate(acme.live).json["route"]["route"] == "smtp:127.0.0.1:2500"
    assert "default" in validate(acme.live).json["route"]["why"]
    assert validate(acme.test).json["route"]["route"] == "sandbox"


def test_it_tells_of_a_suppression(acme):
    world.suppress(acme, "kim@hanbit.example", "spam_complaint")
    assert validate(acme.live).json["suppressed"] == "spam_complaint"
    assert validate(acme.test).json["suppressed"] is None


def test_its_faults_are_those_of_sending(api):
    wrong = {"recipient": "nobody", "text": None, "colour": "red"}
    assert validate(api, **wrong).faults == world.post(api, **wrong).faults


def test_it_stores_and_sends_nothing(api, sink):
    validate(api, attachments=[{"filename": "a.txt", "content": "aGk="}])
    assert world.drain() == 0
    assert (Message.objects.count(), sink.dots) == (0, 0)
    assert world.sql("SELECT count(*) FROM events") == world.sql("SELECT count(*) FROM attachments") == [(0,)]


def test_it_knows_who_hosts_a_company(acme):
    MailDomain.objects.create(domain="company.example", provider="gmail", looked_up_at=datetime.now(UTC))
    paths.publish({"name": "gmail", "when": {"providers": ["gmail"]}, "then": {"reject": {"reason": "not now"}}})
    assert validate(acme.live, recipient="kim@company.example").json["route"]["rule_name"] == "gmail"
