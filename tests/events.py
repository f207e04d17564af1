"""Reads server-sent events as a browser does, strictly."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    """An event, with its data read as JSON. A message has no name."""

    name: str
    data: Any


@dataclass
class Events:
    """A stream of events, to be iterated over.

    Attributes:
        comments: How many comments came.
        retry: The milliseconds of each line that told when to connect anew.
    """

    response: httpx.Response
    comments: int = 0
    retry: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = _lines(self.response)

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        """Returns the next event; the stream is over when the gateway closes it."""
        name = ""
        data: list[str] = []
        async for line in self._lines:
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if data:
                    return Event(name, json.loads("\n".join(data)))
            elif not key:
                self.comments += 1
            elif key == "retry":
                self.retry.append(int(value))
            elif key == "event":
                name = value
            else:
                assert key == "data", line
                data.append(value)
        assert not data, "the last event is cut off"
        raise StopAsyncIteration


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    # Not those of the client, which takes other characters of Unicode for ends of lines, too.
    rest = b""
    async for part in response.aiter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line.decode()
    assert not rest, "the last line is cut off"


@asynccontextmanager
async def open_events(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Events]:
    """Opens a stream, and leaves it with the context."""
    async with client.stream("GET", path, headers={"accept": "text/event-stream", **headers}) as response:
        assert response.status_code == 200, await response.aread()
        yield Events(response)
