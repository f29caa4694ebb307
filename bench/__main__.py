"""python -m bench [PART … | all] [--rounds N] [--scale S] [--json FILE] [--statements]
python -m bench bounces DIRECTORY [--verbose] [--third SEED]: see bench/bounces.py
python -m bench before REVISION PART … [--pairs N] [--scale S]: see bench/before.py"""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from bench import (
    accept,
    before,
    bounces,
    deliver,
    dkim,
    fairness,
    latency,
    memory,
    pacing,
    pages,
    peers,
    relay,
    rollups,
    routing,
    search,
    webhooks,
)
from bench.processes import Left
from bench.report import Part, write
from bench.stage import Stage, opened, statements

PARTS: dict[str, Callable[[Stage, int, float], Part]] = {
    "accept": accept.measure,
    "deliver": deliver.measure,
    "dkim": dkim.measure,
    "latency": latency.measure,
    "peers": peers.measure,
    "memory": memory.measure,
    "search": search.measure,
    "pages": pages.measure,
    "rollups": rollups.measure,
    "webhooks": webhooks.measure,
    "relay": relay.measure,
    "routing": routing.measure,
    "pacing": pacing.measure,
    "fairness": fairness.measure,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Sendarix beside others, on 127.0.0.1."
    )
    parser.add_argument("parts", nargs="*", default=["all"], metavar="part", help=f"all, or of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each part (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of counts and times; 0.1 for a quick look")
    parser.add_argument("--json", type=Path, help="where the figures go (bench/results/TIME.json)")
    parser.add_argument("--statements", action="store_true", help="list what the database spent its time on")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - {"all", *PARTS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return asked


def main() -> int:
    if sys.argv[1:2] == ["bounces"]:
        return bounces.main(sys.argv[2:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("ended by a signal"))
    if sys.argv[1:2] == ["before"]:
        return before.main(sys.argv[2:])
    asked = arguments()
    done, failed = [], False
    for name in PARTS if "all" in asked.parts else asked.parts:
        print(f"{name} …", flush=True)
        try:
            with opened(asked.statements) as stage:
                done.append(PARTS[name](stage, asked.rounds, asked.scale))
                if asked.statements:
                    show_statements(stage)
        except Left as why:
            done.append(Part(name, "left out", notes=[str(why)]))
        except Exception:
            traceback.print_exc()
            failed = True
    path = write(done, asked.json)
    print()
    for part in done:
        print("\n".join(part.lines()), end="\n\n")
    print(f"Medians (smallest – largest) of {asked.rounds} rounds. JSON: {path}")
    return int(failed)


def show_statements(stage: Stage) -> None:
    print("    calls       ms  plan us  exec us      rows")
    for calls, spent, planning, executing, rows, text in statements(stage):
        print(f"{calls:>9} {spent:>8} {planning:>8} {executing:>8} {rows:>9} {text}")


if __name__ == "__main__":
    sys.exit(main())
