"""Terms as SQL over `c` (message_contents) and `m` (messages). Every condition knows what it needs joined, and whether an index
finds its rows; nothing here binds the account, which the statements of `messaging.searching.pages` do."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import groupby
from typing import Any

from messaging.models import Status
from messaging.searching.language import Query, Term
from messaging.searching.words import Value
from sendarix.core import addresses

TEXT = "(c.recipient || ' ' || c.shown_subject)"
FACETS = (
    "(c.tags || ARRAY['template:' || c.template, 'key:' || c.key_id, 'request:' || c.request_id, 'tier:' || c.tier::text,"
    " 'from:' || lower(substring(c.sender from '[^<> ]+@[^<> ]+')),"
    " CASE WHEN c.attachment_count > 0 THEN 'has:attachment' END])"
)
"""The expressions of the index contents_search, to the letter (migration 0010). A tag may look like another facet: whoever uses
one says the exact column beside it."""

_OF_WORD = r"[^\s<>()\[\],;:\"']"
LOCAL_PARTS = rf"({_OF_WORD}){_OF_WORD}*(@|＠|\u002540)"
LOCAL_PART_MASKED = r"\1•••\2"
"""For regexp_replace: addresses in a text become what sendarix.dashboard.masking shows of them. The last sign is %40, spelled so
that nothing takes it for a parameter."""

_QUOTED = LOCAL_PARTS.replace("'", "''")
MASKED_SUBJECT = f"regexp_replace(c.shown_subject, '{_QUOTED}', '{LOCAL_PART_MASKED}', 'g')"

WAITING = (Status.SCHEDULED, Status.QUEUED, Status.ACCEPTED, Status.DEFERRED)
ALTERNATIVES = ("to", "from", "domain", "status", "template", "key", "route", "code", "tier")
"""Words of which a message has one value only, so that several are alternatives (`route` and `code`: one each attempt)."""

SHORT = 3
"""A text of fewer characters has no trigram, and no index finds it."""


class Needs(Enum):
    """What a condition looks at."""

    CONTENT = "c"
    MESSAGE = "m"


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of SQL and its values; `indexed`: an index finds the rows that meet it, in the form of `by_index` where that is
    another one. {account} and {livemode} stand for the caller's."""

    sql: str
    values: tuple[Any, ...] = ()
    needs: Needs = Needs.CONTENT
    indexed: bool = False
    by_index: str = ""

    def negated(self) -> "Condition":
        return Condition(f"({self.sql}) IS NOT TRUE", self.values, self.needs)


@dataclass(slots=True)
class Plan:
    """A query for the statements: its conditions, the few ids, recipients, attempts (SQL and value, beside the condition) or
    statuses that it is confined to (None: any), and the times between which it looks."""

    conditions: list[Condition] = field(default_factory=list)
    ids: list[str] | None = None
    recipients: list[str] | None = None
    tried: list[tuple[str, Value]] | None = None
    statuses: list[str] | None = None
    after: datetime | None = None
    before: datetime | None = None

    def since(self, at: datetime) -> None:
        self.after = max(self.after or at, at)

    def until(self, at: datetime) -> None:
        self.before = min(self.before or at, at)

    def confine(self, statuses: Iterable[str], negated: bool) -> None:
        named = set(statuses)
        allowed = [str(status) for status in Status] if self.statuses is None else self.statuses
        self.statuses = [status for status in allowed if (status in named) != negated]


def plan(query: Query) -> Plan:
    made = Plan()
    for (word, negated), group in groupby(sorted(query.terms, key=_kind), key=_kind):
        terms = list(group)
        if word == "status":
            made.confine([status for term in terms for status in _names(term)], negated)
        elif word == "to" and not negated and all(map(_whole, terms)):
            made.recipients = [addresses.matching(term.given) for term in terms]
        elif word in ALTERNATIVES and not negated:
            made.conditions.append(_any([_condition(term) for term in terms]))
            made.tried = made.tried or _tried(terms)
        else:
            for term in terms:
                _add(made, term)
    return made


def _add(made: Plan, term: Term) -> None:
    match term:
        case Term(word="after" | "before", value=datetime() as at):
            (made.since if (term.word == "after") != term.negated else made.until)(at)
        case Term(word="is", value="live" | "test"):
            pass  # the environment, which is not ours to bind
        case Term(word="is", value="waiting"):
            made.confine(WAITING, term.negated)
        case Term(word="", negated=False) if _is_id(term, "msg"):
            made.ids = [term.given] if made.ids in (None, [term.given]) else []
        case _:
            made.conditions.append(_condition(term).negated() if term.negated else _condition(term))


def _kind(term: Term) -> tuple[str, bool]:
    return term.word, term.negated


def _names(term: Term) -> tuple[str, ...]:
    return tuple(map(str, term.value)) if isinstance(term.value, tuple) else ()


_STATES = {
    "stuck": Condition(
        "m.status IN ('queued', 'accepted', 'deferred') AND m.due_at < statement_timestamp() - interval '5 minutes'",
        needs=Needs.MESSAGE,
    ),
    "dead": Condition(
        "c.message_id IN (SELECT d.message_id FROM dead_letters d WHERE d.account_id = {account} AND d.livemode = {livemode})",
        indexed=True,
    ),
}


def _any(made: list[Condition]) -> Condition:
    if len(made) == 1:
        return made[0]
    values = tuple(value for one in made for value in one.values)
    indexed = all(one.indexed for one in made)
    return Condition(_either(one.sql for one in made), values, made[0].needs, indexed, _either(map(_by_index, made)))


def _either(sides: Iterable[str]) -> str:
    return " OR ".join(f"({side})" for side in sides)


def _by_index(one: Condition) -> str:
    return one.by_index or one.sql


def _condition(term: Term) -> Condition:
    return _MAKERS[term.word](term)


def _words(term: Term) -> Condition:
    """A part of the recipient or the subject, a whole metadata value, or an idempotency key."""
    if _is_id(term, "req"):
        return _facet("request", "c.request_id", term.given)
    if _is_id(term, "msg"):
        return Condition("c.message_id = %s", (term.given,), indexed=True)
    if term.masked and _whole(term):
        return _recipient(term)
    sql = (
        f"{_seen(term)} OR c.metadata @@ %s::jsonpath OR c.message_id = ANY(ARRAY(SELECT k.message_id"
        " FROM idempotency_keys k WHERE k.account_id = {account} AND k.livemode = {livemode} AND k.key = %s)::text[])"
    )
    parts = (_part(term.given),) * (2 if term.masked else 1)
    values = (*parts, f"$.* == {json.dumps(term.given)}", term.given)
    return Condition(sql, values, indexed=len(term.given) >= SHORT)


def _seen(term: Term) -> str:
    """Whose addresses are masked sees the subject only, and addresses in it masked."""
    return f"{TEXT} ILIKE %s AND {MASKED_SUBJECT} ILIKE %s" if term.masked else f"{TEXT} ILIKE %s"


def _whole(term: Term) -> bool:
    return bool(addresses.matching(term.given))


def _is_id(term: Term, prefix: str) -> bool:
    return re.fullmatch(prefix + "_[0-9a-z]{26}", term.given) is not None


def _recipient(term: Term) -> Condition:
    if _whole(term):
        return Condition("c.recipient_key = %s", (addresses.matching(term.given),), indexed=True)
    return _within("c.recipient", term.given)


def _subject(term: Term) -> Condition:
    return _within(MASKED_SUBJECT if term.masked else "c.shown_subject", term.given)


def _within(column: str, part: str) -> Condition:
    """The index knows recipient and subject as one text: it finds the rows, the column decides."""
    sql = f"{TEXT} ILIKE %s AND {column} ILIKE %s"
    return Condition(sql, (_part(part), _part(part)), indexed=len(part) >= SHORT)


def _domain(term: Term) -> Condition:
    """In either spelling as given, in one as kept."""
    name = str(term.value)
    shown = addresses.Address("", "é", name).spec.rpartition("@")[2]
    sql = f"({TEXT} ILIKE %s OR {TEXT} ILIKE %s) AND c.recipient_key LIKE %s"
    values = (_part(f"@{name}"), _part(f"@{shown}"), f"%@{_literal(name)}")
    return Condition(sql, values, indexed=True)


def _sender(term: Term) -> Condition:
    if _whole(term) and "<" not in term.given:
        return _facet("from", "lower(substring(c.sender from '[^<> ]+@[^<> ]+'))", term.given.lower())
    return Condition("c.sender ILIKE %s", (_part(term.given),))


def _facet(name: str, column: str, value: str) -> Condition:
    return Condition(f"{FACETS} @> ARRAY[%s]::text[] AND {column} = %s", (f"{name}:{value}", value), indexed=True)


def _tag(term: Term) -> Condition:
    return Condition(
        f"{FACETS} @> ARRAY[%s]::text[] AND c.tags @> ARRAY[%s]::text[]",
        (term.given, term.given),
        indexed=True,
    )


def _tier(term: Term) -> Condition:
    return _any([_facet("tier", "c.tier::text", tier) for tier in _names(term)])


def _attachment(term: Term) -> Condition:
    sql = f"{FACETS} @> ARRAY['has:attachment'] AND c.attachment_count > 0"
    return Condition(sql, indexed=True)


def _metadata(term: Term) -> Condition:
    return Condition("c.metadata @> %s::jsonb", (json.dumps({term.key: term.given}),), indexed=True)


def _slower(term: Term) -> Condition:
    sql = "m.ended_at - greatest(m.created_at, m.scheduled_time) > %s"
    return Condition(sql, (term.value,), Needs.MESSAGE)


def _tried(terms: list[Term]) -> list[tuple[str, Value]] | None:
    """The conditions by which attempts like these are found in the order of an index; successes have none."""
    if terms[0].word not in ("route", "code") or any(isinstance(t.value, int) and t.value < 400 for t in terms):
        return None
    return [(_trial_sql(term), term.value) for term in terms]


def _trial_sql(term: Term) -> str:
    match term:
        case Term(word="route"):
            return "route = %s"
        case Term(value=int()):
            return "code = %s"
        case Term(value=str(name)) if name[0].isdigit():
            return "code >= 400 AND enhanced = %s"
    return "cause = %s"


def _trial(term: Term) -> Condition:
    return _attempts(_trial_sql(term), term)


def _attempts(sql: str, term: Term) -> Condition:
    """Of one message its attempts are looked at; all messages with such an attempt are found by the account's."""
    return Condition(
        f"EXISTS (SELECT FROM attempts WHERE message_id = c.message_id AND {sql})",
        (term.value,),
        indexed=True,
        by_index="c.message_id IN (SELECT message_id FROM attempts"
        f" WHERE account_id = {{account}} AND livemode = {{livemode}} AND {sql})",
    )


def _part(text: str) -> str:
    return f"%{_literal(text)}%"


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_MAKERS: dict[str, Callable[[Term], Condition]] = {
    "": _words,
    "to": _recipient,
    "from": _sender,
    "domain": _domain,
    "subject": _subject,
    "template": lambda term: _facet("template", "c.template", term.given),
    "key": lambda term: _facet("key", "c.key_id", term.given),
    "tag": _tag,
    "tier": _tier,
    "has": _attachment,
    "meta": _metadata,
    "slower": _slower,
    "is": lambda term: _STATES[str(term.value)],
    "route": _trial,
    "code": _trial,
}
