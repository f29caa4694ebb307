"""What services say, in the languages of readers. Services speak English: their sentences are stored, and answered by the API.
Pages and mails translate them when they are shown, by `locale/LANGUAGE/LC_MESSAGES/services.po`, which holds the sentences as
they stand in the sources, with `{1}`, `{2}` … for what is filled in; a test walks the sources for them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path

from babel.messages.mofile import read_mo
from django.conf import settings
from django.utils.translation import to_locale

_placeholder = re.compile(r"\{(\w+)\}")
_amount = re.compile(r"[\d.,]+( ?%| s)?").fullmatch
_sentence_ends = re.compile(r"(?<=[.!?]) (?=\S)").finditer

LONGEST = 2_000
"""Characters of a text that may be ours; what is longer is somebody else's."""

DEEPEST, MOST_SENTENCES = 5, 6
"""How far sentences are looked for inside each other, and one after another."""

_CLOSED = r"((?:(?!; |[.!?] [A-Z]).)*?[.!?]?)"
"""What is filled in, as a rule: no end of a clause or sentence, so that a text of several is not taken for one."""
_OPEN = "(.*?)"

TRIES = 2_000
"""Looks at a part of a text, and matches with a sentence, that one call may cost; a text that takes more stays as it is. Messages
of ours take under a tenth."""

NAMES: Mapping[str, Mapping[str, str | None]] = {
    "Alert: {1}": {"1": None},
    "Rule: {1} ({2})": {"1": None},
    "alert {1}: {2}": {"1": None},
    "rule {1}: {2}": {"1": None},
    "paused: {1}": {"1": "alert "},
    "tag {subject}: {what}": {"subject": None},
    "In {1}: {2}": {"1": None},
    "in {1}, {2}": {"1": None},
}
"""Placeholders, by sentence, of names and people's own words, which stay as they are; with a text: unless they begin with it. A
pause's reason is ours when an alert made the pause."""


def said(text: str, language: str) -> str:
    """A text of a service in `language`; whatever of it is no sentence of ours stays as it is."""
    sayings = _of(language)
    return sayings.told(text) if sayings and len(text) <= LONGEST else text


@lru_cache
def _of(language: str) -> "Sayings | None":
    path = Path(settings.BASE_DIR, "locale", to_locale(language), "LC_MESSAGES", "services.mo")
    if not path.exists():
        return None
    with path.open("rb") as file:
        return Sayings({str(one.id): str(one.string) for one in read_mo(file) if one.id})


class Sayings:
    """Sentences with their translations. A first capital and a last full stop do not count: some sentences also stand inside
    others."""

    def __init__(self, translations: Mapping[str, str]) -> None:
        filled = [text for text in translations if _placeholder.search(text)]
        filled.sort(key=lambda text: (text.startswith("{"), -len(_placeholder.sub("", text))))
        self.plain = {_bare(text): told for text, told in translations.items() if text not in filled}
        self.closed = [_Filled.made(text, translations[text], _CLOSED) for text in filled]
        self.open = [_Filled.made(text, translations[text], _OPEN) for text in filled]
        self.begun = [one for one in self.open if one.letters[0] > 2]

    def told(self, text: str) -> str:
        """The text with each of its sentences, and what is filled into them, translated."""
        try:
            return Reading(self).told(text)
        except _Spent:
            return text


class _Spent(Exception):
    """A text took more than TRIES."""


class Reading:
    """One text being read. `tries`: what it cost, up to TRIES."""

    def __init__(self, sayings: Sayings) -> None:
        self._sayings = sayings
        self._known: dict[tuple[str, int], str] = {}
        self.tries = 0

    def told(self, text: str, depth: int = 0) -> str:
        """`depth`: of sentences around it. Raises _Spent."""
        if depth > DEEPEST or not text.strip():
            return text
        if (text, depth) not in self._known:
            self._known[text, depth] = self._read(text, depth)
        return self._known[text, depth]

    def _read(self, text: str, depth: int) -> str:
        self._try()
        known = self._sayings
        ways = (
            lambda: self._whole(text, known.closed, depth),
            lambda: self._whole(text, known.begun, depth, strict=True),
            lambda: self._sentences(text, depth),
            lambda: self._whole(text, known.begun, depth),
            lambda: self._clauses(text, depth),
            lambda: self._after_colon(text, depth),
            lambda: self._whole(text, known.open, depth),
        )
        return next((told for way in ways if (told := way()) is not None), text)

    def _try(self) -> None:
        self.tries += 1
        if self.tries > TRIES:
            raise _Spent

    def _whole(self, text: str, known: Iterable["_Filled"], depth: int, strict: bool = False) -> str | None:
        """As one sentence; `strict`: only around other sentences of ours."""
        bare = text.strip().removesuffix(".")
        if (plain := self._sayings.plain.get(_bare(text))) is not None:
            return _stopped(plain, text)
        for one in known:
            if one.within not in bare:
                continue
            self._try()
            if (found := one.pattern.fullmatch(bare)) and self._counts(one, found, depth, strict):
                return _stopped(one.filled([self._value(one, *value, depth) for value in one.values(found)]), text)
        return None

    def _counts(self, one: "_Filled", found: re.Match[str], depth: int, strict: bool) -> bool:
        """Whether a text that looks like a sentence is taken for it: a loose one only when all that is filled in, but for names,
        is an amount or a sentence of ours."""
        if not strict and not one.loose:
            return True
        return all(
            (not strict and (name in one.given or _amount(value))) or self._value(one, name, value, depth) != value
            for name, value in one.values(found)
        )

    def _value(self, one: "_Filled", name: str, text: str, depth: int) -> str:
        inner = text.strip()
        return text.replace(inner, self.told(inner, depth + 1)) if inner and one.is_ours(name, inner) else text

    def _sentences(self, text: str, depth: int) -> str | None:
        """One after another, the longest run that is known first."""
        ends = [end.start() for end in islice(_sentence_ends(text), MOST_SENTENCES)]
        for end in reversed(ends):
            if (first := self._whole(text[:end], self._sayings.closed, depth)) is not None:
                return f"{first} {self.told(text[end + 1 :], depth + 1)}"
        return None

    def _clauses(self, text: str, depth: int) -> str | None:
        clauses = text.split("; ")
        return "; ".join(self.told(clause, depth + 1) for clause in clauses) if len(clauses) > 1 else None

    def _after_colon(self, text: str, depth: int) -> str | None:
        name, _, rest = text.partition(": ")
        told = self.told(rest, depth + 1)
        return f"{name}: {told}" if told != rest else None


@dataclass(frozen=True)
class _Filled:
    """A sentence with placeholders. `within` stands in every text that it is; `letters` counts those of its literal parts;
    `given` is what NAMES says of it."""

    literals: list[str]
    names: list[str]
    told: str
    value: str
    within: str
    letters: list[int]
    given: Mapping[str, str | None]

    @classmethod
    def made(cls, text: str, told: str, value: str) -> "_Filled":
        parts = _placeholder.split(_bare(text))
        literals = parts[::2]
        within = max(literals[0][1:], *literals[1:], key=len)
        letters = [sum(map(str.isalpha, one)) for one in literals]
        return cls(literals, parts[1::2], told, value, within, letters, NAMES.get(text, {}))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Each value ends where what follows it stands first, and no other place is tried: a match takes linear time."""
        first, *others, last = self.literals
        begin = f"(?i:{re.escape(first[:1])}){re.escape(first[1:])}"
        middle = "".join(f"(?>{self.value}{re.escape(one)})" for one in others)
        return re.compile(f"{begin}{middle}{self.value}{re.escape(last)}", re.DOTALL)

    @property
    def loose(self) -> bool:
        """So few words of its own that other people's texts may look like it."""
        return self.letters[0] < 3 and sum(self.letters) < 10

    def values(self, found: re.Match[str]) -> list[tuple[str, str]]:
        """What is filled in, by placeholder."""
        return list(zip(self.names, found.groups(), strict=True))

    def is_ours(self, name: str, value: str) -> bool:
        """Whether what stands at this placeholder may be a sentence of ours."""
        begin = self.given.get(name, "")
        return begin is not None and value.startswith(begin)

    def filled(self, values: Iterable[str]) -> str:
        by_name = dict(zip(self.names, values, strict=True))
        return _placeholder.sub(lambda at: by_name[at[1]], self.told)


def _bare(text: str) -> str:
    text = text.strip().removesuffix(".")
    return text[:1].lower() + text[1:]


def _stopped(told: str, text: str) -> str:
    """With a full stop exactly where the text has one."""
    told = told.removesuffix(".")
    return f"{told}." if text.rstrip().endswith(".") else told
