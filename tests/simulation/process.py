"""Processes that can die, stand still and come back, and what happens between them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from tests.simulation.faults import Fault
from tests.simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.world import World

R = TypeVar("R")

NEVER = float("inf")
CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process")
"""The process in which code runs."""


class Process:
    """One run of a program, from its start to its end or its death.

    Whatever reaches out of it goes through ``exchange`` or through a channel. There it may die, or stand still; then
    none of its parts reaches anything any more, or for a while.

    Args:
        world: Where it lives.
        name: Its name, no two alike.
        mortal: Whether fate may kill or stop it.

    Attributes:
        loop: The loop it runs in.
        standing_until: Until when it stands still; for ever when it is dead.
        sick_until: Until when its fights fail.
        skew: How far its clock is off, in seconds.
        calls: The calls that it has yet to answer.
        servicers: What answers its calls, by the full name of the service.
        stopping: Whether it was told to stop.
        on_stop: Is called then.
        on_end: Is called when it has ended.
        surprise: Happens at one of its next exchanges, whatever others do until then.
    """

    def __init__(self, world: World, name: str, mortal: bool = True) -> None:
        self.world = world
        self.name = name
        self.mortal = mortal
        self.loop: VirtualLoop = world.loop
        self.fate = world.fate
        self.standing_until = 0.0
        self.sick_until = 0.0
        self.calls: dict[asyncio.Future[bytes], None] = {}
        self.servicers: dict[str, Any] = {}
        self.on_stop: Callable[[], object] = lambda: None
        self.on_end: Callable[[], object] = lambda: None
        self.surprise: Callable[[], object] | None = None
        self.stopping = False
        self.skew = 0.0
        self._trace = world.trace
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def now(self) -> int:
        """Returns the time by the clock of its machine, in microseconds."""
        return self.world.wall_clock(self.skew)

    @property
    def dead(self) -> bool:
        """Whether it is dead."""
        return self.standing_until == NEVER

    def run(self, work: Coroutine[Any, Any, None], on_end: Callable[[], object] | None = None) -> None:
        """Runs something as a part of it. It must not fail; a process that is told to stop may."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                if (error := task.exception()) and not self.stopping:
                    self.world.referee.blame(f"{self.name} broke: {error!r}", error)
                if on_end:
                    on_end()

        self.loop.create_task(work, context=self.context).add_done_callback(ended)

    def die(self) -> None:
        """Ends it on the spot."""
        if not self.dead:
            self.tell("dies")
            self.end()

    def stop(self) -> None:
        """Tells it to end what it has in hand, and then to end."""
        self.tell("is told to stop")
        self.stopping = True
        self.on_stop()

    def end(self) -> None:
        """Ends it. Its connections break."""
        if not self.dead:
            self.standing_until = NEVER
            for reply in list(self.calls):
                hang_up(reply)
            self.on_end()

    def stand_still(self, seconds: float) -> None:
        """Stops all of it for a while."""
        self.tell(f"stands still for {seconds:.3f} s")
        self.standing_until = max(self.standing_until, self.loop.now + seconds)

    def tell(self, what: str, outcome: object = "") -> None:
        """Writes down what it did."""
        if self._trace is not None:
            self._trace.append((self.loop.now, self.name, what, outcome))

    async def moving(self) -> None:
        """Returns once it doesn't stand still; never when it is dead."""
        while self.loop.now < self.standing_until:
            if self.world.over:
                raise asyncio.CancelledError
            if self.dead:
                await self.loop.create_future()
            await self.loop.sleep(self.standing_until - self.loop.now)

    async def exchange(self, what: str, do: Callable[[], R], broken: Callable[[], Exception], late: bool = True) -> R:
        """Has something done elsewhere, at once and in one step, and returns its result.

        Args:
            what: What it is, for the trace.
            do: Does it.
            broken: Makes what is raised when the connection breaks.
            late: Whether it may be done after it was given up.
        """
        loop = self.loop
        if loop.now < self.standing_until:
            await self.moving()
        if self.surprise is not None and self.fate.happens(0.2):
            surprise, self.surprise = self.surprise, None
            surprise()
        fault = self.fate.draw()
        if fault is None:
            if there := self.fate.delay():
                try:
                    await loop.sleep(there)
                except asyncio.CancelledError:  # it may be on its way already
                    if not self.world.over and not self.dead and self.fate.happens(0.5):
                        self._do_late(what, do)
                    raise
                if loop.now < self.standing_until:
                    await self.moving()
            result = self._do(what, do)
            if back := self.fate.delay():
                await loop.sleep(back)
                if loop.now < self.standing_until:
                    await self.moving()
            return result
        if await self.suffer_before(fault, what):
            raise broken()
        if fault is Fault.LATE and late:
            self.tell(f"{what} {fault.value}")
            self.loop.call_later(self.fate.uniform(0.01, 8), self._do_late, what, do)
            await self.loop.sleep(0.1)
            raise broken()
        result = self._do(what, do)
        if await self.suffer_after(fault, what):
            raise broken()
        return result

    async def suffer_before(self, fault: Fault, what: str) -> bool:
        """Has a fault happen before something was done. Returns whether the connection broke."""
        if fault is Fault.CRASH_BEFORE and self.mortal:
            self.tell(f"{what} {fault.value}")
            self.die()
        elif fault is Fault.PAUSE_BEFORE and self.mortal:
            self.stand_still(self.fate.pause())
        elif fault is Fault.SLOW:
            await self.loop.sleep(self.fate.uniform(0.01, 2))
        await self.moving()
        if fault is Fault.REFUSED:
            self.tell(f"{what} {fault.value}")
            await self.loop.sleep(0.01)
            await self.moving()
        return fault is Fault.REFUSED

    async def suffer_after(self, fault: Fault, what: str) -> bool:
        """Has a fault happen after something was done. Returns whether the connection broke."""
        if fault is Fault.CRASH_AFTER and self.mortal:
            self.tell(f"{what} {fault.value}")
            self.die()
        elif fault is Fault.PAUSE_AFTER and self.mortal:
            self.stand_still(self.fate.pause())
        await self.moving()
        lost = fault is Fault.LOST or fault is Fault.LATE
        if lost:
            self.tell(f"{what} {Fault.LOST.value}")
            await self.loop.sleep(0.01)
            await self.moving()
        return lost

    def _do(self, what: str, do: Callable[[], R]) -> R:
        if self._trace is None:
            return do()
        try:
            result = do()
        except Exception as error:
            self.tell(what, error)
            raise
        self.tell(what, result)
        return result

    def _do_late(self, what: str, do: Callable[[], object]) -> None:
        with contextlib.suppress(Exception):  # nobody waits for it any more
            self._do(f"{what}, late", do)


def hang_up(reply: asyncio.Future[bytes], code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
    """Ends a call with an error, unless it has ended."""
    if not reply.done():
        reply.set_exception(rpc_error(code, "the connection broke"))


def rpc_error(code: grpc.StatusCode, message: str) -> grpc.aio.AioRpcError:
    """Returns what a client sees of a call that failed."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), message)
