"""The settler: one transaction for all that waits, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from services.common.errors import Unavailable
from services.player.settlement import Applied, Change, Conflict, Effect, FoughtBattle, Result, Settlement, Waiting
from services.player.settler import ROUND_LIMIT, Settler


def battle(sequence: int) -> FoughtBattle:
    return FoughtBattle(f"battle {sequence}", sequence, "a", sequence, "b", sequence, Effect.DRAW, 0, "")


def done(sequence: int) -> Applied:
    return Applied(Settlement(sequence, Change(f"battle {sequence}", Effect.DRAW, None, 0, 0, ""), 0))


class Books:
    """A settling in memory: battles take effect by their sequence, one after the other.

    Attributes:
        rounds: The sequences of each round, in the order in which they were asked for.
        gate: Rounds wait until it is set.
        fail: What a round fails with, by its sequences.
    """

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.last = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.fail: Callable[[list[int]], Exception | None] = lambda _: None

    async def settle(self, battles: Sequence[FoughtBattle]) -> list[Result]:
        sequences = [battle.sequence for battle in battles]
        self.rounds.append(sequences)
        self.entered.set()
        await self.gate.wait()
        if error := self.fail(sequences):
            raise error
        settled = set()
        for sequence in sorted(sequences):
            if sequence == self.last + 1:
                self.last = sequence
                settled.add(sequence)
        return [done(sequence) if sequence in settled else Waiting("a", self.last + 1) for sequence in sequences]


@asynccontextmanager
async def running(books: Books, block_timeout: float = 30) -> AsyncIterator[Settler]:
    settler = Settler(books.settle, block_timeout)
    task = asyncio.create_task(settler.run())
    try:
        yield settler
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def within(answer: Awaitable[list[Result]]) -> list[Result]:
    async with asyncio.timeout(10):
        return await answer


async def call(settler: Settler, *sequences: int) -> asyncio.Task[list[Result]]:
    """Begins a call, and returns when the settler has its battles."""
    task = asyncio.create_task(settler.settle([battle(sequence) for sequence in sequences]))
    await asyncio.sleep(0)
    return task


async def test_calls_that_come_while_a_round_runs_share_the_next_one() -> None:
    books = Books()
    async with running(books) as settler:
        books.gate.clear()
        first = await call(settler, 1)
        await books.entered.wait()
        others = [await call(settler, 4, 2), await call(settler, 3)]
        books.gate.set()

        assert [await within(task) for task in [first, *others]] == [[done(1)], [done(4), done(2)], [done(3)]]
        assert books.rounds == [[1], [4, 2, 3]]


async def test_an_early_battle_waits_for_a_call_with_the_one_before() -> None:
    books = Books()
    async with running(books) as settler:
        early = await call(settler, 2)
        await books.entered.wait()

        assert await within(settler.settle([battle(1)])) == [done(1)]
        assert await within(early) == [done(2)]


async def test_an_early_battle_is_tried_again_as_another_replica_may_have_settled_the_one_before() -> None:
    books = Books()
    async with running(books) as settler:
        early = await call(settler, 2)
        await books.entered.wait()
        books.last = 1

        assert await within(early) == [done(2)]


async def test_an_early_battle_is_answered_after_a_while_and_then_forgotten() -> None:
    books = Books()
    async with running(books, block_timeout=0.05) as settler:
        assert await within(settler.settle([battle(3), battle(1)])) == [Waiting("a", 2), done(1)]
        assert await within(settler.settle([battle(2)])) == [done(2)]
        assert books.rounds[-1] == [2]


async def test_battles_of_a_call_that_was_cancelled_are_dropped() -> None:
    books = Books()
    async with running(books) as settler:
        books.gate.clear()
        first = await call(settler, 1)
        await books.entered.wait()
        left = await call(settler, 2)
        stays = await call(settler, 3)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        books.gate.set()
        await within(first)
        books.last = 2

        assert await within(stays) == [done(3)]
        assert not any(2 in sequences for sequences in books.rounds)


async def test_a_round_is_bounded_and_the_next_one_takes_what_is_left() -> None:
    books = Books()
    async with running(books) as settler:
        books.gate.clear()
        first = await call(settler, 1)
        await books.entered.wait()
        count = ROUND_LIMIT + 500
        rest = [await call(settler, *range(2, count // 2)), await call(settler, *range(count // 2, count + 2))]
        books.gate.set()
        await asyncio.gather(first, *map(within, rest))

        assert books.rounds[1:] == [list(range(2, ROUND_LIMIT + 2)), list(range(ROUND_LIMIT + 2, count + 2))]


async def test_battles_that_wait_keep_no_other_from_its_try() -> None:
    books = Books()
    books.last = 9999
    async with running(books) as settler:
        early = await call(settler, *range(1, 2 * ROUND_LIMIT))
        await books.entered.wait()

        assert await within(settler.settle([battle(10_000)])) == [done(10_000)]
        early.cancel()


async def test_every_call_of_a_round_learns_that_the_database_is_out_of_reach() -> None:
    books = Books()
    async with running(books) as settler:
        books.gate.clear()
        books.fail = lambda _: Unavailable("the database does not answer")
        first = await call(settler, 1)
        await books.entered.wait()
        others = [await call(settler, 2), await call(settler, 3)]
        books.gate.set()
        for task in [first, *others]:
            with pytest.raises(Unavailable):
                await within(task)
        assert books.rounds == [[1], [2, 3]]

        books.fail = lambda _: None
        assert await within(settler.settle([battle(1)])) == [done(1)]


async def test_a_call_that_breaks_a_round_fails_alone() -> None:
    books = Books()
    async with running(books) as settler:
        books.gate.clear()
        books.fail = lambda sequences: RuntimeError("poison") if 3 in sequences else None
        first = await call(settler, 1)
        await books.entered.wait()
        good, poison, waits = await call(settler, 2), await call(settler, 3, 5), await call(settler, 4)
        books.gate.set()

        assert await within(first) == [done(1)]
        assert await within(good) == [done(2)]
        with pytest.raises(RuntimeError, match="poison"):
            await within(poison)
        books.last = 3
        assert await within(waits) == [done(4)]


async def test_a_result_that_is_final_is_not_asked_for_again() -> None:
    class Strict(Books):
        async def settle(self, battles: Sequence[FoughtBattle]) -> list[Result]:
            results = await super().settle(battles)
            return [Conflict("no") if b.sequence == 9 else r for b, r in zip(battles, results, strict=True)]

    books = Strict()
    async with running(books) as settler:
        early = await call(settler, 9, 2)
        await books.entered.wait()
        await within(settler.settle([battle(1)]))

        assert await within(early) == [Conflict("no"), done(2)]
        assert [9 in sequences for sequences in books.rounds].count(True) == 1
