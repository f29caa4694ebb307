"""What is known lately of each path: how attempts by a route to a destination ended, in counts that fade with time and are shared
by all hosts, and the state of its circuit breaker. Attempts are gathered in memory and written down once a second."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from messaging.delivery import breaker
from messaging.delivery.breaker import Breaker, Probes, State, Step, Window
from messaging.delivery.tallies import FIGURES, MOST_TROUBLED, Seen, Tally, Unused, tally
from messaging.delivery.ways import EVERYWHERE, PathKey
from messaging.models import PathChange
from sendarix.accounts import audit
from sendarix.core.statements import Statement
from sendarix.core.times import zulu

SOON, LATER = 1.0, 10.0
"""Seconds until what speaks against a path is written down, and until other figures are."""

HALF_LIFE = 600.0
"""Seconds after which what was seen counts half."""

KEPT = timedelta(hours=2)
"""What was not seen again for so long has faded away."""

MOST_KEPT = 20_000
"""Attempts remembered while the database is away; older ones are forgotten."""


class Gathering:
    """What one process has seen and not written yet. `take` and `put_back` frame a write, on the loop's thread.

    What speaks against a path is due soon, with everything else seen of the same lane; what goes as it should is in no hurry."""

    def __init__(self) -> None:
        self._seen: defaultdict[PathKey, list[Seen | Unused]] = defaultdict(list)
        self._urgent: set[PathKey] = set()
        self._since = self._urgent_since = float("inf")

    def add(self, seen: Seen | Unused) -> None:
        now = monotonic()
        if not self._seen:
            self._since = now
        lane = seen.lane
        self._seen[lane].append(seen)
        if seen.urgent:
            if not self._urgent:
                self._urgent_since = now
            self._urgent.add(lane)

    @property
    def due(self) -> bool:
        now = monotonic()
        return now - self._urgent_since >= SOON or now - self._since >= LATER

    def take(self, everything: bool = False) -> list[Seen | Unused]:
        """What is due; with `everything`, what is not due too."""
        if everything or monotonic() - self._since >= LATER:
            lanes, self._since = list(self._seen), float("inf")
        else:
            lanes = list(self._urgent)
        self._urgent, self._urgent_since = set(), float("inf")
        return [seen for lane in lanes for seen in self._seen.pop(lane)]

    def put_back(self, seen: list[Seen | Unused]) -> None:
        """They could not be written: later, then, with what has come since."""
        since, self._seen = self._seen, defaultdict(list)
        for one in (*seen[-MOST_KEPT:], *(new for lane in since.values() for new in lane)):
            self.add(one)


_WRITE = Statement(
    "write_path_health",
    f"""
WITH seen AS (
    SELECT * FROM jsonb_to_recordset(%(seen)s::jsonb) AS seen(route_id text, destination text, delivered float, deferred float,
        bounced float, failed float, complained float, milliseconds float, tries float, strained float, misses int,
        troubled text[], wait float, wait_tier smallint)
), written AS (
    INSERT INTO path_health AS p (route_id, destination, delivered, deferred, bounced, failed, complained, milliseconds, tries,
        strained, misses, troubled, wait_until, wait_tier, breaker, openings, probes, probing, updated_at)
    SELECT route_id, destination, delivered, deferred, bounced, failed, complained, milliseconds, tries, strained, misses,
        troubled, clock_timestamp() + make_interval(secs => wait), wait_tier, 'closed', 0, 0, 0, clock_timestamp()
    FROM seen ORDER BY route_id, destination
    ON CONFLICT (route_id, destination) DO UPDATE SET
        (delivered, deferred, bounced, failed, complained, milliseconds, tries, strained, misses, troubled) = (
            SELECT p.delivered * f + excluded.delivered, p.deferred * f + excluded.deferred, p.bounced * f + excluded.bounced,
                p.failed * f + excluded.failed, p.complained * f + excluded.complained,
                CASE WHEN excluded.delivered = 0 THEN p.milliseconds ELSE
                    (p.milliseconds * p.delivered * f + excluded.milliseconds * excluded.delivered)
                    / (p.delivered * f + excluded.delivered) END,
                p.tries * f * keeps + excluded.tries, p.strained * f * keeps + excluded.strained,
                excluded.misses
                    + CASE WHEN excluded.delivered + excluded.deferred + excluded.bounced > 0 THEN 0 ELSE p.misses END,
                CASE WHEN p.tries * f < 1 THEN excluded.troubled WHEN cardinality(excluded.troubled) = 0 THEN p.troubled
                    ELSE ARRAY(SELECT DISTINCT unnest(p.troubled || excluded.troubled) LIMIT {MOST_TROUBLED}) END
            FROM (SELECT power(0.5::float, extract(epoch FROM greatest(excluded.updated_at - p.updated_at, interval '0'))::float
                / {HALF_LIFE}::float) AS f, 1 - excluded.tries / {breaker.MEMORY} AS keeps) AS fading
        ),
        wait_until = greatest(excluded.wait_until, CASE WHEN p.wait_until > excluded.updated_at THEN p.wait_until END),
        wait_tier = least(excluded.wait_tier, CASE WHEN p.wait_until > excluded.updated_at THEN p.wait_tier END),
        updated_at = excluded.updated_at
    RETURNING *
)
SELECT * FROM written WHERE breaker <> 'closed' OR misses >= {breaker.MOST_MISSES}
    OR (tries >= {breaker.FEWEST_TRIES} AND strained > {breaker.MOST_STRAIN} * tries)
""",
)


def write(seen: Sequence[Seen | Unused]) -> bool:
    """Add what was seen to what is known, in one statement, and step the breakers it speaks of. Whether routing should know at
    once: a breaker changed its state, or somebody asked to be left alone."""
    tallies = tally(seen)
    return _write(tallies) or any(one.wait for one in tallies.values())


def note(route_id: str, destination: str, *, complained: int = 0, bounced: int = 0) -> None:
    """Count complaints and bounces that came in after the delivery, once the caller's transaction is committed."""

    def written() -> None:
        whole = (route_id, EVERYWHERE)
        told = {(route_id, destination): Tally(complained=complained, bounced=bounced)}
        if _rows([whole]):
            told[whole] = Tally(complained=complained, bounced=bounced)
        _write(told)

    transaction.on_commit(written)


def _write(tallies: Mapping[PathKey, Tally]) -> bool:
    """No flush of the commit: a crash forgets a second of figures. A change of state is flushed."""
    if not tallies:
        return False
    changed = False
    with transaction.atomic(), connection.cursor() as cursor:
        asked = json.dumps([one.row(path) for path, one in tallies.items()])
        _WRITE.run(cursor, {"seen": asked}, first="SET LOCAL synchronous_commit = off")
        for row in _named(cursor):
            path = (row["route_id"], row["destination"])
            changed |= _stepped(row, _step(row, tallies[path].probes))
        if changed:
            cursor.execute("SET LOCAL synchronous_commit TO DEFAULT")
    return changed


def probes(paths: Iterable[PathKey]) -> dict[PathKey, int]:
    """How many probes each of these half-open paths may take now, all workers together. In the caller's transaction, to whose
    end the rows stay locked; what it takes it tells `begin`."""
    free = {}
    for row in _rows(paths, "FOR UPDATE"):
        asked = breaker.ask(_breaker(row), row["updated_at"])
        _stepped(row, asked)
        free[(row["route_id"], row["destination"])] = breaker.free_probes(asked.breaker)
    return free


def begin(taken: Mapping[PathKey, int]) -> None:
    """So many probes of each path are under way from now on."""
    with connection.cursor() as cursor:
        for (route_id, destination), count in sorted(taken.items()):
            cursor.execute(
                "UPDATE path_health SET probing = probing + %s, probed_at = clock_timestamp()"
                " WHERE route_id = %s AND destination = %s AND breaker = 'half_open'",
                [count, route_id, destination],
            )


def forget() -> None:
    """Drop the paths whose figures have faded, and changes of state older than 90 days."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM path_health WHERE updated_at < clock_timestamp() - %(kept)s"
            " AND (breaker = 'closed' OR updated_at < clock_timestamp() - interval '1 day');"
            "DELETE FROM path_changes WHERE at < clock_timestamp() - interval '90 days'",
            {"kept": KEPT},
        )


def _rows(paths: Iterable[PathKey], locked: str = "") -> list[dict[str, Any]]:
    """The rows of these paths, in the order in which all lock them; `updated_at` is the time now."""
    wanted = list(paths)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.*, clock_timestamp() AS updated_at FROM path_health p WHERE (route_id, destination) IN"
            ' (SELECT * FROM unnest(%s::text[], %s::text[])) ORDER BY route_id COLLATE "C", destination COLLATE "C" '
            + locked,
            [[path[0] for path in wanted], [path[1] for path in wanted]],
        )
        return _named(cursor)


def _named(cursor: Any) -> list[dict[str, Any]]:
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _breaker(row: Mapping[str, Any]) -> Breaker:
    return Breaker(
        State(row["breaker"]), row["open_until"], row["openings"], row["probes"], row["probing"], row["probed_at"],
        row["changed_at"],
    )  # fmt: skip


def _step(row: Mapping[str, Any], back: Probes) -> Step:
    window = Window(row["tries"], row["strained"], row["misses"], len(row["troubled"]))
    rest = timedelta(seconds=settings.BREAKER_REST)
    return breaker.step(_breaker(row), window, back, row["updated_at"], rest)


def _stepped(row: Mapping[str, Any], made: Step) -> bool:
    """Keep the breaker after a step; a change of its state is told, and what it remembers begins anew."""
    if made.breaker == _breaker(row):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_KEEP + (_ANEW if made.reason else "") + _WHERE, _kept(row, made.breaker))
        if made.reason and made.breaker.state is State.CLOSED:
            cursor.execute("UPDATE path_health SET deferred = 0, failed = 0" + _WHERE, _kept(row, made.breaker))
    if made.reason:
        _tell(row, made.breaker, made.reason)
    return made.reason is not None


_KEEP = (
    "UPDATE path_health SET breaker = %(state)s, open_until = %(open_until)s, openings = %(openings)s, probes = %(successes)s,"
    " probing = %(probing)s, probed_at = %(probed_at)s, changed_at = %(changed_at)s"
)
_ANEW = ", tries = 0, strained = 0, misses = 0, troubled = '{}'"
_WHERE = " WHERE route_id = %(route_id)s AND destination = %(destination)s"


def _kept(row: Mapping[str, Any], made: Breaker) -> dict[str, Any]:
    return {
        "state": made.state,
        "open_until": made.open_until,
        "openings": made.openings,
        "successes": made.successes,
        "probing": made.probing,
        "probed_at": made.probed_at,
        "changed_at": made.changed_at,
        "route_id": row["route_id"],
        "destination": row["destination"],
    }


_VERBS = {State.OPEN: "opened", State.HALF_OPEN: "half_opened", State.CLOSED: "closed"}


def _tell(row: Mapping[str, Any], made: Breaker, reason: str) -> None:
    """A row of the route's history and one of the audit log."""
    figures = {name: round(row[name], 2) for name in FIGURES}
    until = {"open_until": zulu(made.open_until)} if made.open_until else {}
    PathChange.objects.create(
        route_id=row["route_id"],
        destination=row["destination"],
        before=row["breaker"],
        after=made.state,
        reason=reason,
        figures={**figures, "openings": made.openings, **until},
    )
    audit.record(
        audit.Actor(_owner(row["route_id"]), "delivery"),
        f"breaker.{_VERBS[made.state]}",
        f"{row['route_id']} {row['destination']}",
        before={"breaker": row["breaker"]},
        after={"breaker": str(made.state), "reason": reason, **until},
    )


def _owner(route_id: str) -> int | None:
    """The account of the route; None for a route of the platform."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id FROM routes WHERE id = %s", [route_id])
        found = cursor.fetchone()
    return found[0] if found else None
