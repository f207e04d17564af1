"""The command line: ``python -m tests.faults --minutes 30 --database postgresql --seed 7``."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.faults import overload, run
from tests.faults.run import Plan

console = Console(highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """Runs what the command line says; fails when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, metavar="M", help="how long; default 2")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="what happens; by default any")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite", help="default sqlite")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="how many battle workers; default 2")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="how many of each service; default 1")
    parser.add_argument("--overload", action="store_true", help="no faults, but ten times the load that can be settled")
    parser.add_argument("--keep", action="store_true", help="keep data and logs also when all is well")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    plan = Plan(arguments.minutes * 60, seed, arguments.database, arguments.workers, arguments.replicas)
    folder = Path(tempfile.mkdtemp(prefix="skirmish-faults-"))
    console.print(f"{plan.command}\n  data and logs in {folder}")
    try:
        what = overload.run if arguments.overload else run.run
        verdict = asyncio.run(what(plan, folder, lambda line: console.print(f"  {line}")))
        problem = verdict.summary()
        for name, count in verdict.counts.items():
            console.print(f"  {count:>10,}  {name}")
    except AssertionError as error:
        problem = str(error)
    if problem:
        console.print(f"FAILED. {problem}\nRepeat it: {plan.command}\nData and logs: {folder}")
        sys.exit(1)
    console.print("PASSED: every promise held")
    if not arguments.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
