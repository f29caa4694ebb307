"""The pages of suppressions: finding, adding, removing with a reason, tables in and out."""

import csv
import io

from django.core.files.uploadedfile import SimpleUploadedFile

from messaging import chores
from sendarix.accounts import audit
from sendarix.accounts.keys import Caller
from sendarix.accounts.models import Account, Role
from suppressions import imports, queries, services
from suppressions.models import Reason, Suppression, SuppressionImport
from tests import world

HOSTILE = "=HYPERLINK(1)<script>alert(1)</script>\u202e"


def put(account, recipient: str, reason: Reason = Reason.MANUAL, note: str = "", livemode: bool = True) -> Suppression:
    return services.suppress(account.pk, livemode, recipient, recipient.lower(), reason, note=note)[0]


def upload(visitor, text: str | bytes, **fields) -> str:
    """The path of an import's page."""
    raw = text if isinstance(text, bytes) else text.encode()
    file = SimpleUploadedFile("list.csv", raw, "text/csv")
    answer = visitor.post("suppression-imports", {"file": file, "reason": "manual"} | fields)
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return answer.url.partition("/live/")[2]


def rows(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_an_address_is_suppressed_found_and_removed_with_a_reason(owner, acme):
    page = owner.sent("suppressions", {"recipient": "Kim <Kim@Hanbit.example>", "reason": "manual", "note": "By phone"})
    assert "Suppressed." in page
    record = Suppression.objects.get()
    assert (record.recipient, record.note, record.actor) == (
        "Kim@Hanbit.example",
        "By phone",
        f"user:{owner.user.email}",
    )
    for text in ("kim@hanbit.EXAMPLE", "hanbit", "KIM@"):
        assert "Kim@Hanbit.example" in owner.page("suppressions", q=text)
    assert "Nobody fits" in owner.page("suppressions", q="lee@hanbit.example")
    assert owner.post(f"suppressions/{record.pk}/remove").status_code == 422
    owner.sent(f"suppressions/{record.pk}/remove", {"why": "They asked for mail again"})
    entry = audit.entries(acme.pk).get(action="suppression.removed")
    assert (entry.subject, entry.after) == ("Kim@Hanbit.example", {"why": "They asked for mail again"})
    assert not Suppression.objects.exists()


def test_what_is_wrong_stands_at_its_field(owner, acme):
    Account.objects.filter(pk=acme.pk).update(timezone="America/New_York")
    for fields, name in (
        ({"recipient": "nobody", "reason": "manual"}, "recipient"),
        ({"recipient": "\x00@hanbit.example"}, "recipient"),
        ({"recipient": "kim@hanbit.example", "reason": "mood"}, "reason"),
        ({"recipient": "kim@hanbit.example", "reason": "manual", "expires_at": "2020-01-01T00:00"}, "expires_at"),
        ({"recipient": "kim@hanbit.example", "reason": "manual", "expires_at": "9999-12-31T23:59"}, "expires_at"),
    ):
        answer = owner.post("suppressions", fields)
        assert (answer.status_code, f'id="id_{name}-errors"' in answer.content.decode()) == (422, True)


def test_an_end_is_in_the_time_zone_of_the_account(owner, acme):
    acme.timezone = "Asia/Seoul"
    acme.save()
    owner.sent(
        "suppressions", {"recipient": "kim@hanbit.example", "reason": "manual", "expires_at": "2050-01-01T09:00"}
    )
    assert Suppression.objects.get().expires_at.isoformat() == "2050-01-01T00:00:00+00:00"
    assert "2050-01-01 09:00" in owner.page("suppressions")


def test_the_list_is_narrowed_by_reason_and_paged(owner, acme):
    for number in range(26):
        put(acme, f"p{number}@hanbit.example")
    put(acme, "dead@hanbit.example", Reason.HARD_BOUNCE)
    assert owner.page("suppressions", reason="hard_bounce").count('class="link"') == 1
    first = owner.page("suppressions")
    assert first.count('class="link"') == 25
    cursor = first.partition("cursor=")[2].partition('"')[0]
    assert owner.page("suppressions", cursor=cursor).count('class="link"') == 2
    assert owner.get("suppressions", cursor="nonsense").status_code == 404


def test_support_sees_addresses_masked_and_exports_nothing(member, acme):
    record = put(acme, "kim@hanbit.example")
    support = member(Role.SUPPORT)
    for page in ("suppressions", f"suppressions/{record.pk}"):
        assert "k•••@hanbit.example" in support.page(page)
        assert "kim@hanbit.example" not in support.page(page)
    assert support.get("suppressions/export").status_code == 403


def test_another_account_and_environment_are_not_seen(owner, acme, globex):
    put(globex, "lee@globex.example")
    test = put(acme, "test@acme.example", livemode=False)
    page = owner.page("suppressions")
    assert "lee@globex.example" not in page
    assert "test@acme.example" not in page
    for record in Suppression.objects.filter(account=globex).union(Suppression.objects.filter(pk=test.pk)):
        assert owner.get(f"suppressions/{record.pk}").status_code == 404
        assert owner.post(f"suppressions/{record.pk}/remove", {"why": "mine"}).status_code == 404
    assert Suppression.objects.count() == 2


def test_a_part_of_an_address_is_found_by_an_index_and_a_short_one_among_the_newest(owner, acme, monkeypatch):
    world.sql(
        "INSERT INTO suppressions (id, account_id, livemode, recipient, recipient_key, reason, created_at)"
        " SELECT 'sup_' || lpad(n::text, 26, '0'), %s, true, key, key, 'manual', now() FROM (SELECT n, md5(n::text)"
        " || '@hanbit.example' AS key FROM generate_series(1, 5_000) n) s",
        acme.pk,
    )
    chores.merge_search_index()
    world.sql("ANALYZE suppressions")
    rare = Suppression.objects.earliest("id").recipient[3:12]
    caller = Caller(acme.pk, "acme", "key_1", True, frozenset(), (), "")
    assert "suppressions_search" in queries.newest(caller, queries.Filter(part=rare))[:26].explain()
    assert rare in owner.page("suppressions", q=rare)
    put(acme, "가나@hanbit.example")
    assert "among the newest 3,000 only" in owner.page("suppressions", q="가나")
    assert "가나@hanbit.example" in owner.page("suppressions", q="가나")
    monkeypatch.setattr(queries, "WALKED", 1)
    put(acme, "newest@hanbit.example")
    assert "Nobody fits" in owner.page("suppressions", q="가나")


def test_hostile_notes_are_text_and_no_formula(owner, acme):
    put(acme, "kim@hanbit.example", note=HOSTILE)
    assert "<script>alert" not in owner.page("suppressions")
    (row,) = rows(owner.get("suppressions/export", q="hanbit"))
    assert row["note"] == f"'{HOSTILE}"


def test_a_table_is_taken_in_with_a_report_of_every_row(owner, acme):
    put(acme, "old@hanbit.example")
    text = "email,note,colour\nnew@hanbit.example,hi,red\nold@hanbit.example,,\nnobody,,\nNEW@hanbit.example,,\n"
    path = upload(owner, text, reason="hard_bounce")
    assert "It begins in a moment" in owner.page(path)
    assert 'hx-trigger="every 1s"' in owner.page(path)
    assert imports.work() == 1
    page = owner.page(path)
    assert "4 of 4 rows" in page
    assert "colour" in page
    assert "every 1s" not in page
    assert owner.client.get(owner.url(path), headers={"hx-request": "true"}).status_code == 286
    report = rows(owner.get(f"{path}/report"))
    assert [(row["line"], row["result"]) for row in report] == [
        ("2", "created"),
        ("3", "exists"),
        ("4", "error"),
        ("5", "exists"),
    ]
    assert report[2]["fault"]
    assert Suppression.objects.get(recipient="new@hanbit.example").reason == "hard_bounce"
    entry = audit.entries(acme.pk).get(action="suppression.imported")
    assert (entry.actor, entry.after["created"], entry.after["failed"]) == (f"user:{owner.user.email}", 1, 1)


def test_a_large_table_is_taken_in_by_parts(owner):
    path = upload(owner, "\n".join(f"p{number}@hanbit.example" for number in range(2_500)))
    assert imports.work(budget=0.0) == 0
    assert imports.work(budget=30.0) == 3
    assert "2,500 of 2,500 rows" in owner.page(path)
    assert Suppression.objects.count() == 2_500
    assert imports.work() == 0


def test_files_that_can_not_be_read_are_refused_by_name(owner):
    for raw in (b"\xff\xfe\x00", b"\x80\x81,x"):
        file = SimpleUploadedFile("list.csv", raw)
        answer = owner.post("suppression-imports", {"file": file, "reason": "manual"})
        assert answer.status_code == 422
    assert owner.post("suppression-imports", {"reason": "manual"}).status_code == 422
    upload(owner, "recipient,fo\x00o\n")
    path = upload(owner, "re\x00cipient@x,\n<script>alert(1)</script>\n")
    imports.work()
    page = owner.page(path)
    assert "<script>alert" not in page
    assert "2 of 2 rows" in page


def test_imports_of_others_are_not_there_and_go_after_a_week(owner, globex, acme):
    path = upload(owner, "kim@hanbit.example\n")
    SuppressionImport.objects.update(account=globex)
    assert owner.get(path).status_code == 404
    assert owner.get(f"{path}/report").status_code == 404
    imports.work()
    assert imports.forget_old() == 0
    SuppressionImport.objects.update(ended_at="2020-01-01T00:00:00Z")
    imports.forget_old()
    assert not SuppressionImport.objects.exists()
