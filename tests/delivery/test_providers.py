"""Mail by providers' APIs: what they are given, what their answers mean, and what is done when there is none. The providers are
real HTTP servers on loopback."""

import base64
import json
import socket

import pytest

from messaging.delivery import provider_wire, providers
from messaging.delivery.ways import Kind, Route
from messaging.models import DeadLetter, Message
from messaging.routes import options
from suppressions.models import Suppression
from tests import world
from tests.delivery.fake_providers import KEY, SETTINGS, FakeProviders, reply
from tests.webhooks.receiver import Drop, Endless, Flood, Never, Receiver, Reply, Reset
from tests.world import attempts, drain, message, send, status

PROVIDERS = list(SETTINGS)


@pytest.fixture
def fake(take_route):
    with FakeProviders() as found:
        yield found


@pytest.fixture
def by(acme, fake):
    """Makes Acme's route to a provider."""

    def make(provider: str = "postmark", **settings: str) -> dict:
        settings = SETTINGS[provider] | {"api_url": fake.url(provider)} | settings
        body = {"name": provider, "kind": "provider", "options": {"backend": provider, "settings": settings}}
        answer = acme.live.post("/v1/routes", body)
        assert answer.status == 201, answer.json
        return answer.json

    return make


def mail(acme, **fields) -> dict:
    """The only attempt at a mail that went out, with the message's status in it."""
    number = send(acme.live, **{"from": "Acme <hi@acme.example>"} | fields)
    drain()
    [attempt] = attempts(acme.live, number)
    return attempt | {"status": status(acme.live, number), "id": number}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_takes_a_mail(acme, fake, by, provider):
    by(provider)
    attempt = mail(acme, html="<p>Grüße</p>", tags=["orders"])
    assert (attempt["status"], attempt["phase"]) == ("delivered", "done")
    assert attempt["smtp"] is None
    assert attempt["api"]["reference"] == fake.mails[0].reference
    event = message(acme.live, attempt["id"])["events"][-1]
    assert event["data"]["handed_to"] == provider


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_is_told_our_message_id_and_which_message_it_is(acme, fake, by, provider):
    by(provider)
    number = mail(acme, unsubscribe=True, headers={"X-Order": "7"})["id"]
    told = json.dumps(fake.mails[0].fields)
    assert f"<{number}@acme.example>" in told
    assert "sendarix_id" in told
    assert "One-Click" in told
    assert "X-Order" in told


def test_the_whole_mail_reaches_postmark(acme, fake, by):
    by("postmark")
    files = [
        {"filename": "bill.txt", "content_type": "text/plain", "content": base64.b64encode("süß".encode()).decode()},
        {"filename": "a.png", "content_type": "image/png", "content": "iVBORw==", "content_id": "logo"},
    ]
    number = mail(acme, html="<img src=cid:logo>", reply_to="Kim <k@acme.example>", attachments=files, tags=["a", "b"])
    fields = fake.mails[0].fields
    assert (fields["From"], fields["To"], fields["ReplyTo"]) == (
        "Acme <hi@acme.example>", "kim@hanbit.example", "Kim <k@acme.example>",
    )  # fmt: skip
    assert (fields["TextBody"], fields["HtmlBody"], fields["Tag"]) == ("It is on its way.", "<img src=cid:logo>", "a")
    assert fields["Metadata"] == {"sendarix_id": number["id"]}
    assert [(one["Name"], one.get("ContentID")) for one in fields["Attachments"]] == [
        ("bill.txt", None), ("a.png", "cid:logo"),
    ]  # fmt: skip
    assert base64.b64decode(fields["Attachments"][0]["Content"]).decode() == "süß"
    assert {"Name": "X-PM-KeepID", "Value": "true"} in fields["Headers"]


def test_connections_cut_while_idle_cost_no_attempt(acme, fake, by):
    by("postmark")
    for _ in range(2):
        attempt = mail(acme, attachments=[{"filename": "a.txt", "content": "AAAA"}])
        assert (attempt["number"], attempt["status"]) == (1, "delivered")
        world.cut_connections()


def test_html_alone_is_not_given_an_empty_text(acme, fake, by):
    by("sendgrid")
    mail(acme, text=None, html="<p>Hi</p>")
    assert fake.mails[0].fields["content"][-1] == {"type": "text/html", "value": "<p>Hi</p>"}


def test_two_routes_to_one_provider_keep_their_own_settings(acme, fake, by):
    first = by("postmark")
    acme.live.patch(f"/v1/routes/{first['id']}", {"name": "first", "enabled": False})
    by("postmark", server_token="key-of-another-account")
    assert mail(acme)["cause"] == "auth"
    assert [request.headers["x-postmark-server-token"] for request in fake.requests] == ["key-of-another-account"]


@pytest.mark.parametrize(
    ("step", "verdict", "cause", "now"),
    [
        (reply(429, {"message": "slow down"}, Retry_After="600"), "deferred", "rate_limited", "deferred"),
        (reply(500, {"message": "oops"}), "deferred", "system", "deferred"),
        (Reply(503, {}, b"<html>busy</html>"), "deferred", "system", "deferred"),
        (reply(401, {"message": "no such key"}), "deferred", "auth", "deferred"),
        (reply(403, {"message": "not for you"}), "deferred", "auth", "deferred"),
        (Reply(302, {"Location": "https://elsewhere.example/"}), "deferred", "protocol", "deferred"),
        (reply(400, {"message": "subject is missing"}), "bounced", "content", "bounced"),
        (reply(400, {"message": "the sender domain is not verified"}), "bounced", "policy", "bounced"),
        (reply(413, {"message": "payload too large"}), "bounced", "too_large", "bounced"),
        (Reply(200, {}, b"<html>hello</html>"), "uncertain", "uncertain", "deferred"),
    ],
)
def test_an_answer_is_read_like_an_smtp_reply(acme, fake, by, step, verdict, cause, now):
    by("mailgun")
    fake.steps = [step]
    attempt = mail(acme)
    assert (attempt["verdict"], attempt["cause"], attempt["status"]) == (verdict, cause, now)
    assert attempt["api"]["code"] == step.status
    assert len(fake.requests) == 1


def test_a_provider_that_asks_for_time_gets_it(acme, fake, by):
    by("brevo")
    fake.steps = [reply(429, {"message": "slow down"}, Retry_After="900")]
    number = mail(acme)["id"]
    row = Message.objects.get(id=number)
    assert 880 < (row.due_at - row.accepted_at).total_seconds() < 960


@pytest.mark.parametrize("provider", ["postmark", "sendgrid", "mailgun", "brevo"])
def test_an_address_the_provider_calls_invalid_is_suppressed(acme, fake, by, provider):
    by(provider)
    fake.steps = [
        {
            "postmark": reply(422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'kim@hanbit.example'."}),
            "sendgrid": reply(400, {"errors": [{"message": "Bad.", "field": "personalizations.0.to.0.email"}]}),
            "mailgun": reply(400, {"message": "'to' parameter is not a valid address. please check documentation"}),
            "brevo": reply(400, {"code": "invalid_parameter", "message": "email is not valid in to"}),
        }[provider]
    ]
    attempt = mail(acme)
    assert (attempt["status"], attempt["cause"]) == ("bounced", "mailbox_unknown")
    assert Suppression.objects.get().reason == "hard_bounce"
    assert DeadLetter.objects.get().cause == "mailbox_unknown"


def test_a_recipient_on_the_providers_own_list_bounces_and_is_not_suppressed(acme, fake, by):
    by("postmark")
    attempt = mail(acme, recipient="inactive@hanbit.example")
    assert (attempt["status"], attempt["cause"]) == ("bounced", "policy")
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("step", [Drop(), Reset(), Drop(Reply(200, body=b"x" * 90), 10), Endless()])
def test_a_request_without_its_answer_is_uncertain(acme, fake, by, step, monkeypatch):
    monkeypatch.setattr(providers, "DEADLINE", 1.5)
    by("postmark")
    fake.steps = [step]
    attempt = mail(acme)
    assert (attempt["verdict"], attempt["phase"]) == ("uncertain", "dot")


def test_a_provider_that_is_silent_is_given_up_at_the_deadline(acme, fake, by, monkeypatch):
    monkeypatch.setattr(providers, "DEADLINE", 0.5)
    by("postmark")
    fake.steps = [Never(30)]
    attempt = mail(acme)
    assert (attempt["verdict"], attempt["detail"]) == ("uncertain", "no answer to the request: no answer in time")


def test_an_answer_that_does_not_end_is_cut_off_long_before_the_deadline(acme, fake, by, monkeypatch):
    monkeypatch.setattr(providers, "DEADLINE", 3600.0)
    by("postmark")
    fake.steps = [Flood(megabytes=1_000_000, status=500)]
    assert mail(acme)["cause"] == "system"


def test_nothing_was_sent_where_nobody_listens(acme, by):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        by("postmark", api_url=f"http://127.0.0.1:{held.getsockname()[1]}/")
        attempt = mail(acme)
    assert (attempt["verdict"], attempt["cause"], attempt["phase"]) == ("deferred", "connection", "connecting")


def test_a_certificate_that_does_not_hold_gets_no_mail(acme, by):
    with Receiver(tls=True) as receiver:
        by("postmark", api_url=f"{receiver.origin}/")
        attempt = mail(acme)
        assert receiver.requests == []
    assert (attempt["verdict"], attempt["cause"]) == ("deferred", "tls")


def test_a_customers_url_is_judged_again_when_it_is_used(acme, fake, by, settings):
    by("postmark", api_url=f"https://127.0.0.1:{fake.receiver.port}/")
    settings.ROUTE_ALLOW_PRIVATE = False
    world.forget_routes()
    attempt = mail(acme)
    assert (attempt["verdict"], attempt["cause"]) == ("deferred", "dns")
    assert fake.receiver.connections == 0


def test_a_customers_url_must_be_https_when_it_is_used(acme, fake, by, settings):
    by("postmark")
    settings.ROUTE_ALLOW_PRIVATE = False
    world.forget_routes()
    assert mail(acme)["cause"] == "tls"
    assert fake.receiver.connections == 0


def test_nothing_is_sent_without_the_mark(acme, fake, by):
    by("postmark")
    number = send(acme.live)
    world.sql("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    world.sql(
        "CREATE TRIGGER unmarked BEFORE UPDATE ON messages FOR EACH ROW WHEN (new.marked) EXECUTE FUNCTION nothing()"
    )
    try:
        drain()
    finally:
        world.sql("DROP FUNCTION nothing CASCADE")
    assert fake.requests == []
    assert attempts(acme.live, number)[0]["detail"] == "given up before the request"


def test_the_mark_is_committed_before_the_provider_hears_of_the_mail(acme, fake, by):
    by("postmark")
    number = send(acme.live)
    seen = []
    answer = fake.receiver.answer

    def look(request):
        seen.append(world.in_background(lambda: Message.objects.get(id=number).marked).result())
        return answer(request)

    fake.receiver.answer = look
    drain()
    assert seen == [True]


def test_one_connection_carries_one_mail_after_another(acme, fake, by):
    route = by("postmark")
    acme.live.patch(f"/v1/routes/{route['id']}", {"connections": 1})
    for _ in range(5):
        send(acme.live)
    drain()
    assert len(fake.mails) == 5
    assert fake.receiver.connections == 1


def test_a_silent_provider_holds_up_no_other_route(acme, globex, fake, by, monkeypatch):
    monkeypatch.setattr(providers, "DEADLINE", 2.0)
    by("postmark")
    fake.always = Never(30)
    for _ in range(10):
        send(acme.live)
    with FakeProviders() as other:
        settings = SETTINGS["brevo"] | {"api_url": other.url("brevo")}
        body = {"name": "b", "kind": "provider", "options": {"backend": "brevo", "settings": settings}}
        assert globex.live.post("/v1/routes", body).status == 201
        numbers = [send(globex.live) for _ in range(20)]
        running = world.in_background(drain)
        world.until(lambda: all(status(globex.live, number) == "delivered" for number in numbers))
        assert not running.done
        running.result(60)


def test_a_providers_words_do_not_bring_the_key_to_light(acme, fake, by):
    by("brevo")
    fake.steps = [reply(401, {"message": f"the key {KEY} is unknown"})]
    attempt = mail(acme)
    assert KEY not in json.dumps([attempt, message(acme.live, attempt["id"])])


@pytest.mark.parametrize(
    "setting", ["idna_encoder", "debug_api_requests", "ignore_recipient_status", "timeout", "fail_silently", "alias"]
)
def test_settings_that_reach_into_the_service_are_refused(acme, setting):
    settings = {"server_token": "x", setting: "os.system"}
    body = {"name": "p", "kind": "provider", "options": {"backend": "postmark", "settings": settings}}
    answer = acme.live.post("/v1/routes", body)
    assert (answer.status, answer.faults) == (422, {"options": "invalid_value"})


@pytest.mark.parametrize("backend", options.BACKENDS)
def test_every_provider_offered_can_be_made_from_the_settings_offered(backend):
    given = dict.fromkeys(providers.SENDING[backend], "1") | {
        "api_url": "https://api.example/v1/",
        "region": "eu-west-1",
    }
    made = providers.backend(Route("rte_1", "p", Kind.PROVIDER, backend=backend, settings=given))
    assert made.api_url.startswith("https://api.example/")


def test_the_name_is_asked_for_at_the_address_that_was_judged():
    with Receiver(tls=True, names=("api.provider.example",)) as receiver:
        line = provider_wire.Line("api.provider.example", plain=False)
        line.addresses = ["127.0.0.1"]
        line.call = provider_wire.Call(lambda: True)
        session = provider_wire.Session(line)
        session.adapters["https://"].init_poolmanager(1, 1, ssl_context=receiver.trust)
        answer = session.post(f"https://api.provider.example:{receiver.port}/send", data=b"{}")
        assert (answer.status_code, line.call.whole, line.address) == (200, True, "127.0.0.1")
        [request] = receiver.requests
        line.break_off()
    assert request.server_name == "api.provider.example"
    assert request.headers["host"] == f"api.provider.example:{receiver.port}"


def test_the_environments_proxies_are_not_asked(acme, fake, by, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "")
    by("postmark")
    assert mail(acme)["verdict"] == "delivered"
