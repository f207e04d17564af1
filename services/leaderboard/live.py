"""Live boards: the top of a board whenever it changes, read once for all who watch it.

Changes may come from any replica, so the boards themselves are looked at, a few times a second while somebody watches.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from services.common.errors import ResourceExhausted, Unavailable
from services.leaderboard import boards
from services.leaderboard.store import Page, Store

INTERVAL = 0.25
"""Seconds between two looks at a board."""

_Top = tuple[str, int]


class LiveBoards:
    """Follows the tops of boards.

    Args:
        store: The boards.
        now: Gives the time in microseconds; today's board follows from it.
        max_watchers: How many may watch at once.
    """

    def __init__(self, store: Store, now: Callable[[], int], max_watchers: int) -> None:
        self._store = store
        self._now = now
        self._max = max_watchers
        self._watchers = 0
        self._reads: dict[_Top, asyncio.Task[Page]] = {}
        self._stopping = asyncio.Event()

    def close(self) -> None:
        """Ends every watch: the server stops."""
        self._stopping.set()

    async def watch(self, name: str, count: int) -> AsyncGenerator[Page, None]:
        """Yields the first entries of a board, now and whenever they change.

        Args:
            name: The board as it was asked for, and known to be right.
            count: How many entries.

        Raises:
            ResourceExhausted: Too many watch.
            Unavailable: Redis is out of reach, the boards are being filled, or the server stops.
        """
        if self._watchers >= self._max:
            raise ResourceExhausted(f"{self._max:,} streams are open", "TOO_MANY_WATCHERS", retry_delay=5.0)
        self._watchers += 1
        shown: Page | None = None
        try:
            while not self._stopping.is_set():
                page = await self._read((boards.resolve(name, self._now()), count))
                if page != shown:
                    yield page
                    shown = page
                with suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL):
                        await self._stopping.wait()
            raise Unavailable("this server stops; watch again", "STOPPING")
        finally:
            self._watchers -= 1

    async def _read(self, top: _Top) -> Page:
        """Reads the top of a board, together with all others who want it within the interval."""
        read = self._reads.get(top)
        if read is None:
            read = self._reads[top] = asyncio.create_task(self._store.page(top[0], 0, top[1]))
            read.add_done_callback(lambda _: asyncio.get_running_loop().call_later(INTERVAL / 2, self._forget, top))
        return await asyncio.shield(read)  # one who leaves must not end it for the others

    def _forget(self, top: _Top) -> None:
        read = self._reads.pop(top)
        if not read.cancelled():
            read.exception()  # told to those who waited, if any did
