"""The search language: a text becomes typed terms, terms become chips and the same text again. It knows no SQL."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from messaging.searching.words import META, MISTAKEN, WORDS, Clock, Value, hint
from sendarix.core import addresses
from sendarix.core.errors import FieldError, ValidationFailed

MAX_LENGTH = 500
MAX_TERMS = 20

_TOKEN = re.compile(
    r"""\s*(?P<minus>-(?=[^\s]))?
    (?:(?P<word>meta\.(?:"[^"]*"|[^\s:"]+)|[A-Za-z_]{1,30}):)?
    (?P<value>"(?P<quoted>(?:[^"\\]|\\.)*)"(?=\s|$)|(?P<open>")|[^\s]*)""",
    re.VERBOSE,
)
_escaped = re.compile(r"\\(.)")
_plain = re.compile(r"[^\s\":\\-][^\s\":\\]*").fullmatch


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: `word` is empty for words of the text, `given` the value as written, `value` as understood; `key` is the
    name of a metadata value. `masked`: who asks may not find a recipient by a part of the address."""

    word: str
    given: str
    value: Value
    negated: bool = False
    key: str = ""
    masked: bool = False

    def __str__(self) -> str:
        head = f"{META}{self._quoted(self.key)}:" if self.key else f"{self.word}:" if self.word else ""
        plain = _plain(self.given) or (head and self.given and not re.search(r"[\s\"\\]", self.given))
        shown = self.given if plain else self._quoted(self.given, always=True)
        return f"{'-' if self.negated else ''}{head}{shown}"

    def _quoted(self, text: str, always: bool = False) -> str:
        if not always and _plain(text):
            return text
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Chip:
    """One term as a page shows it, and the query without it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class Query:
    """All of these hold. Several values of one word that can hold only one at a time are alternatives."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    def chips(self) -> list[Chip]:
        return [Chip(str(term), str(self._without(place))) for place, term in enumerate(self.terms)]

    @property
    def livemode(self) -> bool | None:
        """What `is:live` or `is:test` asks for; None without either."""
        asked = {(term.value == "live") != term.negated for term in self.terms if term.value in ("live", "test")}
        return asked.pop() if len(asked) == 1 else None

    def _without(self, place: int) -> "Query":
        return Query(self.terms[:place] + self.terms[place + 1 :])


def parse(text: str, now: datetime | None = None, zone: tzinfo = UTC, masked: bool = False) -> Query:
    """The query of this text; `zone` is the reader's, for dates. `masked`: addresses are, to the reader, who must not learn them
    by guessing part after part either. Raises ValidationFailed with every fault, each of field `q`."""
    if len(text) > MAX_LENGTH:
        raise ValidationFailed([_fault("too_long", f"A search may have at most {MAX_LENGTH} characters.")])
    clock = Clock(now or datetime.now(UTC), zone)
    terms: list[Term] = []
    faults: list[FieldError] = []
    for token in _tokens(text):
        try:
            terms.append(_covered(_term(token, clock)) if masked else _term(token, clock))
        except _Unknown as unknown:
            faults.append(_fault("unknown_field", str(unknown)))
        except _Unended as unended:
            faults.append(_fault("invalid_value", str(unended)))
        except ValueError as wrong:
            faults.append(_fault("invalid_value", f"{token[0].strip()[:60]}: {wrong}"))
    if len(terms) > MAX_TERMS:
        faults.append(_fault("too_long", f"A search may have at most {MAX_TERMS} terms."))
    if not faults and {term.value for term in terms if term.word == "is"} >= {"live", "test"}:
        faults.append(_fault("conflict", "is:live and is:test exclude each other."))
    if faults:
        raise ValidationFailed(faults)
    return Query(tuple(dict.fromkeys(terms)))


class _Unknown(ValueError):
    """There is no such word."""


class _Unended(ValueError):
    """Something is begun; what, the message says itself."""


def _tokens(text: str) -> list[re.Match[str]]:
    found, place = [], 0
    while place < len(text.rstrip()):
        token = _TOKEN.match(text, place)
        assert token is not None
        found.append(token)
        place = token.end()
    return found


def _term(token: re.Match[str], clock: Clock) -> Term:
    if token["open"]:
        raise _Unended("A quotation mark is not closed.")
    word = token["word"] or ""
    value = token["value"] if token["quoted"] is None else _escaped.sub(r"\1", token["quoted"])
    negated = bool(token["minus"])
    if "\x00" in token[0]:
        raise ValueError("A search must not hold NUL.")
    if word and not value:
        _known(word)
        raise _Unended(f"A value must follow the colon of {word[:60]}.")
    if word.startswith(META):
        return Term("meta", value, value, negated, word.removeprefix(META).strip('"'))
    if not word:
        return Term("", value, value, negated)
    return Term(_known(word), value, WORDS[word.lower()].read(value, clock), negated)


def _covered(term: Term) -> Term:
    if term.word == "to" and not addresses.matching(term.given):
        raise ValueError("You see addresses masked: give the whole address.")
    return replace(term, masked=True)


def _known(word: str) -> str:
    name = word.lower()
    if name in WORDS or word.startswith(META):
        return name
    meant = f"Did you mean {MISTAKEN[name]}:?" if name in MISTAKEN else hint(name, WORDS, ":")
    raise _Unknown(f"There is no word {word[:30]}:. {meant} To look for the text itself, put it in quotation marks.")


def _fault(code: str, message: str) -> FieldError:
    return FieldError("q", code, message)
