"""python -m bench before REVISION PART … [--pairs N] [--scale S]: parts with the code of a revision and of now, in turns.

Each side is measured by its own bench, one round at a time, so that what disturbs the machine disturbs both. The packages are
those of now."""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.processes import ROOT
from bench.report import spread

Figures = dict[tuple[str, str, str], list[float]]
"""(part, side, figure) to its values, one a round."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench before", description=__doc__.partition("\n")[0])
    parser.add_argument("revision", help="what git calls the code to compare with")
    parser.add_argument("parts", nargs="+", metavar="part")
    parser.add_argument("--pairs", type=int, default=10, help="rounds of each side (10)")
    parser.add_argument("--scale", default="0.5", help="as for a part (0.5)")
    asked = parser.parse_args(argv)
    before: Figures = defaultdict(list)
    now: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        tree = _unpack(asked.revision, Path(folder))
        for pair in range(asked.pairs):
            sides = [(tree, before), (ROOT, now)]
            for root, figures in sides if pair % 2 == 0 else reversed(sides):
                _run(root, asked.parts, asked.scale, figures)
            print(f"{pair + 1} of {asked.pairs} pairs", flush=True)
    print("\n".join(_lines(before, now)))
    return 0


def _unpack(revision: str, folder: Path) -> Path:
    packed, tree = folder / "tree.tar", folder / "tree"
    subprocess.run(["git", "archive", "--output", packed, revision], cwd=ROOT, check=True)
    with tarfile.open(packed) as tar:
        tar.extractall(tree, filter="data")
    return tree


def _run(root: Path, parts: list[str], scale: str, figures: Figures) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        argv = [sys.executable, "-m", "bench", *parts, "--rounds", "1", "--scale", scale, "--json", file.name]
        done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=3600)
        if done.returncode:
            raise RuntimeError(f"the bench of {root} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
        measured = json.load(file)["parts"]
    for part, shown in measured.items():
        if not shown["sides"]:
            raise RuntimeError(f"{part} was left out: {'; '.join(shown['notes'])}")
        for side, values in shown["sides"].items():
            for figure, value in values.items():
                figures[part, side, figure].append(value["median"])


def _lines(before: Figures, now: Figures) -> list[str]:
    """What both sides have, with the ratio of each pair."""
    rows = [f"{'':<44}{'now / before':<24}{'now':<28}before"]
    for name in now.keys() & before.keys():
        part, side, figure = name
        ratios = [new / old for new, old in zip(now[name], before[name], strict=True) if old]
        if ratios:
            row = [f"{part} {side}: {figure}", spread(ratios, 2), spread(now[name]), spread(before[name])]
            rows.append(f"{row[0]:<44}{row[1]:<24}{row[2]:<28}{row[3]}")
    return [rows[0], *sorted(rows[1:])]
