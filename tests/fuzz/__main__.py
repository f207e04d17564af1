"""Fuzzes a whole set of processes for as long as you like: ``python -m tests.fuzz --minutes 10 --seed 7``."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests import servers
from tests.e2e.stack import Stack
from tests.fuzz.campaign import Campaign
from tests.fuzz.memory import megabytes

ROUND = 2_000


def main() -> None:
    """Starts a set, fuzzes it, and tells what was found. Fails when there is anything."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long (5)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides what is sent (any)")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    arguments = parser.parse_args()
    with ExitStack() as resources:
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="skirmish-fuzz-")))
        settings: dict[str, str] = {}
        if arguments.database == "postgresql":
            url = resources.enter_context(servers.postgresql_server())
            for prefix in ("PLAYER", "BATTLE"):
                settings[f"{prefix}_DATABASE_URL"] = servers.new_postgresql_database(url)
        stack = resources.enter_context(Stack(folder, 1, **settings).running())
        problems = asyncio.run(_fuzz(stack, arguments.seed, time.monotonic() + 60 * arguments.minutes))
    sys.exit("\n".join(problems))


async def _fuzz(stack: Stack, seed: int, end: float) -> list[str]:
    addresses = {"player": stack.player, "battle": stack.battle, "leaderboard": stack.leaderboard}
    shots = 0
    async with Campaign(addresses, stack.url, seed) as campaign:
        await campaign.shoot_odd_bodies()
        while time.monotonic() < end and not campaign.problems:
            await campaign.shoot_grpc(ROUND)
            await campaign.shoot_http(ROUND // 4)
            await campaign.check_well()
            shots += ROUND + ROUND // 4
            print(f"seed {seed}: {shots:,} shots, memory in MiB: {megabytes(stack)}", flush=True)  # noqa: T201
        for outcome, count in sorted(campaign.outcomes.items()):
            print(f"{count:8,} {outcome}")  # noqa: T201
        return campaign.problems


if __name__ == "__main__":
    main()
