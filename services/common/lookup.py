"""Merges reads of single things: what is asked for while one query runs is found by the next one, all together."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

FOUND_AT_ONCE = 500
"""How many things one query looks for. Redis answers nobody else while it does, and takes some thousand at most."""


class Lookup(Generic[K, V]):
    """Finds things for all calls at once. A lone call waits for nobody.

    A thing is never found by a query that began before it was asked for, so a caller sees what it has written.

    Args:
        find: Returns those of the things that exist, by key.
    """

    def __init__(self, find: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._find = find
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._finding: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Returns a thing, None when there is no such one.

        Raises:
            Unavailable: What it is read from is out of reach.
        """
        found = self._asked.setdefault(key, asyncio.get_running_loop().create_future())
        if self._finding is None:
            self._finding = asyncio.create_task(self._find_all())
        return await asyncio.shield(found)  # others may wait for it, too

    async def _find_all(self) -> None:
        while self._asked:
            asked = {key: self._asked.pop(key) for key in list(itertools.islice(self._asked, FOUND_AT_ONCE))}
            try:
                things = await self._find(asked)
            except Exception as error:
                for found in asked.values():
                    found.set_exception(error)
            else:
                for key, found in asked.items():
                    found.set_result(things.get(key))
        self._finding = None
