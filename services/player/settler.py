"""Merges the battles of all calls that wait into one transaction after another, and lets early ones wait their turn."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from services.common import crash, logs
from services.common.errors import Unavailable
from services.player.settlement import Applied, FoughtBattle, Result, Waiting

ROUND_LIMIT = 2000
"""How many battles one transaction takes on at most."""
POLL_INTERVAL = 0.025
"""Seconds after which battles that wait are tried again, as another replica may have settled those before them."""

Settle = Callable[[Sequence[FoughtBattle]], Awaitable[Sequence[Result]]]
"""Lets battles take effect in one transaction, and returns what became of each."""

log = logs.get(__name__)


class _Call:
    """The battles of one call, and what became of those that are done with."""

    def __init__(self, size: int) -> None:
        self.done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._results: dict[int, Result] = {}
        self._size = size

    def answer(self, index: int, result: Result) -> None:
        self._results[index] = result
        if len(self._results) == self._size and not self.done.done():
            self.done.set_result([self._results[index] for index in range(self._size)])

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Ticket:
    """A battle of a call that has no result yet."""

    battle: FoughtBattle
    call: _Call
    index: int
    deadline: float | None = None  # set when it is first found to be early


class Settler:
    """Takes battles from many calls at once and settles them together.

    Args:
        settle: What settles them; the only thing here that can fail.
        block_timeout: Seconds that a battle waits for those before it, before it is answered as Waiting.
    """

    def __init__(self, settle: Settle, block_timeout: float) -> None:
        self._settle = settle
        self._block_timeout = block_timeout
        self._tickets: list[_Ticket] = []
        self._arrived = asyncio.Event()

    async def settle(self, battles: Sequence[FoughtBattle]) -> list[Result]:
        """Returns what became of battles, one result each, in their order.

        Raises:
            Unavailable: The database is out of reach. Whether they took effect is not known; send them again.
        """
        call = _Call(len(battles))
        self._tickets.extend(_Ticket(battle, call, index) for index, battle in enumerate(battles))
        self._arrived.set()
        return await call.done

    async def run(self) -> None:
        """Settles what arrives, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL if self._tickets else None):
                    await self._arrived.wait()
            self._arrived.clear()
            open_tickets = [ticket for ticket in self._tickets if not ticket.call.done.done()]  # done, too: cancelled
            tickets, self._tickets = open_tickets[:ROUND_LIMIT], open_tickets[ROUND_LIMIT:]
            if any(ticket.deadline is None for ticket in self._tickets):
                self._arrived.set()
            waiting = await self._round(tickets)
            self._tickets.extend(waiting)  # behind all others, so that everything gets its try

    async def _round(self, tickets: list[_Ticket]) -> list[_Ticket]:
        """Settles battles in one transaction, and returns those that wait on."""
        if not tickets:
            return []
        try:
            results = await self._settle([ticket.battle for ticket in tickets])
        except Exception as error:
            return await self._recover(tickets, error)
        if any(isinstance(result, Applied) for result in results):
            crash.point("settle.after_commit")
        now = asyncio.get_running_loop().time()
        waiting = []
        for ticket, result in zip(tickets, results, strict=True):
            if isinstance(result, Waiting):
                ticket.deadline = ticket.deadline or now + self._block_timeout
                if now < ticket.deadline:
                    waiting.append(ticket)
                    continue
            ticket.call.answer(ticket.index, result)
        return waiting

    async def _recover(self, tickets: list[_Ticket], error: Exception) -> list[_Ticket]:
        """Fails the calls of a round, but keeps what is wrong with one of them from the others."""
        calls = list({ticket.call: None for ticket in tickets})
        if isinstance(error, Unavailable) or len(calls) == 1:
            for call in calls:
                call.fail(error)
            return []
        log.error("settling several calls at once failed; trying each by itself", calls=len(calls), exc_info=error)
        waiting = []
        for call in calls:
            waiting += await self._round([ticket for ticket in tickets if ticket.call is call])
        return waiting
