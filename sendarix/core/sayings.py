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
        self._plain = {_bare(text): told for text, told in translations.items() if text not in filled}
        self._closed = [_Filled.made(text, translations[text], _CLOSED) for text in filled]
        self._open = [_Filled.made(text, translations[text], _OPEN) for text in filled]
        self._begun = [one for one in self._open if one.letters[0] > 2]

    def told(self, text: str, depth: int = 0) -> str:
        """The text with each of its sentences, and what is filled into them, translated. `depth`: of sentences around it."""
        if depth > DEEPEST or not text.strip():
            return text
        ways = (
            lambda: self._whole(text, self._closed, depth),
            lambda: self._whole(text, self._begun, depth, strict=True),
            lambda: self._sentences(text, depth),
            lambda: self._whole(text, self._begun, depth),
            lambda: self._clauses(text, depth),
            lambda: self._after_colon(text, depth),
            lambda: self._whole(text, self._open, depth),
        )
        return next((told for way in ways if (told := way()) is not None), text)

    def _whole(self, text: str, known: Iterable["_Filled"], depth: int, strict: bool = False) -> str | None:
        """As one sentence; `strict`: only around other sentences of ours."""
        bare = text.strip().removesuffix(".")
        if (plain := self._plain.get(_bare(text))) is not None:
            return _stopped(plain, text)
        for one in known:
            if one.within not in bare or (found := one.pattern.fullmatch(bare)) is None:
                continue
            values = [self._value(value, depth) for value in found.groups()]
            ours = [value != told for value, told in zip(found.groups(), values, strict=True)]
            if all(ours) if strict else not one.loose or any(ours) or any(map(_amount, found.groups())):
                return _stopped(one.filled(values), text)
        return None

    def _value(self, text: str, depth: int) -> str:
        inner = text.strip()
        return text.replace(inner, self.told(inner, depth + 1)) if inner else text

    def _sentences(self, text: str, depth: int) -> str | None:
        """One after another, the longest run that is known first."""
        ends = [end.start() for end in islice(_sentence_ends(text), MOST_SENTENCES)]
        for end in reversed(ends):
            if (first := self._whole(text[:end], self._closed, depth)) is not None:
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
    """A sentence with placeholders. `within` stands in every text that it is; `letters` counts those of its literal parts."""

    literals: list[str]
    names: list[str]
    told: str
    value: str
    within: str
    letters: list[int]

    @classmethod
    def made(cls, text: str, told: str, value: str) -> "_Filled":
        parts = _placeholder.split(_bare(text))
        literals = parts[::2]
        within = max(literals[0][1:], *literals[1:], key=len)
        return cls(literals, parts[1::2], told, value, within, [sum(map(str.isalpha, one)) for one in literals])

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        first, *others = self.literals
        begin = f"(?i:{re.escape(first[:1])}){re.escape(first[1:])}"
        return re.compile(self.value.join([begin, *map(re.escape, others)]), re.DOTALL)

    @property
    def loose(self) -> bool:
        """So few words of its own that other people's texts may look like it: it counts only around an amount or a sentence of
        ours."""
        return self.letters[0] < 3 and sum(self.letters) < 10

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
