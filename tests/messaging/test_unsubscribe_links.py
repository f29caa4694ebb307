"""The links of List-Unsubscribe: a POST acts at once and once only, a GET never does (RFC 8058)."""

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import Client

from messaging.delivery import unsubscribe_links
from messaging.models import Status
from sendarix.core import tokens
from tests import world
from tests.world import drain, message, send, status, story

KIM = "kim@hanbit.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def path(message_id: str) -> str:
    return f"/u/{tokens.make('unsubscribe', message_id)}"


def post(message_id: str, **options):
    return Client(enforce_csrf_checks=True).post(path(message_id), ONE_CLICK, **options)


def suppression(api, recipient: str = KIM):
    answer = api.get(f"/v1/suppressions/{recipient}")
    return answer.json if answer.status == 200 else None


@pytest.fixture
def delivered(acme, sink) -> str:
    message_id = send(acme.live)
    drain()
    return message_id


def test_the_headers_are_those_of_rfc_8058_with_a_short_link(acme, settings):
    settings.PUBLIC_URL = "https://mail.hanbit-commerce.example"
    message_id = send(acme.live)
    (name, link), one_click = unsubscribe_links.headers(message_id)
    assert (name, one_click) == ("List-Unsubscribe", ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    assert link == f"<https://mail.hanbit-commerce.example{path(message_id)}>"
    assert len(link) - 2 <= 80


def test_one_click_suppresses_the_recipient_and_moves_the_message(acme, delivered):
    assert post(delivered).status_code == 200
    shown = suppression(acme.live)
    assert (shown["reason"], shown["message_id"], shown["actor"]) == ("user_unsubscribed", delivered, "recipient")
    assert story(acme.live, delivered)[-2:] == ["delivered", "unsubscribed"]
    assert message(acme.live, delivered)["events"][-1]["data"]["previous_status"] == "delivered"


def test_a_form_in_multipart_acts_alike(acme, delivered):
    body = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
    answer = Client().post(path(delivered), body, content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 200
    assert status(acme.live, delivered) == "unsubscribed"


def test_a_form_in_urlencoded_acts_alike(acme, delivered):
    form = "application/x-www-form-urlencoded"
    assert Client().post(path(delivered), b"List-Unsubscribe=One-Click", content_type=form).status_code == 200
    assert status(acme.live, delivered) == "unsubscribed"


def test_a_second_time_changes_nothing_and_is_answered_alike(acme, delivered):
    first = post(delivered)
    before = (suppression(acme.live), message(acme.live, delivered))
    again = post(delivered)
    assert (again.status_code, again.content) == (200, first.content)
    assert (suppression(acme.live), message(acme.live, delivered)) == before


def test_many_clicks_at_once_make_one_event(acme, delivered):
    answers = world.together([lambda: post(delivered).status_code] * 5)
    assert answers == [200] * 5
    assert story(acme.live, delivered).count("unsubscribed") == 1


def test_the_next_message_is_not_sent(acme, sink, delivered):
    waiting = send(acme.live)
    post(delivered)
    drain()
    assert status(acme.live, waiting) == "suppressed"
    assert sink.dots == 1


def test_only_the_account_and_environment_of_the_message_are_meant(acme, globex, delivered):
    post(delivered)
    assert suppression(acme.live)
    assert suppression(acme.test) is suppression(globex.live) is None


def test_a_test_message_unsubscribes_in_the_test_environment(acme):
    message_id = send(acme.test, recipient="delivered@sandbox.sendarix.test")
    drain()
    post(message_id)
    assert status(acme.test, message_id) == "unsubscribed"
    assert suppression(acme.test, "delivered@sandbox.sendarix.test")
    assert suppression(acme.live, "delivered@sandbox.sendarix.test") is None


@pytest.mark.parametrize("state", [state for state in Status if state not in (Status.DELIVERED, Status.COMPLAINED)])
def test_in_other_states_only_the_suppression_is_written(acme, state):
    message_id = send(acme.live)
    world.sql("UPDATE messages SET status = %s WHERE id = %s", state, message_id)
    assert post(message_id).status_code == 200
    assert status(acme.live, message_id) == state
    assert suppression(acme.live)["message_id"] == message_id


def test_after_a_complaint_the_message_is_moved_and_the_complaint_stays_the_reason(acme, delivered):
    world.sql("UPDATE messages SET status = 'complained' WHERE id = %s", delivered)
    world.suppress(acme, KIM, "spam_complaint")
    post(delivered)
    assert status(acme.live, delivered) == "unsubscribed"
    assert suppression(acme.live)["reason"] == "spam_complaint"


def test_whoever_was_taken_off_the_list_can_unsubscribe_again(acme, delivered):
    post(delivered)
    acme.live.delete(f"/v1/suppressions/{KIM}")
    post(delivered)
    assert suppression(acme.live)["reason"] == "user_unsubscribed"


def test_an_unsubscribe_outlasts_a_manual_suppression_that_ends(acme, delivered):
    acme.live.post("/v1/suppressions", {"recipient": KIM, "reason": "manual", "expires_at": world.from_now(hours=1)})
    post(delivered)
    assert (suppression(acme.live)["reason"], suppression(acme.live)["expires_at"]) == ("manual", None)


def test_looking_does_nothing(acme, delivered):
    client = Client()
    assert client.get(path(delivered)).status_code == client.head(path(delivered)).status_code == 200
    assert status(acme.live, delivered) == "delivered"
    assert suppression(acme.live) is None


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_a_link_that_we_did_not_write_is_404(acme, delivered, method):
    ask = getattr(Client(), method)
    forged = path(delivered)[:-1] + ("a" if path(delivered)[-1] != "a" else "b")
    of_another_purpose = f"/u/{tokens.make('bounce', delivered)}"
    of_nothing = path("msg_" + "0" * 26)
    for link in (forged, of_another_purpose, of_nothing, "/u/x", "/u/" + "é" * 39, "/u/%00", path(delivered) + "x"):
        assert ask(link).status_code == 404, link
    assert suppression(acme.live) is None
    assert status(acme.live, delivered) == "delivered"


def test_a_link_in_capitals_is_the_same_link(acme, delivered):
    assert Client().post("/u/" + path(delivered)[3:].upper(), ONE_CLICK).status_code == 200
    assert status(acme.live, delivered) == "unsubscribed"


def test_other_methods_are_405(acme, delivered):
    assert Client().put(path(delivered)).status_code == 405
    assert Client().delete(path(delivered))["Allow"] == "GET, HEAD, POST"


def test_trying_one_link_after_the_other_is_429_and_good_links_go_on(acme, delivered, settings):
    settings.RATE_LIMIT_UNKNOWN = 2
    answers = [Client().post("/u/x", ONE_CLICK) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {404, 429}
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert post(delivered).status_code == 200


def test_while_the_database_is_away_it_is_503_with_a_time_to_come_back(acme, delivered, tmp_path):
    host = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = str(tmp_path)
    answers = [post(delivered), Client().get(path(delivered)), Client().get("/u/x")]
    connection.settings_dict["HOST"] = host
    assert [(answer.status_code, int(answer["Retry-After"]) > 0) for answer in answers] == [(503, True)] * 3
    assert post(delivered).status_code == 200


def test_the_start_tells_of_links_that_are_too_long_or_lead_nowhere(settings):
    def told() -> set[str]:
        return {found.id for found in run_checks()} & {"sendarix.W001", "sendarix.W002"}

    settings.ALLOWED_HOSTS = [".hanbit.example"]
    settings.PUBLIC_URL = "https://mail.hanbit.example"
    assert told() == set()
    settings.PUBLIC_URL = "https://customer-communication.hanbit.example"
    assert told() == {"sendarix.W001"}
    settings.PUBLIC_URL = "https://mail.acme.example:8443"
    assert told() == {"sendarix.W002"}
