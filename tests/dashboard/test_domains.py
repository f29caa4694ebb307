"""The pages of sender domains: adding, the records with what is found, checking now, new keys, removing."""

from html import unescape

from messaging.domains import records, registry
from messaging.models import SenderDomain
from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role
from tests.messaging.domain_zone import publish, put, zone

__all__ = ["zone"]


def add(account, name: str = "acme.example") -> SenderDomain:
    return registry.add(account.pk, name, Actor(account.pk, "user:owner@acme.example"))


def asked(domain: SenderDomain) -> dict:
    """The records to publish, as the API shows them."""
    expected = records.expected(domain, domain.dkim_keys.all())
    return {"records": [records.shown(record, domain.findings) for record in expected]}


def test_a_domain_is_added_and_its_page_shows_what_to_publish(owner):
    page = owner.sent("domains", {"domain": "Acme.example"})
    domain = SenderDomain.objects.get()
    assert domain.domain == "acme.example"
    for record in asked(domain)["records"]:
        assert f'data-copy="{record["host"]}"' in page
        assert f'data-copy="{record["value"]}"' in unescape(page)
    assert "Publish the required records" in page


def test_checking_now_finds_the_records_and_verifies(owner, acme, zone):
    domain = add(acme)
    assert "Checked: not yet." in owner.sent(f"domains/{domain.pk}/verify")
    publish(zone, asked(domain))
    page = owner.sent(f"domains/{domain.pk}/verify")
    assert "Checked: the domain is verified." in page
    assert "Mail from this domain goes out, signed." in page
    assert audit.entries(acme.pk).get(action="domain.verified").actor == f"user:{owner.user.email}"


def test_a_wrong_record_is_shown_as_it_is_with_the_reason_and_as_text(owner, acme, zone):
    domain = add(acme)
    host = next(record["host"] for record in asked(domain)["records"] if record["purpose"] == "dkim")
    put(zone, host, "v=DKIM1; k=rsa; p=<script>alert(1)</script>")
    owner.sent(f"domains/{domain.pk}/verify")
    page = owner.page(f"domains/{domain.pk}")
    domain.refresh_from_db()
    assert domain.findings[host]["verdict"] == "wrong"
    assert domain.findings[host]["reason"] in unescape(page)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_what_is_no_domain_or_known_already_is_refused(owner, acme):
    add(acme)
    for name in ("acme.example", "co.uk", "no domain", "-", "\x00", "<script>"):
        assert owner.post("domains", {"domain": name}).status_code == 422
    assert SenderDomain.objects.count() == 1


def test_new_keys_are_listed_beside_the_present_ones(owner, acme):
    domain = add(acme)
    registry.trust(domain, Actor(acme.pk, "operator"))
    page = owner.sent(f"domains/{domain.pk}/rotate")
    assert "sx1._domainkey.acme.example" in page
    assert "sx2._domainkey.acme.example" in page


def test_a_domain_is_removed(owner, acme):
    domain = add(acme)
    assert "acme.example is removed." in owner.sent(f"domains/{domain.pk}/remove")
    assert not SenderDomain.objects.exists()


def test_a_domain_of_another_account_is_not_there(owner, globex):
    domain = add(globex, "globex.example")
    for path in (domain.pk, "globex.example"):
        assert owner.get(f"domains/{path}").status_code == 404
        for action in ("verify", "rotate", "remove"):
            assert owner.post(f"domains/{path}/{action}").status_code == 404
    assert "globex.example" not in owner.page("domains")


def test_support_reads_and_changes_nothing(member, acme):
    domain = add(acme)
    page = member(Role.SUPPORT).page(f"domains/{domain.pk}")
    assert "Check now" not in page
    assert "sx1._domainkey.acme.example" in page
