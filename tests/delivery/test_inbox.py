"""The inbox route: in development all mail stays on this machine and is shown at /inbox."""

import pytest

from messaging.models import CapturedMail
from tests.world import attempts, drain, send, status


@pytest.fixture
def inbox(take_route):
    take_route("inbox:")


def captured(api, **fields) -> str:
    """The path of a captured mail."""
    send(api, **fields)
    drain()
    return f"/inbox/{CapturedMail.objects.latest('id').id}"


def test_a_message_is_delivered_into_the_inbox(api, inbox):
    message_id = send(api)
    drain()
    assert status(api, message_id) == "delivered"
    assert attempts(api, message_id)[0]["route"] == "inbox"


def test_the_list_shows_the_newest_first_and_escapes_what_it_shows(api, inbox, client):
    captured(api, subject="First")
    captured(api, subject="<script>alert(1)</script>")
    page = client.get("/inbox").content.decode()
    assert page.index("&lt;script&gt;") < page.index("First")
    assert "<script>" not in page


def test_a_mail_shows_headers_text_attachments_and_a_sandboxed_frame(api, inbox, client):
    files = [{"filename": "청구서.pdf", "content": "AAAA", "content_type": "application/pdf"}]
    path = captured(api, subject="안녕", text="Hallo <Welt>", html="<b>hi</b>", attachments=files)
    page = client.get(path).content.decode()
    assert "안녕" in page
    assert "Hallo &lt;Welt&gt;" in page
    assert "청구서.pdf" in page
    assert f'<iframe src="{path}/html" sandbox' in page


def test_the_html_of_a_mail_may_run_and_fetch_nothing(api, inbox, client):
    path = captured(api, html="<script>alert(1)</script><b>hi</b>")
    answer = client.get(f"{path}/html")
    assert "<b>hi</b>" in answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"


def test_the_source_is_the_mail_to_the_octet(api, inbox, client):
    path = captured(api, text="ein\n.\nzwei")
    answer = client.get(f"{path}/source")
    assert answer["Content-Type"].startswith("text/plain")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"\r\n\r\nein\r\n.\r\nzwei" in answer.content
    assert b"\r\nSubject: Your order\r\n" in answer.content


@pytest.mark.parametrize("tail", ["", "/1", "/1/html", "/1/source"])
def test_the_pages_are_off_where_they_are_not_wanted(api, inbox, client, settings, tail):
    captured(api)
    settings.INBOX_PAGE = False
    assert client.get(f"/inbox{tail}").status_code == 404


def test_an_empty_inbox_and_an_unknown_mail(api, client):
    assert client.get("/inbox").status_code == 200
    assert client.get("/inbox/999999").status_code == 404


def test_a_mail_with_nothing_but_html_and_one_of_many_sizes_is_shown(api, inbox, client):
    path = captured(api, text=None, html="<p>" + "x" * 300_000 + "</p>")
    assert client.get(path).status_code == 200
    assert len(client.get(f"{path}/html").content) > 300_000
