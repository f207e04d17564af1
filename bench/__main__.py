"""The command line: ``python -m bench``, best as ``make bench``."""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # else every process we start makes gRPC complain

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, report
from bench.measurements import MEASUREMENTS
from bench.run import Run

PARTS = ", ".join(MEASUREMENTS)


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="Measures Skirmish beside other queues and beside the bare databases; see docs/performance.md.",
    )
    parser.add_argument("--only", metavar="PART,…", type=_parts, default=list(MEASUREMENTS), help=f"of {PARTS}")
    parser.add_argument("--quick", action="store_true", help="small: to see that everything works, not to quote")
    parser.add_argument("--repeat", metavar="N", type=int, help="rounds of each comparison (default 5; quick 2)")
    arguments = parser.parse_args()
    if arguments.repeat is not None and arguments.repeat < 1:
        parser.error("--repeat: at least 1")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_measure(arguments))
        return
    sys.exit(130)


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := set(parts) - set(MEASUREMENTS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {PARTS}")
    return [part for part in MEASUREMENTS if part in parts]


async def _measure(arguments: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    folder = Path(tempfile.mkdtemp(prefix="skirmish-bench-"))
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[leg]}"),
    )
    # Drawn twice a second, for its own work is measured with the rest.
    progress = Progress(*columns, console=console, refresh_per_second=2)
    run = Run(folder, arguments.quick, arguments.repeat or (2 if arguments.quick else 5), progress)
    try:
        about = machine.describe(folder)
        with progress:
            for part in arguments.only:
                await MEASUREMENTS[part](run)
                run.end()
                report.save(about, vars(arguments), run.figures, run.others)
        report.show(console, about, run.figures, run.others)
        console.print(f"As JSON: {report.RESULTS}", soft_wrap=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
