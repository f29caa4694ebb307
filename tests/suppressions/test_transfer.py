"""Import and export: whole lists in and out, a word for each row, and nothing a spreadsheet would run."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suppressions import queries, shapes
from suppressions.spreadsheets import COLUMNS, Table, neutral, plain, written
from tests import world
from tests.suppressions.test_records import KIM, add, audited, get
from tests.world import from_now

IMPORT = "/v1/suppressions/import"


def bring(api, table: str | bytes, media_type: str = "text/csv", query: str = ""):
    body = table.encode() if isinstance(table, str) else table
    return api.call("POST", IMPORT + query, body=body, media_type=media_type)


def told(answer) -> list[tuple]:
    return [(row["line"], row["recipient"], row["result"]) for row in answer.json["results"]]


def exported(api, query: dict | None = None) -> list[dict[str, str]]:
    answer = api.get("/v1/suppressions/export", query)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))


def test_rows_are_taken_or_refused_each_by_itself(api):
    add(api)
    end = from_now(days=2)
    rows = [
        {"recipient": KIM},
        {"recipient": "lee@hanbit.example", "reason": "hard_bounce", "note": "gone", "expires_at": end},
        {"recipient": "park"},
        {"recipient": "LEE@hanbit.example"},
        {"recipient": "park@hanbit.example", "reason": "bored", "colour": "red"},
        "park@hanbit.example",
    ]
    answer = api.post(IMPORT, {"rows": rows})
    assert answer.status == 200
    assert [row["result"] for row in answer.json["results"]] == [
        "exists",
        "created",
        "error",
        "exists",
        "error",
        "error",
    ]
    assert (answer.json["created"], answer.json["existing"], answer.json["failed"]) == (1, 2, 3)
    assert {fault["field"] for fault in answer.json["results"][4]["errors"]} == {"reason", "colour"}
    lee = get(api, "lee@hanbit.example").json
    assert (lee["reason"], lee["note"], lee["expires_at"]) == ("hard_bounce", "gone", None)


def test_an_import_is_audited_with_its_counts(api):
    key = add(api).json["actor"]
    api.post(IMPORT, {"rows": [{"recipient": "lee@hanbit.example"}, {"recipient": KIM}, {"recipient": "park"}]})
    counts = {"created": 1, "existing": 1, "failed": 1, "livemode": True}
    assert audited() == [(key, "suppression.imported", "suppressions", None, counts)]


@pytest.mark.parametrize("table", [
    "recipient,reason,note\nkim@hanbit.example,hard_bounce,\"gone, for good\"\n",
    "\ufeffE-Mail;Note;Reason\r\nkim@hanbit.example;gone, for good;hard_bounce\r\n",
    "note\treason\temail address\rgone, for good\thard_bounce\tkim@hanbit.example\r",
    "\n\nkim@hanbit.example,hard_bounce,\"gone, for good\"\n\n",
])  # fmt: skip
def test_tables_of_many_spreadsheets_are_read(api, table):
    assert bring(api, table).json["created"] == 1
    assert (get(api).json["reason"], get(api).json["note"]) == ("hard_bounce", "gone, for good")


def test_a_table_may_come_inside_json_or_in_utf_16(api):
    assert api.post(IMPORT, {"csv": "email\nkim@hanbit.example\n"}).json["created"] == 1
    assert bring(api, "이메일\t메모\nlee@한빛.example\t\n".encode("utf-16")).json["created"] == 1
    assert get(api, "lee@한빛.example").status == 200


def test_lines_are_numbered_as_an_editor_numbers_them(api):
    table = (
        'recipient,note\nkim@hanbit.example,"two\nlines"\n\nlee@hanbit.example,x\npark,x\nkim@hanbit.example,again\n'
    )
    assert told(bring(api, table)) == [
        (2, KIM, "created"), (5, "lee@hanbit.example", "created"), (6, "park", "error"), (7, KIM, "exists"),
    ]  # fmt: skip


def test_broken_rows_do_not_stop_good_ones(api):
    lines = ("recipient,reason", f"{KIM},manual,extra", '"lee"@hanbit.example,manual', "park@hanbit.example,", '"choi')
    answer = bring(api, "\n".join(lines))
    assert [row["result"] for row in answer.json["results"]] == ["error", "error", "created", "error"]
    assert "3 cells" in answer.json["results"][0]["errors"][0]["message"]
    assert "line 5" in answer.json["results"][3]["errors"][0]["message"]


def test_columns_nobody_knows_are_named(api):
    answer = bring(api, "email,Created At,ip\nkim@hanbit.example,2020,10.0.0.1\n")
    assert (answer.json["created"], answer.json["ignored_columns"]) == (1, ["Created At", "ip"])


def test_rows_without_a_reason_get_the_one_of_the_call(api):
    bring(api, "kim@hanbit.example\nlee@hanbit.example,manual\n", query="?reason=spam_complaint")
    assert get(api).json["reason"] == "spam_complaint"
    assert get(api, "lee@hanbit.example").json["reason"] == "manual"


def test_the_same_table_again_changes_nothing(api):
    table = "kim@hanbit.example,hard_bounce,gone\n"
    bring(api, table)
    before = get(api).json
    assert bring(api, table).json["existing"] == 1
    assert get(api).json == before


@pytest.mark.parametrize(("body", "media_type", "status"), [
    (b"", "text/csv", 400), (b"\xff\xfdkim@hanbit.example", "text/csv", 400), (b"\xff\xfe\x00", "text/csv", 400),
    (b"kim@hanbit.example", "text/csv; charset=cp949", 415), (b"kim@hanbit.example", "text/plain", 415),
    (b'{"csv": ""}', "application/json", 422), (b'{"csv": 5}', "application/json", 422), (b"{}", "application/json", 422),
    (b'{"rows": []}', "application/json", 422), (b'{"rows": [{}], "csv": "x"}', "application/json", 422),
])  # fmt: skip
def test_a_body_that_is_no_list_is_refused(api, body, media_type, status):
    answer = api.call("POST", IMPORT, body=body, media_type=media_type)
    assert answer.status == status
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]


def test_too_many_rows_are_refused_as_a_whole(api, monkeypatch):
    monkeypatch.setattr("suppressions.transfer.MOST_ROWS", 2)
    for table in ("a@hanbit.example\nb@hanbit.example\nc@hanbit.example\n", KIM + "\n" * 1_000_001):
        answer = bring(api, table)
        assert (answer.status, answer.faults) == (422, {"csv": "too_long"})
    assert world.sql("SELECT count(*) FROM suppressions") == [(0,)]
    assert shapes.MOST_ROWS == 100_000


def test_a_nul_in_a_cell_is_a_fault_of_its_row(api):
    answer = bring(api, "recipient,note\nkim@hanbit.example,a\0b\nlee\0@hanbit.example,\n")
    assert [row["result"] for row in answer.json["results"]] == ["error", "error"]


def test_two_imports_of_the_same_addresses_do_not_wait_for_each_other_for_ever(acme, monkeypatch):
    monkeypatch.setattr("suppressions.services.BATCH", 7)
    rows = [{"recipient": f"kim{n}@hanbit.example"} for n in range(100)]
    calls = [lambda order=order: acme.live.post(IMPORT, {"rows": rows[::order]}) for order in (1, -1, 1, -1)]
    answers = world.together(calls)
    assert [answer.status for answer in answers] == [200] * 4
    assert sum(answer.json["created"] for answer in answers) == 100


def test_an_export_holds_what_the_list_holds(acme):
    add(acme.live, note='He said "no", twice')
    add(acme.live, "lee@한빛.example", "hard_bounce", expires_at="2999-01-01T00:00:00Z")
    lee, kim = exported(acme.live)
    assert tuple(kim) == COLUMNS
    assert (kim["recipient"], kim["note"], kim["expires_at"]) == (KIM, 'He said "no", twice', "")
    assert (lee["recipient"], lee["reason"], lee["expires_at"]) == (
        "lee@한빛.example",
        "hard_bounce",
        "2999-01-01T00:00:00.000Z",
    )
    assert [row["recipient"] for row in exported(acme.live, {"reason": "hard_bounce"})] == ["lee@한빛.example"]


def test_an_export_is_read_in_pages_and_is_whole(api, monkeypatch):
    monkeypatch.setattr(queries, "BATCH", 3)
    api.post(IMPORT, {"rows": [{"recipient": f"kim{n}@hanbit.example"} for n in range(10)]})
    assert {row["recipient"] for row in exported(api)} == {f"kim{n}@hanbit.example" for n in range(10)}


@pytest.mark.parametrize(
    "note", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "＝1", "'=1", "''@x"]
)
def test_no_cell_of_an_export_is_a_formula(api, note):
    add(api, note=note)
    cell = exported(api)[0]["note"]
    assert cell == f"'{note}"
    table = api.get("/v1/suppressions/export").body
    api.delete(f"/v1/suppressions/{KIM}")
    assert bring(api, table).json["created"] == 1
    assert get(api).json["note"] == note


@pytest.mark.parametrize(
    "recipient", ["=a@hanbit.example", "+a@hanbit.example", "-a@hanbit.example", "'=a@hanbit.example"]
)
def test_an_address_that_looks_like_a_formula_comes_back(api, recipient):
    add(api, recipient)
    table = api.get("/v1/suppressions/export").body
    assert b"\r\n'" in table
    assert bring(api, table).json["existing"] == 1


def test_an_export_comes_back_as_it_was(acme):
    notes = ['with "quotes"', "two\r\nlines", "semi;colon", "한국어", "'quoted'", " spaces "]
    for place, note in enumerate(notes):
        add(acme.live, f"kim{place}@hanbit.example", "hard_bounce", note=note, expires_at="2999-01-01T00:00:00Z")
    answer = bring(acme.test, acme.live.get("/v1/suppressions/export").body)
    assert (answer.json["created"], answer.json["failed"]) == (len(notes), 0)
    assert answer.json["ignored_columns"] == ["message_id", "actor", "created_at"]
    live, test = (
        [
            [row[name] for name in ("recipient", "reason", "note", "expires_at")]
            for row in sorted(exported(api), key=str)
        ]
        for api in (acme.live, acme.test)
    )
    assert sorted(live) == sorted(test)


CELL = st.text(
    st.one_of(st.sampled_from("'=+-@\t\r\n,;\" "), st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(CELL)
def test_whatever_a_note_holds_it_is_no_formula_and_is_read_back(note):
    assert plain(neutral(note)) == note
    assert neutral(note)[:1] not in tuple("=+-@\t\r\n")
    row = dict.fromkeys(COLUMNS) | {"recipient": KIM, "note": note}
    (line,) = Table(b"".join(written([row])).decode())
    assert line.cells.get("note", "") == (note if neutral(note).strip() else "")


def test_an_import_prolongs_what_ends_sooner(api):
    add(api, expires_at=from_now(days=1))
    assert bring(api, f"{KIM},hard_bounce\n").json["existing"] == 1
    assert (get(api).json["expires_at"], get(api).json["reason"]) == (None, "manual")
