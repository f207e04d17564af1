"""An event loop with a time of its own: when nothing is left to do, the time jumps to the next timer.

So an hour of waiting costs nothing, and the same program always runs in the same order.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

R = TypeVar("R")


class Stuck(Exception):
    """Nothing is left to do, and never will be, though what was run has not ended."""


class _Handle(list[Any]):
    """A callback to come, with its arguments and its context: a list, since nothing is made as quickly."""

    __slots__ = ()

    def cancel(self) -> None:
        self[:] = None, (), None

    def cancelled(self) -> bool:
        return self[0] is None


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs coroutines in virtual time, which begins at 0. It knows timers and tasks, but neither sockets nor threads.

    Attributes:
        now: The time in seconds.
        tasks: All tasks that were ever made.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.tasks: list[asyncio.Task[Any]] = []
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, Any]] = []  # what is due then: a _Handle, or a future that only waits
        self._count = 0

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        """Runs a coroutine to its end, and whatever it starts as long as it runs.

        Raises:
            Stuck: It waits for something that never comes.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            ready, timers = self._ready, self._timers
            while True:
                if ready:
                    handle = ready.popleft()
                elif task.done():
                    return task.result()
                elif timers:
                    self.now, _, due = heapq.heappop(timers)
                    if type(due) is not _Handle:
                        if not due.done():
                            due.set_result(None)
                        continue
                    handle = due
                else:
                    raise Stuck
                callback, args, context = handle
                if callback is None:
                    continue
                if context is None:
                    callback(*args)
                else:
                    context.run(callback, *args)
        finally:
            asyncio._set_running_loop(before)

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        handle = _Handle((callback, args, context))
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        handle = _Handle((callback, args, context))
        self._count += 1  # among equals, the first that was asked for comes first
        heapq.heappush(self._timers, (max(when, self.now), self._count, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, R], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[R]":
        task = asyncio.Task(coro, loop=self, name=name or "", context=context)
        self.tasks.append(task)
        return task

    def sleep(self, delay: float) -> "asyncio.Future[Any]":
        """Returns a future that is done after a delay: asyncio.sleep, for less."""
        future: asyncio.Future[Any] = asyncio.Future(loop=self)
        self._count += 1
        heapq.heappush(self._timers, (self.now + delay, self._count, future))
        return future

    get_debug = bool  # False: asyncio asks for each future, and this runs no Python code

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignores what asyncio finds when it takes things apart: whoever runs something looks at its end."""
