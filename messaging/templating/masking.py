"""Sensitive values, kept out of sight: what a variable's value looks like when printed, and texts without it."""

import html
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import markupsafe

MASK = "•••"
MOST_SECRETS = 100  # sensitive texts and numbers of one message
MOST_SECRET_CHARACTERS = 10_000  # of all of them together


def mask(text: str, values: Iterable[object]) -> str:
    """`text` without `values`, each found as it is, escaped, in upper or lower case or capitalised, and replaced by MASK. Objects
    and arrays give all they hold; values of one or two characters are masked where they stand alone, lest half the text go.
    One walk over the text, however many values there are; what overlaps becomes one MASK."""
    forms = {form: len(value) < 3 for value in set(scalars(values)) for form in _forms(value)}
    if not forms:
        return text
    kept: list[str] = []
    end = 0
    for start, stop in _Finder(forms).spans(text):
        kept += [text[end:start], MASK]
        end = stop
    return "".join([*kept, text[end:]])


def scalars(value: object) -> Iterator[str]:
    """The texts and numbers of a variable's value, those inside objects and arrays included, as they are printed."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, Iterable):
        for item in value:
            yield from scalars(item)
    else:
        yield str(value)


def exceeds(values: Iterable[object]) -> bool:
    """Whether these values together are more than one message may keep secret."""
    found = list(islice(scalars(values), MOST_SECRETS + 1))
    return len(found) > MOST_SECRETS or sum(map(len, found)) > MOST_SECRET_CHARACTERS


def _forms(value: str) -> Iterator[str]:
    """As the filters `upcase`, `downcase` and `capitalize` print it; escaped as the renderer does and as others do."""
    for cased in {value, value.upper(), value.lower(), value.capitalize(), " ".join(value.split())}:
        for form in (cased, html.escape(cased), str(markupsafe.escape(cased))):
            if form.strip():
                yield form


class _Finder:
    """Where any of many words is in a text (Aho and Corasick 1975): linear in the text and in the words, whatever they hold.
    `words` maps each to whether it counts only where it stands alone."""

    def __init__(self, words: Mapping[str, bool]) -> None:
        self._steps: list[dict[str, int]] = [{}]
        self._ends: list[tuple[tuple[int, bool], ...]] = [()]
        for word, alone in words.items():
            self._ends[self._add(word)] = ((len(word), alone),)
        self._falls = [0] * len(self._steps)
        self._link()

    def _add(self, word: str) -> int:
        node = 0
        for character in word:
            if character not in self._steps[node]:
                self._steps[node][character] = len(self._steps)
                self._steps.append({})
                self._ends.append(())
            node = self._steps[node][character]
        return node

    def _link(self) -> None:
        """To the longest end of each beginning that is a beginning too; with it come the words that end there."""
        waiting = deque(self._steps[0].values())
        while waiting:
            node = waiting.popleft()
            for character, following in self._steps[node].items():
                fall = self._falls[following] = self._step(self._falls[node], character)
                self._ends[following] = _worth(self._ends[following] + self._ends[fall])
                waiting.append(following)

    def _step(self, node: int, character: str) -> int:
        while node and character not in self._steps[node]:
            node = self._falls[node]
        return self._steps[node].get(character, 0)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Starts and stops, in order, those that overlap joined."""
        found: list[tuple[int, int]] = []
        beginning = re.compile(f"[{re.escape(''.join(self._steps[0]))}]").search
        stop = 0
        while opening := beginning(text, stop):
            stop = self._follow(text, opening.start(), found)
        return found

    def _follow(self, text: str, start: int, found: list[tuple[int, int]]) -> int:
        """Read on while what was read last may begin a word; returns where that ended."""
        steps, falls, ends = self._steps, self._falls, self._ends
        node = 0
        for stop in range(start + 1, len(text) + 1):
            character = text[stop - 1]
            while node and character not in steps[node]:
                node = falls[node]
            node = steps[node].get(character, 0)
            if not node:
                return stop
            if ends[node] and (size := _longest(text, stop, ends[node])):
                _join(found, stop - size, stop)
        return len(text)


def _longest(text: str, stop: int, ends: tuple[tuple[int, bool], ...]) -> int:
    """Characters of the longest word that counts here; 0 when none does."""
    return max((size for size, alone in ends if not alone or _alone(text, stop - size, stop)), default=0)


def _join(found: list[tuple[int, int]], start: int, stop: int) -> None:
    while found and found[-1][1] > start:
        start = min(start, found.pop()[0])
    found.append((start, stop))


def _worth(ends: tuple[tuple[int, bool], ...]) -> tuple[tuple[int, bool], ...]:
    """Of the words that end at one place: the longest that counts anywhere, and those that must stand alone, which are short."""
    longest = max((size for size, alone in ends if not alone), default=0)
    return tuple((size, alone) for size, alone in ends if alone or size == longest)


def _alone(text: str, start: int, stop: int) -> bool:
    return not (_is_letter(text[start - 1 : start]) or _is_letter(text[stop : stop + 1]))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"
