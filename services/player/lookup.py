"""Merges reads of single players: what is asked for while one query runs is found by the next one, all together."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from services.player.players import Player

Find = Callable[[Collection[str]], Awaitable[Mapping[str, Player]]]
"""Returns those of the players that exist."""


class Lookup:
    """Finds players for all calls at once. A lone call waits for nobody.

    A player is never found by a query that began before it was asked for, so a caller sees what it has written.

    Args:
        find: Finds them.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._asked: dict[str, asyncio.Future[Player | None]] = {}
        self._finding: asyncio.Task[None] | None = None

    async def get(self, player_id: str) -> Player | None:
        """Returns a player, None when there is no such one.

        Raises:
            Unavailable: The database is out of reach.
        """
        found = self._asked.setdefault(player_id, asyncio.get_running_loop().create_future())
        if self._finding is None:
            self._finding = asyncio.create_task(self._find_all())
        return await asyncio.shield(found)  # others may wait for it, too

    async def _find_all(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                players = await self._find(asked)
            except Exception as error:
                for found in asked.values():
                    found.set_exception(error)
            else:
                for player_id, found in asked.items():
                    found.set_result(players.get(player_id))
        self._finding = None
