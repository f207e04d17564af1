"""The lookup: what is asked for while a query runs is found by the next one, all together."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from services.common.errors import Unavailable
from services.common.lookup import FOUND_AT_ONCE, Lookup
from services.player.players import Player


def player(player_id: str, gold: int = 0) -> Player:
    return Player(player_id, f"name of {player_id}", "", gold, 0, 70, 100, 10, 0, 0, 0)


class Table:
    """Players in memory.

    Attributes:
        queries: What each query asked for, in order.
        gate: A query that has read waits until it is set.
        error: What a query fails with.
    """

    def __init__(self, *players: Player) -> None:
        self.players = {one.player_id: one for one in players}
        self.queries: list[set[str]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def find(self, player_ids: Collection[str]) -> Mapping[str, Player]:
        found = {i: self.players[i] for i in player_ids if i in self.players}
        self.queries.append(set(player_ids))
        self.asked.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return found


async def test_a_lone_call_waits_for_nobody() -> None:
    table = Table(player("a"))
    table.gate.set()
    lookup = Lookup(table.find)
    assert await lookup.get("a") == player("a")
    assert await lookup.get("b") is None
    assert table.queries == [{"a"}, {"b"}]


async def test_what_is_asked_for_while_a_query_runs_is_found_together() -> None:
    table = Table(player("a"), player("b"), player("c"))
    lookup = Lookup(table.find)
    first = asyncio.create_task(lookup.get("a"))
    await table.asked.wait()
    others = [asyncio.create_task(lookup.get(player_id)) for player_id in "bcbx"]
    await asyncio.sleep(0)
    table.gate.set()
    assert await asyncio.gather(first, *others) == [player("a"), player("b"), player("c"), player("b"), None]
    assert table.queries == [{"a"}, {"b", "c", "x"}]


@pytest.mark.parametrize("several", ["ab", "aa"])
async def test_after_a_query_for_several_calls_gather(several: str) -> None:
    table = Table(*map(player, "abcd"))
    table.gate.set()
    lookup = Lookup(table.find)
    await asyncio.gather(*map(lookup.get, several))
    third = asyncio.create_task(lookup.get("c"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert await asyncio.gather(third, *map(lookup.get, "d")) == [player("c"), player("d")]
    assert table.queries == [set(several), {"c", "d"}]


async def test_no_query_looks_for_too_much() -> None:
    ids = [str(number) for number in range(2 * FOUND_AT_ONCE + 1)]
    table = Table(*map(player, ids))
    table.gate.set()
    lookup = Lookup(table.find)
    assert await asyncio.gather(*map(lookup.get, ids)) == list(map(player, ids))
    assert [len(query) for query in table.queries] == [FOUND_AT_ONCE, FOUND_AT_ONCE, 1]


async def test_a_caller_sees_what_was_written_before_it_asked() -> None:
    table = Table(player("a", gold=1))
    lookup = Lookup(table.find)
    early = asyncio.create_task(lookup.get("a"))
    await table.asked.wait()
    table.players["a"] = player("a", gold=2)
    late = asyncio.create_task(lookup.get("a"))
    await asyncio.sleep(0)
    table.gate.set()
    assert (await early, await late) == (player("a", gold=1), player("a", gold=2))


async def test_a_failure_reaches_everybody_who_asked_and_nobody_after() -> None:
    table = Table(player("a"))
    table.error = Unavailable("away")
    table.gate.set()
    lookup = Lookup(table.find)
    results = await asyncio.gather(lookup.get("a"), lookup.get("b"), return_exceptions=True)
    assert list(results) == [table.error, table.error]
    table.error = None
    assert await lookup.get("a") == player("a")


async def test_a_caller_that_leaves_takes_nobody_with_it() -> None:
    table = Table(player("a"))
    lookup = Lookup(table.find)
    leaving, staying = (asyncio.create_task(lookup.get("a")) for _ in range(2))
    await table.asked.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    table.gate.set()
    assert await staying == player("a")
