"""All that is measured, in its order."""

from collections.abc import Awaitable, Callable

from bench import battles, boards, calls, growth, latency, memory, pages, start
from bench.run import Run

MEASUREMENTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "battles": battles.measure,
    "latency": latency.measure,
    "calls": calls.measure,
    "boards": boards.measure,
    "http": pages.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "start": start.measure,
}
