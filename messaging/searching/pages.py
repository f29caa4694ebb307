"""Running a search: pages newest first, and counts by status. Account and environment are bound in every statement, no table is
read from end to end, and no statement outlives its budget.

A page is looked for in two ways. First the newest messages are walked: what is common is found there at once, where an index
would first collect all of it. What is rarer is then found by an index. What no index knows (a text of two characters, the absence
of something) is walked for `PATIENCE`; such a page may end early and say how far back it has looked."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Protocol

import psycopg2.errors
from django.db import OperationalError, connection, transaction

from messaging.models import Message, Status
from messaging.searching.conditions import Condition, Needs, Plan, plan
from messaging.searching.language import Query
from sendarix.core import ids, pagination
from sendarix.core.errors import FieldError, ValidationFailed

WALK = 3_000
"""Messages walked before an index is asked: 15 to 40 ms."""

STRIDE = 5_000
PATIENCE = 0.4
"""Seconds after which a walk without an index stops at the end of a stride."""

COUNTING = 0.05
"""Seconds after which counting by walking stops; what it says then is "more than"."""

BUDGET = "2s"
"""Of one statement."""

_COMMON = 0.05
"""Of the newest messages: what more of them meet is counted walking."""

MOST_RARE = 5_000
"""Matches that an export takes from an index at once."""

COUNTED = 10_000
"""Up to so many matches are counted; more are "more than"."""

_ROW = {
    Needs.CONTENT: ", LATERAL (SELECT * FROM message_contents WHERE message_id = base.id OFFSET 0) c",
    Needs.MESSAGE: ", LATERAL (SELECT * FROM messages WHERE id = base.id OFFSET 0) m",
}
"""One row for each id of a walk. OFFSET keeps the planner from collecting all matches first and comparing every id with each."""

_LOWEST, _HIGHEST = "msg_", "msg_~"
_SKEW = timedelta(seconds=5)
"""An id is made at most so long after its message's created_at."""


class Tenant(Protocol):
    """Whose messages: a caller of the API, or a page's account and environment."""

    @property
    def account_id(self) -> int: ...
    @property
    def livemode(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """An account and one of its environments."""

    account_id: int
    livemode: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Messages with their contents, newest first. `next_cursor` None: there are no more. `reached` is set when the page ended
    before it was full: everything created since then has been looked at, and the next page goes on from there."""

    messages: list[Message]
    next_cursor: str | None = None
    reached: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Matches by status, whatever status the query asks for. `exact` False: there are more than the `total` that was counted."""

    by_status: dict[str, int] = field(default_factory=dict)
    exact: bool = True

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def page(tenant: Tenant, query: Query, limit: int = 25, cursor: str | None = None) -> Page:
    """Matching messages behind the cursor. ValidationFailed of `q` when it would take too long; BadRequest for a bad cursor."""
    below = pagination.decode_cursor(cursor, 1)[0] if cursor else _HIGHEST
    with _bounded():
        search = _Search(tenant, plan(query))
        found, reached = search.newest(limit + 1, below)
        messages = search.messages(found[:limit])
    if len(found) > limit:
        return Page(messages, pagination.encode_cursor(found[limit - 1]))
    if reached is None:
        return Page(messages)
    return Page(messages, pagination.encode_cursor(reached), ids.made_at(reached))


def count(tenant: Tenant, query: Query) -> Counts:
    """How many messages match, up to COUNTED, by status; a search that takes too long is counted among the newest only."""
    return _counted(tenant, query, 0)[0]


def look(tenant: Tenant, query: Query, limit: int = 25, cursor: str | None = None) -> tuple[Page, Counts | None]:
    """A page and the counts beside it, None when counting takes too long. What only an index finds is collected once for a first
    page and its counts. Raises what `page` does."""
    counts, newest = None, None
    with suppress(ValidationFailed):
        counts, newest = _counted(tenant, query, 0 if cursor else limit + 1)
    if newest is None:
        return page(tenant, query, limit, cursor), counts
    asked = plan(query)
    wanted = newest if asked.statuses is None else {status: newest.get(status, []) for status in asked.statuses}
    found = sorted((one for ids_of_one in wanted.values() for one in ids_of_one), reverse=True)
    more = pagination.encode_cursor(found[limit - 1]) if len(found) > limit else None
    return Page(_Search(tenant, asked).messages(found[:limit]), more), counts


def _counted(tenant: Tenant, query: Query, most: int) -> tuple[Counts, dict[str, list[str]] | None]:
    """The counts, and of each status the ids of its newest matches, up to `most`; None unless all matches have been collected."""
    asked = plan(Query(tuple(term for term in query.terms if term.word != "status")))
    search = _Search(tenant, asked)
    with _bounded():
        seen, settled = search.counted_walking()
    if settled:
        return seen, None
    try:
        with _bounded():
            counts, newest = search.counted_by_index(most)
    except ValidationFailed:
        return replace(seen, exact=False), None
    return counts, newest if most and counts.exact else None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Matches of a part of the past, newest first; `last` is where the next stretch begins, None when there is none."""

    messages: list[Message]
    last: str | None


def stretches(tenant: Tenant, query: Query, last: str | None = None) -> Iterator[Stretch]:
    """All matches from `last` on, however many, each stretch in statements of its own with time enough: for exports. What is rare
    and indexed comes in one."""
    asked, below = plan(query), last or _HIGHEST
    while True:
        with _bounded("60s"):
            found, reached = _Search(tenant, asked).stretch(below)
            messages = _Search(tenant, asked).messages(found)
        yield Stretch(messages, reached)
        if reached is None:
            return
        below = reached


@contextmanager
def _bounded(budget: str = "") -> Iterator[None]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL statement_timeout = '{budget or BUDGET}'; SET LOCAL enable_seqscan = off;"
                "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"
            )
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg2.errors.QueryCanceled):
            message = "This search takes too long; narrow it with after: or before:, or with a longer word."
            raise ValidationFailed([FieldError("q", "invalid_value", message)]) from error
        raise


class _Search:
    """The statements of one search."""

    def __init__(self, tenant: Tenant, asked: Plan) -> None:
        self._tenant = tenant
        self._plan = asked
        self._account = f"{int(tenant.account_id)}::bigint"
        self._livemode = "true" if tenant.livemode else "false"
        self._conditions = list(asked.conditions)
        if asked.statuses is not None:
            self._conditions.append(Condition("m.status = ANY(%s)", (asked.statuses,), Needs.MESSAGE))
        if asked.ids is not None and asked.recipients is not None:
            self._conditions.append(Condition("c.recipient_key = ANY(%s)", (asked.recipients,)))
        if asked.after:
            self._conditions.append(Condition("m.created_at >= %s", (asked.after,), Needs.MESSAGE))
        if asked.before:
            self._conditions.append(Condition("m.created_at < %s", (asked.before,), Needs.MESSAGE))
        self._floor = ids.floor("msg", asked.after) if asked.after else _LOWEST
        self._ceiling = ids.floor("msg", asked.before + _SKEW) if asked.before else _HIGHEST

    @property
    def _indexed(self) -> bool:
        return any(one.indexed for one in self._conditions)

    def newest(self, most: int, below: str) -> tuple[list[str], str | None]:
        """Ids of matches below this id, and the lowest id that was looked at when there may be more beyond it."""
        below = min(below, self._ceiling)
        if not self._conditions:
            return self._walked(most, below, most), None
        found = self._walked(most, below, WALK)
        if len(found) >= most or (last := self._last(below, WALK)) is None:
            return found, None
        if self._indexed:
            return self._by_index(most, below), None
        return self._striding(most, found, last)

    def stretch(self, below: str) -> tuple[list[str], str | None]:
        """All ids among the next STRIDE; or all there are, when those hold few and an index knows the rest."""
        below = min(below, self._ceiling)
        found, last = self._walked(STRIDE, below, STRIDE), self._last(below, STRIDE)
        if last is None or not self._indexed or len(found) > STRIDE // 200:
            return found, last
        rest = self._by_index(MOST_RARE, below)
        return (rest, None) if len(rest) < MOST_RARE else (found, last)

    def _striding(self, most: int, found: list[str], last: str) -> tuple[list[str], str | None]:
        started = monotonic()
        while monotonic() - started < PATIENCE:
            try:
                with _bounded():
                    found += self._walked(most - len(found), last, STRIDE)
                    end = self._last(last, STRIDE)
            except ValidationFailed:
                break  # too slow even so: what there is, and where to go on
            if len(found) >= most or end is None:
                return found, None
            last = end
        return found, last

    def messages(self, wanted: list[str]) -> list[Message]:
        mine = Message.objects.filter(account_id=self._tenant.account_id, livemode=self._tenant.livemode, id__in=wanted)
        return list(mine.select_related("content").order_by("-id")) if wanted else []

    def counted_walking(self) -> tuple[Counts, bool]:
        """What the newest messages hold; settled when these are all, or when so much matches that walking on is the best way: an
        index would collect all of it."""
        if not self._conditions and self._plan.ids is None and self._plan.recipients is None:
            return self._all_counts(), True
        seen, last = self._stretch_counts(self._ceiling, WALK)
        if last is not None and self._indexed and seen.total() < _COMMON * WALK:
            return Counts(dict(seen), exact=False), False
        started = monotonic()
        while last is not None and seen.total() <= COUNTED and monotonic() - started < COUNTING:
            try:
                with _bounded():
                    more, last = self._stretch_counts(last, STRIDE)
            except ValidationFailed:
                break
            seen += more
        return Counts(dict(seen), exact=last is None and seen.total() <= COUNTED), True

    def _stretch_counts(self, below: str, walk: int) -> tuple[Counter[str], str | None]:
        sql, values = self._walk("m.status", below, walk, walk, Needs.MESSAGE)
        rows = self._rows(f"SELECT status, count(*) FROM ({sql}) q GROUP BY status", values)
        return Counter(dict(rows)), self._last(below, walk)

    def _all_counts(self) -> Counts:
        """Of everything: each status by its own index range."""
        sides = " UNION ALL ".join(
            f"(SELECT %s AS status, id FROM messages WHERE account_id = {self._account} AND livemode = {self._livemode}"
            f" AND status = %s LIMIT {COUNTED + 1})"
            for _ in Status
        )
        values = [str(status) for status in Status for _ in range(2)]
        found = dict(self._rows(f"SELECT status, count(*) FROM ({sides}) q GROUP BY status", values))
        return Counts(found, exact=all(number <= COUNTED for number in found.values()))

    def counted_by_index(self, most: int) -> tuple[Counts, dict[str, list[str]]]:
        sql, values = self._found(self._ceiling)
        rest, more = self._where(self._conditions_on(Needs.MESSAGE))
        rows = self._rows(
            f"WITH found AS MATERIALIZED ({sql} LIMIT {COUNTED + 1}), matched AS MATERIALIZED ("
            f"SELECT m.status, count(*) AS number, (array_agg(m.id ORDER BY m.id DESC))[:{most}] AS newest"
            f" FROM found JOIN messages m ON m.id = found.id WHERE true{rest} GROUP BY m.status)"
            " SELECT whole.number, matched.* FROM (SELECT count(*) AS number FROM found) whole LEFT JOIN matched ON true",
            values + more,
        )
        by_status = [row[1:] for row in rows if row[1] is not None]
        counts = Counts({status: number for status, number, _ in by_status}, exact=rows[0][0] <= COUNTED)
        return counts, {status: newest for status, _, newest in by_status}

    def _walked(self, most: int, below: str, walk: int) -> list[str]:
        sql, values = self._walk("base.id", below, walk, most)
        return [row[0] for row in self._rows(sql, values)]

    def _walk(self, shown: str, below: str, walk: int, most: int, *needs: Needs) -> tuple[str, list[Any]]:
        """At most `most` matches among the first `walk` rows below an id, in order: it ends as soon as it has them."""
        base, values = self._base(below, walk)
        where, more = self._where(self._conditions)
        wanted = {one.needs for one in self._conditions} | set(needs)
        rows = "".join(_ROW[one] for one in Needs if one in wanted)
        sql = f"SELECT {shown} FROM ({base}) base{rows} WHERE true{where} ORDER BY base.id DESC LIMIT {most}"
        return sql, values + more

    def _last(self, below: str, walk: int) -> str | None:
        """The id at which a walk of so many rows ends; None when there are fewer."""
        base, values = self._base(below, walk)
        rows = self._rows(f"SELECT id FROM ({base}) base OFFSET {walk - 1} LIMIT 1", values)
        return rows[0][0] if rows else None

    def _base(self, below: str, walk: int) -> tuple[str, list[Any]]:
        """Ids below one, newest first, from the narrowest index there is for them."""
        if self._plan.ids is not None:
            return self._range("messages", "id", "id = ANY(%s)", self._plan.ids, below, walk)
        sides: list[tuple[str, str, str, Any]]
        if self._plan.recipients is not None:
            sides = [("message_contents", "message_id", "recipient_key = %s", key) for key in self._plan.recipients]
        elif self._plan.tried is not None:
            sides = [("attempts", "message_id", sql, value) for sql, value in self._plan.tried]
        elif self._plan.statuses is not None:
            sides = [("messages", "id", "status = %s", status) for status in self._plan.statuses]
        else:
            return self._range("messages", "id", "", None, below, walk)
        made = [self._range(*side, below, walk) for side in sides]
        if not made:
            return "SELECT id FROM messages WHERE false", []
        if len(made) == 1:
            return made[0]
        union = " UNION ALL ".join(f"({sql})" for sql, _ in made)
        once = "DISTINCT " if self._plan.tried is not None else ""
        return f"SELECT {once}id FROM ({union}) q ORDER BY id DESC LIMIT {walk}", [
            v for _, values in made for v in values
        ]

    def _range(
        self, table: str, column: str, narrowed: str, value: Any, below: str, walk: int
    ) -> tuple[str, list[Any]]:
        once = "DISTINCT " if table == "attempts" else ""
        sql = (
            f"SELECT {once}{column} AS id FROM {table} WHERE account_id = {self._account} AND livemode = {self._livemode}"
            f" AND {narrowed or 'true'} AND {column} < %s AND {column} >= %s ORDER BY {column} DESC LIMIT {walk}"
        )
        return sql, [*([value] if narrowed else []), below, self._floor]

    def _by_index(self, most: int, below: str) -> list[str]:
        sql, values = self._all_by_index(below)
        return [row[0] for row in self._rows(f"{sql} LIMIT {most}", values)]

    def _all_by_index(self, below: str) -> tuple[str, list[Any]]:
        sql, values = self._found(below)
        rest, more = self._where(self._conditions_on(Needs.MESSAGE))
        join = " JOIN messages m ON m.id = found.id" if rest else ""
        return (
            f"WITH found AS MATERIALIZED ({sql}) SELECT found.id FROM found{join} WHERE true{rest} ORDER BY found.id DESC",
            values + more,
        )

    def _found(self, below: str) -> tuple[str, list[Any]]:
        """The ids that the indexes of contents and attempts give."""
        where, values = self._where(self._conditions_on(Needs.CONTENT), by_index=True)
        if self._plan.recipients is not None:
            where, values = f" AND c.recipient_key = ANY(%s){where}", [self._plan.recipients, *values]
        sql = (
            f"SELECT c.message_id AS id FROM message_contents c WHERE c.account_id = {self._account}"
            f" AND c.livemode = {self._livemode} AND c.message_id < %s AND c.message_id >= %s{where}"
        )
        return sql, [below, self._floor, *values]

    def _conditions_on(self, needed: Needs) -> list[Condition]:
        return [one for one in self._conditions if one.needs is needed]

    def _where(self, conditions: list[Condition], by_index: bool = False) -> tuple[str, list[Any]]:
        parts = [one.by_index if by_index and one.by_index else one.sql for one in conditions]
        sql = "".join(f" AND ({part})" for part in parts)
        sql = sql.replace("{account}", self._account).replace("{livemode}", self._livemode)
        return sql, [value for one in conditions for value in one.values]

    def _rows(self, sql: str, values: list[Any]) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()
