"""Shared answers: asked once for all, never older than they may be."""

import asyncio

import pytest

from gateway.shared import Shared

LIFETIME = 60.0


class World:
    """A clock that stands still unless it is put on, and a source that answers how often it was asked, once it may."""

    def __init__(self, lifetime: float = LIFETIME) -> None:
        self.time = 0.0
        self.asked = 0
        self.let = asyncio.Event()
        self.let.set()
        self.error: Exception | None = None
        self.shared = Shared[int](lifetime, lambda: self.time)

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.let.wait()
        if self.error:
            raise self.error
        return number

    async def get(self, key: str = "a") -> int:
        return await self.shared.get(key, self.ask)

    def begin(self) -> "asyncio.Task[int]":
        return asyncio.create_task(self.get())

    async def settle(self) -> None:
        """Lets everything happen that needs no waiting."""
        for _ in range(10):
            await asyncio.sleep(0)


async def test_all_who_ask_at_once_share_one_asking() -> None:
    world = World()
    world.let.clear()
    waiting = [world.begin() for _ in range(100)]
    await world.settle()
    world.let.set()
    assert set(await asyncio.gather(*waiting)) == {1}
    assert await world.get() == 1
    assert world.asked == 1


async def test_another_question_has_another_answer() -> None:
    world = World()
    assert [await world.get(key) for key in ("a", "b", "a")] == [1, 2, 1]


async def test_an_answer_serves_no_longer_than_its_lifetime() -> None:
    world = World()
    assert await world.get() == 1
    world.time += LIFETIME
    assert await world.get() == 2


async def test_a_lifetime_of_nothing_shares_nothing() -> None:
    world = World(lifetime=0)
    world.let.clear()
    waiting = [world.begin() for _ in range(3)]
    await world.settle()
    world.let.set()
    assert await asyncio.gather(*waiting) == [1, 2, 3]


async def test_an_asking_that_takes_long_is_joined_no_longer_than_its_lifetime() -> None:
    world = World()
    world.let.clear()
    first = world.begin()
    await world.settle()
    world.time += LIFETIME
    second = world.begin()
    await world.settle()
    world.let.set()
    assert (await first, await second) == (1, 2)


async def test_nobody_waits_for_the_next_answer_while_the_old_one_may_serve() -> None:
    world = World()
    assert await world.get() == 1
    world.let.clear()
    world.time += LIFETIME / 2
    assert [await world.get() for _ in range(3)] == [1, 1, 1]
    await world.settle()
    assert world.asked == 2
    world.let.set()
    await world.settle()
    assert await world.get() == 2
    assert world.asked == 2


async def test_those_who_come_after_the_old_one_s_end_join_the_next_one() -> None:
    world = World()
    assert await world.get() == 1
    world.let.clear()
    world.time += LIFETIME * 3 / 4
    await world.get()
    world.time += LIFETIME / 4
    late = world.begin()
    await world.settle()
    world.let.set()
    assert await late == 2
    assert world.asked == 2


async def test_an_error_is_told_to_all_who_asked_and_forgotten() -> None:
    world = World()
    world.error = ValueError("no")
    for told in await asyncio.gather(*(world.get() for _ in range(3)), return_exceptions=True):
        assert told is world.error
    world.error = None
    world.time += LIFETIME
    assert await world.get() == 2


async def test_an_error_does_not_replace_an_answer_that_may_serve() -> None:
    world = World()
    assert await world.get() == 1
    world.error = ValueError("no")
    world.time += LIFETIME / 2
    assert await world.get() == 1
    await world.settle()
    assert (await world.get(), world.asked) == (1, 2)
    world.time += LIFETIME / 2
    with pytest.raises(ValueError, match="no"):
        await world.get()


async def test_one_who_leaves_does_not_end_it_for_the_others() -> None:
    world = World()
    world.let.clear()
    leaving, staying = world.begin(), world.begin()
    await world.settle()
    leaving.cancel()
    await asyncio.wait((leaving,))
    world.let.set()
    assert await staying == 1
    assert leaving.cancelled()


async def test_nothing_is_kept_that_nobody_asks_for_any_more() -> None:
    world = World(lifetime=0.05)
    for number in range(100):
        await world.get(str(number))
    async with asyncio.timeout(10):
        while world.shared._current:
            await asyncio.sleep(0.01)
