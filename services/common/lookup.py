"""Merges reads of single things: what is asked for while one query runs is found by the next one, all together."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

FOUND_AT_ONCE = 500
"""How many things one query looks for. Redis answers nobody else while it does, and takes some thousand at most."""

GATHERING = 0.006
"""Seconds for which calls gather after a query for several: a query costs as much as all else of several calls."""


class Lookup(Generic[K, V]):
    """Finds things for all calls at once. A lone call waits for nobody, and one of many for a moment.

    A thing is never found by a query that began before it was asked for, so a caller sees what it has written.

    Args:
        find: Returns those of the things that exist, by key.
    """

    def __init__(self, find: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._find = find
        self._asked: defaultdict[K, list[asyncio.Future[V | None]]] = defaultdict(list)
        self._finding: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Returns a thing, None when there is no such one.

        Raises:
            Unavailable: What it is read from is out of reach.
        """
        found: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked[key].append(found)
        if self._finding is None:
            self._finding = asyncio.create_task(self._find_all())
        return await found

    async def _find_all(self) -> None:
        while self._asked:
            asked = {key: self._asked.pop(key) for key in list(itertools.islice(self._asked, FOUND_AT_ONCE))}
            try:
                things = await self._find(asked)
            except Exception as error:
                for found in itertools.chain(*asked.values()):
                    if not found.done():  # else its caller left
                        found.set_exception(error)
            else:
                for key, waiting in asked.items():
                    for found in waiting:
                        if not found.done():
                            found.set_result(things.get(key))
            if sum(map(len, asked.values())) > 1:
                await asyncio.sleep(GATHERING)
        self._finding = None
