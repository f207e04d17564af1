"""``python -m tests.simulation``: runs many seeds, or one of them with all that happens in it."""

import argparse
import os
import sys
import time

from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import DISASTERS
from tests.simulation.runs import Run, in_parallel

TOLD_EVERY = 50
FAILURES_SHOWN = 10
WIDTH = 400


def main() -> int:
    """Does what the command line says. Returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="how many at a time")
    parser.add_argument("--seed", type=int, metavar="SEED", help="run this one alone, and tell all that happens in it")
    parser.add_argument("--mutant", default="", choices=MUTANTS, help="leave out one safeguard")
    parser.add_argument(
        "--crash-at", type=int, default=0, metavar="STEP", help="let nothing go wrong but the death of a process there"
    )
    parser.add_argument("--disaster", default="", choices=DISASTERS, help="and let this happen there, too")
    wanted = parser.parse_args()
    rest = (wanted.mutant, wanted.crash_at, wanted.disaster)
    if wanted.seed is not None:
        return _tell_one(Run(wanted.seed, *rest))
    return _run_many([Run(wanted.first + number, *rest) for number in range(wanted.seeds)], wanted.jobs)


def _tell_one(run: Run) -> int:
    world = run.world(traced=True)
    for moment, who, what, outcome in world.trace or ():
        _write(f"{moment:9.4f}  {who:<11}  {what}  {outcome}"[:WIDTH])
    for violation in world.referee.found:
        _write(f"\nAFTER {violation.time:.4f} s: {violation.what}\n{violation.details}")
    return 1 if world.referee.found else 0


def _run_many(runs: list[Run], jobs: int) -> int:
    began = time.monotonic()
    done = failed = exchanges = battles = 0
    seconds = took = 0.0
    for outcome in in_parallel(runs, jobs):
        done += 1
        exchanges += outcome.exchanges
        battles += outcome.battles
        seconds += outcome.seconds
        took += outcome.took
        if outcome.violations:
            failed += 1
            if failed <= FAILURES_SHOWN:
                _write(f"{outcome}\n")
        if done % TOLD_EVERY == 0 or done == len(runs):
            speed = 60 * done / (time.monotonic() - began)
            sys.stderr.write(f"\r{done:,} of {len(runs):,} seeds, {failed:,} failed, {speed:,.0f} a minute ")
            sys.stderr.flush()
    sys.stderr.write("\n")
    _write(
        f"{done:,} seeds, {failed:,} failed; {battles:,} battles, {exchanges:,} exchanges, "
        f"{seconds / 3600:,.1f} hours of their time in {time.monotonic() - began:,.1f} s "
        f"({1000 * took / done:,.1f} ms of processor time each)"
    )
    return 1 if failed else 0


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
