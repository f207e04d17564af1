"""Thousands of battles, submitted in batches and watched until every one of them has ended."""

import asyncio
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local import FailedError
from local.calls import PAUSE, TIMEOUT, call, retry_delay
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc

BATCH = 250
"""Battles in one call. The service takes 500; with half of it the bars run more smoothly."""
QUIET = 2.0
"""Seconds without news after which the battles still missing are looked up."""
PAGE = 100
"""Battles on a page of a list, as many as it takes."""

Battle = battle_pb2.Battle


@dataclass
class Tournament:
    """Battles between random players.

    Args:
        battles: The battle service.
        player_ids: Who fights.
        count: How many battles.
    """

    battles: battle_pb2_grpc.BattleServiceStub
    player_ids: list[str]
    count: int
    submitted: set[str] = field(default_factory=set)
    """The ids of the battles that the service has taken."""
    ended: dict[str, Battle] = field(default_factory=dict)
    """Battles that were seen to end, by id; those of others too."""
    seconds: float = 0.0
    """From the first submission to the last end."""

    async def run(self, console: Console) -> None:
        """Submits all battles and returns when every one of them has ended.

        Raises:
            FailedError: One is refused for good, or for long none has ended.
        """
        opened = asyncio.Event()
        tasks = [asyncio.create_task(self._watch(opened))]
        try:
            await asyncio.wait_for(opened.wait(), TIMEOUT)
            tasks.append(asyncio.create_task(self._submit()))
            columns = (TextColumn("{task.description:<9}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=console) as progress:
                await self._follow(progress, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def summary(self) -> str:
        """Returns in a few sentences what came of the battles."""
        battles = [self.ended[battle_id] for battle_id in self.submitted]
        outcomes = Counter(battle.outcome for battle in battles)
        voided = sum(battle.state == Battle.VOIDED for battle in battles)
        gold, silver = (sum(getattr(battle, f"{metal}_stolen") for battle in battles) for metal in ("gold", "silver"))
        return (
            f"{len(battles):,} battles in {self.seconds:.1f} seconds, {len(battles) / self.seconds:,.0f} a second: "
            f"{outcomes[Battle.CHALLENGER_WON]:,} won by the challenger, {outcomes[Battle.OPPONENT_WON]:,} by the "
            f"opponent, {outcomes[Battle.DRAW]:,} drawn, {voided:,} voided.\n"
            f"{gold:,} gold and {silver:,} silver changed hands."
        )

    async def _follow(self, progress: Progress, tasks: list[asyncio.Task[None]]) -> None:
        """Shows how far everything is until it is done."""
        submitted = progress.add_task("submitted", total=self.count)
        settled = progress.add_task("settled", total=self.count)
        began = changed = time.monotonic()
        done = 0
        while done < self.count:
            await asyncio.sleep(PAUSE / 2)
            for task in tasks:
                if task.done():
                    task.result()
            if time.monotonic() - changed > QUIET:
                await self._look_up_missing()
            if (count := len(self.submitted & self.ended.keys())) > done:
                done, changed = count, time.monotonic()
            elif time.monotonic() - changed > TIMEOUT:
                waiting = len(self.submitted) - done
                raise FailedError(f"For {TIMEOUT:.0f} seconds no battle has ended; {waiting:,} wait.")
            progress.update(submitted, completed=len(self.submitted))
            progress.update(settled, completed=done)
        self.seconds = changed - began

    async def _submit(self) -> None:
        """Submits in batches. Battles that are refused because too many wait are submitted again."""
        run = uuid.uuid4()
        waiting = [self._random_battle(f"{run}-{number}") for number in range(self.count)]
        while waiting:
            batch = waiting[:BATCH]
            answer = await call(self.battles.SubmitBattles, battle_pb2.SubmitBattlesRequest(requests=batch))
            refused, pause = [], 0.0
            for request, result in zip(batch, answer.results, strict=True):
                if result.HasField("battle"):
                    self.submitted.add(result.battle.battle_id)
                elif (delay := retry_delay(result.error)) is not None:
                    refused.append(request)
                    pause = max(pause, delay)
                else:
                    raise FailedError(f"A battle was refused: {result.error.message}")
            waiting[:BATCH] = refused
            await asyncio.sleep(pause)

    def _random_battle(self, request_id: str) -> battle_pb2.SubmitBattleRequest:
        challenger, opponent = random.sample(self.player_ids, 2)
        return battle_pb2.SubmitBattleRequest(request_id=request_id, challenger_id=challenger, opponent_id=opponent)

    async def _watch(self, opened: asyncio.Event) -> None:
        """Notes battles as they end, until cancelled, and what has ended between two streams."""
        while True:
            try:
                stream: Any = self.battles.WatchBattles(battle_pb2.WatchBattlesRequest())
                await stream.initial_metadata()  # from here on nothing is missed
                opened.set()
                await self._look_up_missing()
                async for battle in stream:
                    self.ended[battle.battle_id] = battle
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
                    raise
            await asyncio.sleep(PAUSE)

    async def _look_up_missing(self) -> None:
        """Finds battles that no stream has told of among all battles, newest first."""
        missing = self.submitted - self.ended.keys()
        request = battle_pb2.ListBattlesRequest(page_size=PAGE)
        while missing:
            page = await call(self.battles.ListBattles, request)
            for battle in page.battles:
                if battle.battle_id in missing and battle.state != Battle.QUEUED:
                    self.ended[battle.battle_id] = battle
            missing.difference_update(battle.battle_id for battle in page.battles)
            request.page_token = page.next_page_token
            if not request.page_token:
                break
