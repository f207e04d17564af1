"""The command line: `python -m local run|demo`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable

from local import FailedError


def main() -> None:
    """Runs the subcommand that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Skirmish on this machine.")
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="run|demo")
    run = subcommands.add_parser("run", help="set up and run everything on this machine; Ctrl-C stops it")
    run.add_argument("--data", metavar="DIR", help="the folder of all data and logs (LOCAL_DATA; default .data)")
    run.add_argument("--workers", metavar="N", help="how many battle workers run (LOCAL_WORKERS; default 1)")
    run.add_argument(
        "--redis-port",
        metavar="PORT",
        help="where the Redis-compatible server listens (LOCAL_REDIS_PORT; default 6379);"
        " 0 starts none, for a Redis of your own at BATTLE_REDIS_URL and LEADERBOARD_REDIS_URL",
    )
    demo = subcommands.add_parser("demo", help="against a running set: named players, battles, the leaderboard")
    demo.add_argument("--battles", type=_number(1, 1_000_000), default=5000, metavar="N", help="default 5,000")
    demo.add_argument("--players", type=_number(2, 500), default=40, metavar="N", help="default 40, at most 500")
    arguments = parser.parse_args()
    try:
        _run(arguments) if arguments.command == "run" else _demo(arguments)
    except FailedError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)


# Most is imported late, so that Ctrl-C ends even the start without a traceback.


def _run(arguments: argparse.Namespace) -> None:
    flags = {"LOCAL_DATA": arguments.data, "LOCAL_WORKERS": arguments.workers, "LOCAL_REDIS_PORT": arguments.redis_port}
    os.environ |= {name: value for name, value in flags.items() if value is not None}  # above all other settings

    from local.run import run
    from local.settings import Settings
    from services.common import settings

    asyncio.run(run(settings.load(Settings)))


def _demo(arguments: argparse.Namespace) -> None:
    from local.demo import demo
    from local.settings import Settings
    from services.common import settings

    asyncio.run(demo(settings.load(Settings), arguments.battles, arguments.players))


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be {least:,} to {most:,}")
        return value

    return number


if __name__ == "__main__":
    main()
