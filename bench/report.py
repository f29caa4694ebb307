"""What was measured, as a table for people and JSON for machines: ratios first, then medians with their smallest and largest."""

import json
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.processes import ROOT

Sample = dict[str, float]


@dataclass(slots=True)
class Part:
    """The samples of one part by side, one sample a round, and the ratios drawn from them."""

    name: str
    what: str
    aim: str = ""
    sides: dict[str, list[Sample]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, side: str, sample: Sample) -> None:
        self.sides.setdefault(side, []).append(sample)
        shown = ", ".join(f"{name} {number(value)}" for name, value in sample.items())
        print(f"  {self.name}: {side}: {shown}", flush=True)

    def ratio(self, ours: str, theirs: str, figure: str) -> None:
        """Round by round, so that what disturbs the machine disturbs both sides."""
        pairs = zip(self.sides[ours], self.sides[theirs], strict=True)
        self.ratios[f"{ours} / {theirs}"] = [a[figure] / b[figure] for a, b in pairs]

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "aim": self.aim,
            "ratios": {name: summary(values) for name, values in self.ratios.items()},
            "sides": {
                side: {figure: summary([s[figure] for s in samples]) for figure in samples[0]}
                for side, samples in self.sides.items()
            },
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        rows = [f"{self.name}: {self.what}" + (f" (aim: {self.aim})" if self.aim else "")]
        rows += [f"  RATIO {name:<38} {spread(values, 2)}" for name, values in self.ratios.items()]
        for side, samples in self.sides.items():
            for index, figure in enumerate(samples[0]):
                rows.append(f"  {side if not index else '':<22} {figure:<22} {spread([s[figure] for s in samples])}")
        return rows + [f"  {note}" for note in self.notes]


def summary(values: list[float]) -> dict[str, Any]:
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": values}


def spread(values: list[float], digits: int | None = None) -> str:
    shown = [f"{value:.{digits}f}" if digits else number(value) for value in (median(values), min(values), max(values))]
    return shown[0] if len(values) == 1 else f"{shown[0]:>9}  ({shown[1]} – {shown[2]})"


def number(value: float) -> str:
    """Three significant figures, whole from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def write(parts: list[Part], path: Path | None) -> Path:
    """The JSON file, by default named by time under bench/results."""
    path = path or ROOT / "bench" / "results" / time.strftime("%Y%m%dT%H%M%S.json", time.gmtime())
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"machine": machine(), "parts": {part.name: part.as_json() for part in parts}}
    path.write_text(json.dumps(values, indent=1) + "\n")
    return path
