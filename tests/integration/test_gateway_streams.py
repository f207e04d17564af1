"""Server-sent events over real HTTP, in front of real gRPC servers whose streams the tests decide."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from services.common import errors
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from tests.events import Event, open_events
from tests.servers import free_port
from tests.upstreams import Context, Stream, Upstreams, gateway_client, running_upstreams

BATTLE = "/v1/battles/b:watch"
BATTLES = "/v1/battles:watch"
ENTRIES = "/v1/leaderboards/all/entries:watch"


@pytest.fixture(scope="module")
async def shared_upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    """The services, whose streams end at once unless told otherwise."""
    shared_upstreams.forget()
    return shared_upstreams


@pytest.fixture(scope="module")
async def shared_client(shared_upstreams: Upstreams) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(**shared_upstreams.addresses()) as client:
        yield client


@pytest.fixture
def client(shared_client: httpx.AsyncClient, upstreams: Upstreams) -> httpx.AsyncClient:
    """A client of a gateway with default settings."""
    return shared_client


class Open:
    """A stream that says a few things, then nothing until it is cancelled."""

    def __init__(self, *messages: Any) -> None:
        self._messages = messages
        self.opened = 0
        self.cancelled = 0

    async def __call__(self, _: Any, context: Context) -> AsyncIterator[Any]:
        self.opened += 1
        await context.send_initial_metadata(())
        try:
            for message in self._messages:
                yield message
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1

    async def all_cancelled(self) -> None:
        """Waits until no call is open."""
        async with asyncio.timeout(10):
            while self.cancelled < self.opened:
                await asyncio.sleep(0.01)


def telling(*messages: Any) -> Stream:
    """A stream of messages that ends properly, or with an error."""

    async def tell(_: Any, __: Context) -> AsyncIterator[Any]:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            yield message

    return tell


def queued(**fields: Any) -> battle_pb2.Battle:
    return battle_pb2.Battle(battle_id="b", state=battle_pb2.Battle.QUEUED, **fields)


# What is told


async def test_messages_are_unnamed_events_and_the_end_is_told(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    ended = battle_pb2.Battle(battle_id="b", state=battle_pb2.Battle.SETTLED, void_reason="two\nlines\r\u2028é")
    upstreams.streams["WatchBattle"] = telling(queued(sequence=1 << 40), ended)
    async with open_events(client, BATTLE) as events:
        told = [event async for event in events]
    assert [event.name for event in told] == ["", "", "end"]
    assert (told[0].data["state"], told[0].data["sequence"]) == ("QUEUED", "1099511627776")
    assert (told[1].data["state"], told[1].data["void_reason"]) == ("SETTLED", "two\nlines\r\u2028é")
    assert told[2].data == {}
    assert events.retry == [1000]
    (received,) = upstreams.received
    assert received.request == battle_pb2.WatchBattleRequest(battle_id="b")


async def test_a_stream_is_an_event_stream_that_nobody_keeps_or_holds_back(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    headers = {"accept-encoding": "gzip, br", "x-request-id": "mine"}
    upstreams.streams["WatchBattle"] = telling(queued(void_reason="x" * 5000))
    async with open_events(client, BATTLE, **headers) as events:
        told = events.response.headers
    assert told["content-type"] == "text/event-stream"
    assert told["cache-control"] == "no-store"
    assert told["x-accel-buffering"] == "no"
    assert told["x-request-id"] == "mine"
    assert "content-encoding" not in told
    assert "content-length" not in told
    assert upstreams.received[0].metadata["x-request-id"] == "mine"


async def test_path_and_query_reach_the_service_and_the_call_has_a_deadline(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    async with open_events(client, "/v1/leaderboards/daily@2026-11-21/entries:watch?page_size=7") as events:
        assert [event async for event in events] == [Event("end", {})]
    (received,) = upstreams.received
    assert received.request == leaderboard_pb2.WatchEntriesRequest(board="daily@2026-11-21", page_size=7)
    assert 200 < received.time_remaining < 300


async def test_a_stream_without_any_message_yet_is_open(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    stream = upstreams.streams["WatchBattles"] = Open()
    async with open_events(client, BATTLES):
        assert stream.opened == 1


async def test_silence_is_broken_by_comments(upstreams: Upstreams) -> None:
    go_on = asyncio.Event()

    async def tell_late(_: Any, __: Context) -> AsyncIterator[Any]:
        yield queued()
        await go_on.wait()
        yield queued()

    upstreams.streams["WatchBattle"] = tell_late
    async with (
        gateway_client(**upstreams.addresses(), stream_heartbeat=0.05) as client,
        client.stream("GET", BATTLE) as response,
    ):
        comments = 0
        async for line in response.aiter_lines():
            comments += line == ":"
            if comments == 3:
                go_on.set()
            if line == "event: end":
                break
    assert comments >= 3


async def test_a_last_event_id_is_taken_though_nothing_is_resumed(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    upstreams.streams["WatchBattle"] = telling(queued())
    async with open_events(client, BATTLE, **{"last-event-id": "17"}) as events:
        assert [event.name async for event in events] == ["", "end"]


@pytest.mark.parametrize(
    "accept", ["text/event-stream", "*/*", "text/html, text/*;q=0.5", "Text/Event-Stream; q=1", ""]
)
async def test_whoever_takes_events_gets_them(client: httpx.AsyncClient, upstreams: Upstreams, accept: str) -> None:
    async with open_events(client, BATTLE, accept=accept) as events:
        assert [event.name async for event in events] == ["end"]


async def test_whoever_does_not_take_events_is_refused(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    response = await client.get(BATTLE, headers={"accept": "application/json, text/html"})
    assert (response.status_code, response.json()["error"]["code"]) == (406, 406)
    assert not upstreams.received


async def test_head_answers_as_get_and_leaves(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    stream = upstreams.streams["WatchBattles"] = Open(queued())
    response = await client.head(BATTLES)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "text/event-stream"
    assert stream.opened == 1
    await stream.all_cancelled()
    assert (await client.get("/heartbeat")).status_code == 200


# Errors


@pytest.mark.parametrize(
    ("raised", "http_status", "status"),
    [
        (errors.NotFound("battle", "b"), 404, "NOT_FOUND"),
        (errors.InvalidArgument([errors.Violation("battle_id", "must be a UUID")]), 400, "INVALID_ARGUMENT"),
        (errors.ResourceExhausted("1,000 streams are open", "TOO_MANY_WATCHERS", 5.0), 429, "RESOURCE_EXHAUSTED"),
        (RuntimeError("a secret"), 500, "INTERNAL"),
    ],
)
async def test_a_refusal_before_the_first_message_is_an_ordinary_error(
    client: httpx.AsyncClient, upstreams: Upstreams, raised: Exception, http_status: int, status: str
) -> None:
    upstreams.streams["WatchBattle"] = telling(raised)
    for _ in range(20):  # the status comes right behind the metadata, or a moment later
        with capture_logs():
            response = await client.get(BATTLE)
        assert (response.status_code, response.json()["error"]["status"]) == (http_status, status)
        assert response.headers["content-type"] == "application/json"
        assert response.headers.get("retry-after") == ("5" if http_status == 429 else None)
        assert "secret" not in response.text


async def test_a_wrong_request_is_refused_without_a_call(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    for path in (f"{BATTLES}?nope=1", "/v1/battles/%ff:watch"):
        assert (await client.get(path)).status_code == 400
    assert (await client.post(BATTLES)).status_code == 405
    assert not upstreams.received


async def test_a_service_that_is_gone_or_silent_is_an_ordinary_error(upstreams: Upstreams) -> None:
    cancelled = asyncio.Event()

    async def silent(_: Any, __: Context) -> AsyncIterator[Any]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            cancelled.set()

    upstreams.streams["WatchEntries"] = silent
    addresses = {**upstreams.addresses(), "battle_address": f"127.0.0.1:{free_port()}"}
    async with gateway_client(**addresses, timeout=2) as client:
        gone, late = await client.get(BATTLE), await client.get(ENTRIES)
    assert (gone.status_code, gone.json()["error"]["status"]) == (503, "UNAVAILABLE")
    assert (late.status_code, late.json()["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_an_error_after_a_message_is_the_last_event(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    slow = errors.ResourceExhausted("you read too slowly;\nwatch again", "WATCHER_TOO_SLOW", 1.0)
    upstreams.streams["WatchBattle"] = telling(queued(), slow)
    async with open_events(client, BATTLE) as events:
        told = [event async for event in events]
    assert [event.name for event in told] == ["", "error"]
    error = told[1].data["error"]
    assert (error["code"], error["status"], error["message"]) == (429, "RESOURCE_EXHAUSTED", slow.message)
    assert error["details"][0]["reason"] == "WATCHER_TOO_SLOW"


async def test_an_unexpected_error_in_a_stream_is_masked_and_logged(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    broken = queued(void_reason="a secret", submit_time={"seconds": 1 << 60})  # no year has that many digits
    stream = upstreams.streams["WatchBattle"] = Open(queued(), broken)
    with capture_logs() as logs:
        async with open_events(client, BATTLE) as events:
            told = [event async for event in events]
    assert [event.name for event in told] == ["", "error"]
    assert told[1].data["error"]["status"] == "INTERNAL"
    assert told[1].data["error"]["details"][0]["metadata"]["incident"] in [line.get("incident") for line in logs]
    assert "secret" not in str(told[1])
    await stream.all_cancelled()


# Ends


async def test_a_client_that_leaves_cancels_the_call_and_gives_its_place_back(upstreams: Upstreams) -> None:
    stream = upstreams.streams["WatchBattles"] = Open(queued())
    async with gateway_client(**upstreams.addresses(), max_streams=1) as client:
        with capture_logs() as logs:
            for _ in range(3):
                async with open_events(client, BATTLES) as events:
                    await anext(events)
                    refused = await client.get(ENTRIES)
                    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
                    assert refused.json()["error"]["details"][0]["reason"] == "TOO_MANY_STREAMS"
                    assert (await client.get("/v1/players/p")).status_code == 200
                await stream.all_cancelled()
        assert stream.opened == 3
        assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_stream_ends_after_its_lifetime_for_the_client_to_come_back(upstreams: Upstreams) -> None:
    stream = upstreams.streams["WatchBattles"] = Open(queued())
    async with gateway_client(**upstreams.addresses(), stream_lifetime=0.3) as client:
        async with open_events(client, BATTLES) as events:
            told = [event async for event in events]
        await stream.all_cancelled()
    assert [event.name for event in told] == [""]
    assert events.retry == [1000, 1000]


async def test_a_client_that_does_not_read_is_dropped_and_holds_up_no_other(
    upstreams: Upstreams, caplog: pytest.LogCaptureFixture
) -> None:
    sent = {"stuck": 0, "well": 0}
    cancelled = asyncio.Event()
    page = leaderboard_pb2.WatchEntriesResponse(entries=[{"player_id": "x" * 36}] * 100)

    async def without_end(request: Any, _: Context) -> AsyncIterator[Any]:
        try:
            while True:
                page.total_size += 1
                sent[request.board] += 1
                yield page
        finally:
            if request.board == "stuck":
                cancelled.set()

    upstreams.streams["WatchEntries"] = without_end
    async with gateway_client(**upstreams.addresses(), idle_timeout=1) as client, AsyncExitStack() as stack:
        stuck = socket.socket()
        stack.callback(stuck.close)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stuck, (client.base_url.host, client.base_url.port))
        await loop.sock_sendall(stuck, b"GET /v1/leaderboards/stuck/entries:watch HTTP/1.1\r\nhost: x\r\n\r\n")
        events = await stack.enter_async_context(open_events(client, "/v1/leaderboards/well/entries:watch"))
        while not cancelled.is_set():
            await asyncio.wait_for(anext(events), 10)
        after = sent["well"]
        for _ in range(20):
            await asyncio.wait_for(anext(events), 10)
        assert sent["well"] > after
    assert sent["stuck"] < 2000  # what fits into buffers, and no more
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_a_gateway_that_stops_ends_its_streams_at_once_for_clients_to_come_back(upstreams: Upstreams) -> None:
    stream = upstreams.streams["WatchBattles"] = Open(queued())
    async with AsyncExitStack() as clients:
        async with gateway_client(**upstreams.addresses()) as client:
            own = await clients.enter_async_context(httpx.AsyncClient(base_url=client.base_url))
            streams = [await clients.enter_async_context(open_events(own, BATTLES)) for _ in range(50)]
            for events in streams:
                await anext(events)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        for events in streams:
            assert [event async for event in events] == []
            assert events.retry == [1000, 1000]
    await stream.all_cancelled()


async def test_a_stream_that_has_not_begun_when_the_gateway_stops_is_503(upstreams: Upstreams) -> None:
    came = asyncio.Event()

    async def silent(_: Any, __: Context) -> AsyncIterator[Any]:
        came.set()
        await asyncio.Event().wait()
        yield

    upstreams.streams["WatchBattles"] = silent
    async with httpx.AsyncClient() as own:
        async with gateway_client(**upstreams.addresses()) as client:
            asked = asyncio.create_task(own.get(f"{client.base_url}{BATTLES}"))
            await asyncio.wait_for(came.wait(), 5)
        response = await asked
    assert (response.status_code, response.json()["error"]["details"][0]["reason"]) == (503, "STOPPING")


async def test_messages_that_many_watch_are_told_to_each(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    battles = [queued(sequence=number) for number in range(300)]
    upstreams.streams["WatchBattles"] = telling(*battles)

    async def watch() -> list[str]:
        async with open_events(client, BATTLES) as events:
            return [event.data.get("sequence", event.name) async for event in events]

    for told in await asyncio.gather(*(watch() for _ in range(20))):
        assert told == [*(str(number) for number in range(300)), "end"]


async def test_a_service_that_dies_is_an_error_event(upstreams: Upstreams) -> None:
    async with running_upstreams() as others, gateway_client(**others.addresses()) as client:
        others.streams["WatchBattles"] = Open(queued())
        async with open_events(client, BATTLES) as events:
            await anext(events)
            await others.servers["battle"].stop()
            told = [event async for event in events]
    assert [(event.name, event.data["error"]["status"]) for event in told] == [("error", "UNAVAILABLE")]
