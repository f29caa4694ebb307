"""The audit log as a page and as a table."""

import csv
import io

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Role

HOSTILE = "<script>alert(1)</script>\u202e"


def write(account, action="route.updated", actor="user:kim@hanbit.example", subject="rte_1", **sides) -> None:
    audit.record(Actor(account.pk, actor, "192.0.2.1"), action, subject, **sides)


def test_an_entry_shows_who_did_what_and_how_it_differs(owner, acme):
    write(acme, before={"weight": 100, "name": HOSTILE}, after={"weight": 50, "name": ["a", "b"]})
    page = owner.page("audit")
    assert "kim@hanbit.example" in page
    assert "<del><bdi>100</bdi></del>" in page
    assert "<ins><bdi>50</bdi></ins>" in page
    assert "<script>alert" not in page


def test_it_is_narrowed_by_action_person_subject_and_time(member, acme):
    kim = member(Role.DEVELOPER)
    write(acme)
    write(acme, action="queue.paused", actor="key_1", subject="pse_1")
    assert "pse_1" not in kim.page("audit", actor="kim@hanbit.example")
    assert "rte_1" not in kim.page("audit", action="queue.paused")
    assert "rte_1" not in kim.page("audit", subject="pse_1")
    assert "Nothing matches" in kim.page("audit", until="2020-01-01T00:00")
    assert kim.get("audit", since="soon").status_code == 422
    assert kim.get("audit", cursor="nonsense").status_code == 404


def test_an_address_is_that_of_a_member_and_of_an_operator(owner, acme):
    write(acme, subject="by-member")
    write(acme, actor="operator:kim@hanbit.example", subject="by-operator")
    write(acme, actor="user:lee@hanbit.example", subject="by-another")
    page = owner.page("audit", actor="Kim@Hanbit.example")
    assert [name in page for name in ("by-member", "by-operator", "by-another")] == [True, True, False]
    assert "by-member" not in owner.page("audit", actor="operator:kim@hanbit.example")


def test_pages_follow_one_another_without_gaps(owner, acme):
    for number in range(51):
        write(acme, subject=f"n{number:02}")
    first = owner.get("audit")
    assert "n50" in first.content.decode()
    assert "n00" not in first.content.decode()
    assert "n00" in owner.page("audit", cursor=first.context["next_cursor"])


def test_a_table_holds_the_same_with_formulas_made_harmless(owner, acme, globex):
    write(acme, subject='=HYPERLINK("http://evil.example")', after={"name": HOSTILE})
    write(globex, subject="theirs")
    answer = owner.get("audit/table", actor="kim@hanbit.example")
    (row,) = csv.DictReader(io.StringIO(b"".join(answer).decode()))
    assert (answer["Content-Type"], row["subject"][:2]) == ("text/csv; charset=utf-8", "'=")
    assert row["actor"] == "user:kim@hanbit.example"


def test_another_account_s_entries_are_not_there(owner, globex):
    write(globex, subject="theirs")
    assert "theirs" not in owner.page("audit")


def test_a_part_of_the_system_is_named_in_the_readers_language(owner, acme):
    write(acme, actor="alerts")
    page = owner.client.get(owner.url("audit"), headers={"Accept-Language": "ko"}).content.decode()
    assert "경보</" in page
    assert ">alerts<" not in page
