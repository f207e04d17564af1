"""Answers that all who ask the same at about the same time share."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Asking(Generic[T]):
    """One asking: when it began, its answer to be, and the one after it."""

    def __init__(self, began: float, ask: Coroutine[Any, Any, T]) -> None:
        self.began = began
        self.answer = asyncio.create_task(ask)
        self.next: _Asking[T] | None = None


class Shared(Generic[T]):
    """Asks once for all who want to know the same.

    An answer serves from the moment it is asked for until its lifetime is over, whether it is there by then or not. So
    it may be that much older than the question, and no more. In the second half of that time the first who wants it has
    it asked for again, and whoever comes until the new one is there gets the old one: where many ask, nobody waits.

    Args:
        lifetime: Seconds; 0 to share nothing.
        now: Gives the time in seconds.
    """

    def __init__(self, lifetime: float, now: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._now = now
        self._current: dict[Hashable, _Asking[T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns an answer, or raises what the asking raised.

        Args:
            key: What is asked.
            ask: Asks. It is not cancelled when those leave who wait for it.
        """
        now = self._now()
        asking = self._current.get(key)
        while asking and now - asking.began >= self._lifetime:
            asking = self._end(key, asking)
        if asking is None:
            asking = self._current[key] = self._begin(key, ask, now)
        elif not asking.next and now - asking.began >= self._lifetime / 2:
            asking.next = self._begin(key, ask, now)
            asking.next.answer.add_done_callback(partial(self._replace, key, asking))
        return asking.answer.result() if asking.answer.done() else await asyncio.shield(asking.answer)

    def _begin(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]], now: float) -> _Asking[T]:
        asking = _Asking(now, ask())
        asyncio.get_running_loop().call_later(
            self._lifetime, self._end, key, asking
        )  # so that nothing is kept for long
        return asking

    def _replace(self, key: Hashable, asking: _Asking[T], answer: "asyncio.Task[T]") -> None:
        if not answer.cancelled() and not answer.exception():  # else the old one serves to its end
            self._end(key, asking)

    def _end(self, key: Hashable, asking: _Asking[T]) -> _Asking[T] | None:
        """Lets the next one take the place of an asking, if that still has it. Returns whichever has it now."""
        if self._current.get(key) is asking:
            asking.answer.add_done_callback(_look_at_error)
            if asking.next:
                self._current[key] = asking.next
            else:
                del self._current[key]
        return self._current.get(key)


def _look_at_error(answer: "asyncio.Task[Any]") -> None:
    """Keeps asyncio from complaining of an error that nobody was left to hear."""
    if not answer.cancelled():
        answer.exception()
