"""The memory of every process while battles go on and on."""

import asyncio
import random
import statistics
from contextlib import AsyncExitStack

import psutil

from bench.figures import at_most
from bench.latency import loaded
from bench.run import Run
from bench.sets import both

GROUP = "Memory"
RATE = 500
"""Battles a second, on each of two sets at once: so few that none waits, for those that wait take memory, too."""
WARM_UP = 0.3
"""The part of the run in which processes may grow: caches fill."""
WINDOW = 0.1
"""The part of the run of which the median is taken, after the warm-up and at the end."""
GROWTH = 1.02
"""What is growth: more than the noise of an allocator."""
MIB = 1 << 20


async def measure(run: Run) -> None:
    """Keeps both sets busy for ten minutes and looks at every process every other second."""
    seconds, pause = run.size(600, 20), run.size(2, 1)
    run.begin(GROUP, seconds // pause)
    seen: dict[str, list[float]] = {}
    run.say("starting")
    async with both(run, workers=2) as (sets, _), AsyncExitStack() as stack:
        pids = {f"{skirmish.name}, {name}": pid for skirmish in sets for name, pid in skirmish.stack.pids().items()}
        loads = [await stack.enter_async_context(loaded(skirmish, RATE, random.Random(0))) for skirmish in sets]
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(1, seconds // pause + 1):
            with run.leg(f"{2 * RATE:,} battles/s"):
                await asyncio.sleep(began + number * pause - loop.time())
                for name, pid in pids.items():
                    seen.setdefault(name, []).append(psutil.Process(pid).memory_info().rss / MIB)
    size = max(1, round(len(next(iter(seen.values()))) * WINDOW))
    start = round(len(next(iter(seen.values()))) * WARM_UP)
    for skirmish, load in zip(sets, loads, strict=True):
        run.add(f"{skirmish.name}: refused", "battles", [load.refused], at_most(0))
    for name, samples in seen.items():
        run.add(f"{name}: resident", "MiB", samples)
    for name, samples in seen.items():
        growth = statistics.median(samples[-size:]) / statistics.median(samples[start : start + size])
        run.add(f"{name}: at the end to after the warm-up", "", [growth], at_most(GROWTH))
