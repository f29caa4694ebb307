"""The page of a recipient: whether it can be mailed and why not, all its mail, its suppression."""

import re

import pytest

from sendarix.accounts import audit
from sendarix.accounts.models import Role
from suppressions.models import Reason, Suppression
from tests import builders
from tests.api_client import Api
from tests.world import Company, domain, send, suppress

KIM = "kim@hanbit.example"


@pytest.fixture
def api(acme):
    domain(acme, "acme.example")
    return Api(builders.api_key(acme))


@pytest.fixture
def company(acme, api):
    return Company(acme, api, api)


def test_an_address_that_nothing_bars_can_be_mailed(owner, api):
    message_id = send(api)
    page = owner.page(f"recipients/{KIM}")
    assert "Mail to it leaves now." in page
    assert message_id in page
    assert owner.client.get(owner.url("recipients"), {"address": "Kim <KIM@hanbit.example>"}).status_code == 302


def test_a_suppressed_address_names_the_message_that_caused_it(owner, company, api):
    cause = send(api, subject="<b>Hello</b>")
    suppress(company, KIM, Reason.HARD_BOUNCE)
    Suppression.objects.update(message_id=cause, note="<script>alert(1)</script>")
    page = owner.page(f"recipients/{KIM}")
    assert "Nothing is sent to it: Hard bounce." in page
    assert re.search(rf'Caused by <a href="[^"]*{cause}"><bdi>&lt;b&gt;Hello', page)
    assert "<script>alert" not in page


def test_a_paused_destination_is_told(owner):
    owner.sent("queues", {"destination": "hanbit.example", "reason": "their move", "lasts": "3600"})
    page = owner.page(f"recipients/{KIM}")
    assert "Mail to it is held back now." in page
    assert "their move" in page


def test_a_suppression_is_removed_with_a_note_for_the_audit_log(member, company, acme):
    suppress(company, KIM, Reason.MANUAL)
    visitor = member(Role.SUPPORT)
    assert visitor.post(f"recipients/unsuppress/{KIM}", {"note": ""}).status_code == 422
    assert "mail to this address leaves again" in visitor.sent(f"recipients/unsuppress/{KIM}", {"note": "they wrote"})
    entry = audit.entries(acme.pk, action="suppression.removed").get()
    assert (entry.subject, entry.after) == (KIM, {"why": "they wrote"})
    assert "has just changed" in visitor.sent(f"recipients/unsuppress/{KIM}", {"note": "again"})


def test_an_address_is_suppressed_by_hand_and_a_graver_reason_stays(owner, company):
    owner.sent(f"recipients/suppress/{KIM}", {"note": "asked by phone"})
    record = Suppression.objects.get()
    assert (record.reason, record.note, record.actor) == ("manual", "asked by phone", f"user:{owner.user.email}")
    suppress(company, "lee@hanbit.example", Reason.SPAM_COMPLAINT)
    owner.sent("recipients/suppress/lee@hanbit.example", {"note": "too"})
    assert Suppression.objects.get(recipient="lee@hanbit.example").reason == "spam_complaint"


def test_support_reaches_it_by_a_message_without_seeing_the_address(member, api):
    visitor, message_id = member(Role.SUPPORT), send(api)
    page = visitor.page(f"messages/{message_id}/recipient")
    assert KIM not in page
    assert "k•••@hanbit.example" in page
    visitor.sent(f"messages/{message_id}/suppress", {"note": "no more"})
    record = Suppression.objects.get()
    assert (record.recipient_key, record.message_id) == (KIM, message_id)
    assert "Suppressed: Added by hand" in visitor.page(f"messages/{message_id}")


def test_read_only_looks_and_changes_nothing(member):
    visitor = member(Role.READ_ONLY)
    assert '<form class="form"' not in visitor.page(f"recipients/{KIM}")
    assert visitor.post(f"recipients/suppress/{KIM}", {"note": "x"}).status_code == 403


def test_another_account_s_suppression_and_mail_are_not_seen(owner, globex):
    domain(globex, "globex.example")
    theirs = Api(builders.api_key(globex))
    message_id = send(theirs)
    suppress(Company(globex, theirs, theirs), KIM, Reason.MANUAL)
    page = owner.page(f"recipients/{KIM}")
    assert "Mail to it leaves now." in page
    assert message_id not in page


@pytest.mark.parametrize("text", ["nobody", "a@b@c", "<script>", "%00@hanbit.example"])
def test_what_is_no_address_is_not_there(owner, text):
    assert owner.client.get(owner.url(f"recipients/{text}")).status_code == 404
