"""python -m bench bounces DIRECTORY: how well the bounce reader reads a folder of samples with their EXPECTED.json.

Two formats of expectation, as published with the samples: by address (`addresses`, `temporary`) or by class
(`reason`, `hard_bounce`). Nothing of the folder is needed by the reader or kept here.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from messaging.delivery.outcomes import Cause
from messaging.inbound.bounces.reading import read
from messaging.inbound.bounces.reports import AutoReply, Bounce, Complaint, Other, Report

Expectation = dict[str, Any]

CLASSES: dict[str, frozenset[Cause]] = {
    "authfailure": frozenset((Cause.AUTH,)),
    "badreputation": frozenset((Cause.REPUTATION,)),
    "blocked": frozenset((Cause.REPUTATION, Cause.POLICY)),
    "contenterror": frozenset((Cause.CONTENT,)),
    "exceedlimit": frozenset((Cause.TOO_LARGE,)),
    "expired": frozenset((Cause.RETRIES_EXHAUSTED, Cause.TIMEOUT, Cause.CONNECTION)),
    "failedstarttls": frozenset((Cause.TLS,)),
    "filtered": frozenset((Cause.POLICY, Cause.MAILBOX_UNKNOWN)),
    "hasmoved": frozenset((Cause.MAILBOX_UNKNOWN,)),
    "hostunknown": frozenset((Cause.DNS,)),
    "mailboxfull": frozenset((Cause.MAILBOX_FULL,)),
    "mailererror": frozenset((Cause.SYSTEM,)),
    "mesgtoobig": frozenset((Cause.TOO_LARGE,)),
    "networkerror": frozenset((Cause.CONNECTION, Cause.DNS, Cause.PROTOCOL)),
    "norelaying": frozenset((Cause.RELAY_DENIED,)),
    "notaccept": frozenset((Cause.DNS,)),
    "notcompliantrfc": frozenset((Cause.PROTOCOL, Cause.CONTENT)),
    "onhold": frozenset((Cause.OTHER,)),
    "policyviolation": frozenset((Cause.POLICY,)),
    "ratelimited": frozenset((Cause.RATE_LIMITED,)),
    "rejected": frozenset((Cause.POLICY,)),
    "requireptr": frozenset((Cause.AUTH,)),
    "securityerror": frozenset((Cause.POLICY, Cause.AUTH)),
    "spamdetected": frozenset((Cause.CONTENT,)),
    "speeding": frozenset((Cause.RATE_LIMITED,)),
    "suppressed": frozenset((Cause.POLICY,)),
    "suspend": frozenset((Cause.MAILBOX_DISABLED,)),
    "syntaxerror": frozenset((Cause.PROTOCOL,)),
    "systemerror": frozenset((Cause.SYSTEM,)),
    "systemfull": frozenset((Cause.SYSTEM,)),
    "toomanyconn": frozenset((Cause.RATE_LIMITED,)),
    "undefined": frozenset((Cause.OTHER,)),
    "userunknown": frozenset((Cause.MAILBOX_UNKNOWN,)),
    "virusdetected": frozenset((Cause.CONTENT,)),
}
"""The samples' names of reasons, each with the causes that say the same here. Where theirs is wider than ours
(`blocked`, `expired`, `filtered`) several are right."""


@dataclass(slots=True)
class Score:
    """Right and counted by figure, and the names of the mails that were misread."""

    right: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def count(self, figure: str, right: bool, name: str, note: object) -> None:
        self.counted[figure] += 1
        self.right[figure] += right
        if not right:
            self.missed.append(f"{figure:<14} {name:<32} {note}")


def judge(name: str, expected: list[Expectation], report: Report, score: Score) -> None:
    """Hold one report against what is expected of it."""
    reasons = {one.get("reason") for one in expected}
    if reasons == {"feedback"}:
        kind = report.feedback_type if isinstance(report, Complaint) else type(report).__name__
        score.count("ARF", kind == expected[0]["extra"], name, f"{kind}, expected {expected[0]['extra']}")
    elif "vacation" in reasons:
        score.count("not a bounce", isinstance(report, AutoReply | Other), name, type(report).__name__)
    elif not isinstance(report, Bounce):
        for figure in ("recipient", "permanence", *(("class",) if "reason" in expected[0] else ())):
            for _ in expected:
                score.count(figure, False, name, type(report).__name__)
    elif "addresses" in expected[0]:
        _by_address(name, expected, report, score)
    else:
        _by_class(name, expected, report, score)


def _by_address(name: str, expected: list[Expectation], report: Bounce, score: Score) -> None:
    """Right are the expected addresses and no other; an alias the report tells of besides is none too many."""
    wanted = {address.lower() for one in expected for address in one["addresses"]}
    found = {one.address.lower() for one in report.recipients if one.address}
    finals = {one.final.lower() for one in report.recipients if one.final}
    score.count("recipient", found <= wanted <= found | finals, name, f"{sorted(found)}, expected {sorted(wanted)}")
    temporary = any(one["temporary"] for one in expected)
    score.count("permanence", report.permanent is not temporary, name, f"permanent {report.permanent}")


def _by_class(name: str, expected: list[Expectation], report: Bounce, score: Score) -> None:
    for number, one in enumerate(expected):
        got = report.recipients[number] if number < len(report.recipients) else None
        score.count("recipient", got is not None and got.address is not None, name, got and got.text[:80])
        score.count(
            "permanence", got is not None and got.hard == one["hard_bounce"], name, (got and got.cause, one["reason"])
        )
        right = got is not None and got.cause in CLASSES.get(one["reason"], ())
        score.count(
            "class", right, name, (one["reason"], got and str(got.cause), got and got.code, got and got.text[:150])
        )


def measure(directory: Path, names: Iterable[str], expected: dict[str, list[Expectation]]) -> Score:
    score = Score()
    for name in names:
        raw = (directory / name).read_bytes()
        began = time.perf_counter()
        report = read(raw)
        score.times.append((time.perf_counter() - began) * 1000)
        judge(name, expected[name], report, score)
    return score


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench bounces", description=__doc__)
    parser.add_argument("directory", type=Path, help="a folder of mails with EXPECTED.json")
    parser.add_argument("--verbose", action="store_true", help="list every misreading")
    parser.add_argument("--third", type=int, help="only a random third of the samples, by this seed")
    asked = parser.parse_args(arguments)
    expected = json.loads((asked.directory / "EXPECTED.json").read_text())
    names = sorted(expected)
    if asked.third is not None:
        names = sorted(random.Random(asked.third).sample(names, len(names) // 3))
    print_score(asked.directory, measure(asked.directory, names, expected), asked.verbose)
    return 0


def print_score(directory: Path, score: Score, verbose: bool) -> None:
    times = sorted(score.times)
    print(f"{directory}: {len(times)} mails, {sum(times) / len(times):.2f} ms each, longest {times[-1]:.1f} ms")
    for figure, counted in score.counted.items():
        print(f"  {figure:<14} {score.right[figure]:>4} / {counted:<4} {score.right[figure] / counted:7.1%}")
    if verbose:
        print("\n".join(score.missed))
