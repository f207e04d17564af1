"""The gateway as HTTP should be: what may be kept, compression, browsers' policies, the page and the descriptions."""

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest

from gateway.browsers import HEADERS
from gateway.collection import collect
from gateway.openapi import document
from gateway.protocol import Protocol
from gateway.settings import Settings
from gateway.static import PAGE
from services.common import errors
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2
from tests.upstreams import Context, Upstreams, gateway_client, running_upstreams

BOARD = "/v1/leaderboards/all/entries"
GZIP = {"accept-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}
FRIEND = "https://game.example"


@pytest.fixture(scope="module")
async def shared_upstreams() -> AsyncIterator[Upstreams]:
    async with running_upstreams() as upstreams:
        yield upstreams


@pytest.fixture
def upstreams(shared_upstreams: Upstreams) -> Upstreams:
    """The services, answering empty responses unless told otherwise."""
    shared_upstreams.forget()
    return shared_upstreams


@pytest.fixture(scope="module")
async def shared_client(shared_upstreams: Upstreams) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway_client(**shared_upstreams.addresses(), share_boards=0) as client:
        yield client


@pytest.fixture
def client(shared_client: httpx.AsyncClient, upstreams: Upstreams) -> httpx.AsyncClient:
    """A client of a gateway that shares nothing."""
    return shared_client


def page(size: int, score: int = 5) -> leaderboard_pb2.ListEntriesResponse:
    entries = [leaderboard_pb2.Entry(position=n, rank=1, player_id="x" * 36, score=score) for n in range(size)]
    return leaderboard_pb2.ListEntriesResponse(entries=entries, total_size=size)


def report(turns: int = 100) -> battle_pb2.BattleReport:
    return battle_pb2.BattleReport(battle_id="b", turns=[battle_pb2.Turn(attacker_id="a" * 36, hit=True)] * turns)


# What may be kept


@pytest.mark.parametrize(
    ("rpc", "path", "response", "control"),
    [
        ("GetPlayer", "/v1/players/p", player_pb2.Player(name="A"), "no-store"),
        ("ListBattles", "/v1/battles", battle_pb2.ListBattlesResponse(), "no-store"),
        ("VerifyBattle", "/v1/battles/b:verify", battle_pb2.VerifyBattleResponse(), "no-store"),
        ("GetBattle", "/v1/battles/b", battle_pb2.Battle(state=battle_pb2.Battle.QUEUED), "no-store"),
        ("GetBattle", "/v1/battles/b", battle_pb2.Battle(state=battle_pb2.Battle.SETTLED), "for ever"),
        ("GetBattle", "/v1/battles/b", battle_pb2.Battle(state=battle_pb2.Battle.VOIDED), "for ever"),
        ("GetBattleReport", "/v1/battles/b/report", report(), "for ever"),
        ("ListEntries", BOARD, page(3), "no-cache"),
        ("GetEntry", f"{BOARD}/p", leaderboard_pb2.Entry(), "no-cache"),
        ("ListEntriesAround", f"{BOARD}/p:around", leaderboard_pb2.ListEntriesAroundResponse(), "no-cache"),
        ("GetBattleReport", "/v1/battles/b/report", errors.NotFound("battle", "b"), "no-store"),
        ("ListEntries", BOARD, errors.Unavailable("no"), "no-store"),
    ],
)  # fmt: skip
async def test_what_never_changes_may_be_kept_for_ever_and_boards_until_they_change(
    client: httpx.AsyncClient, upstreams: Upstreams, rpc: str, path: str, response: Any, control: str
) -> None:
    upstreams.answer(rpc, response)
    told = (await client.get(path)).headers
    assert told["cache-control"] == {"for ever": "public, max-age=31536000, immutable"}.get(control, control)
    tag = told.get("etag", "")
    assert bool(tag) == (control != "no-store")
    assert tag.startswith("W/") == (control == "no-cache")


async def test_what_the_client_has_already_is_not_sent_again(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    upstreams.answer("ListEntries", page(100))
    first = await client.get(BOARD)
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
        for method in ("GET", "HEAD"):
            again = await client.request(method, BOARD, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["cache-control"] == "no-cache"
            assert again.headers["vary"] == "accept-encoding"
            assert "content-length" not in again.headers
            assert again.headers["x-request-id"]
    assert (await client.get(BOARD, headers={"if-none-match": '"other"'})).status_code == 200
    upstreams.answer("ListEntries", page(100, score=6))
    changed = await client.get(BOARD, headers={"if-none-match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


async def test_a_strong_tag_names_the_bytes_that_were_sent(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    upstreams.answer("GetBattleReport", report())
    path = "/v1/battles/b/report"
    tags = {(await client.get(path, headers=form)).headers["etag"] for form in (PLAIN, GZIP)}
    assert len(tags) == 2
    for tag in tags:  # either form of it will do
        for form in (PLAIN, GZIP):
            assert (await client.get(path, headers={"if-none-match": tag, **form})).status_code == 304


async def test_a_tag_on_what_may_not_be_kept_changes_nothing(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    assert (await client.get("/v1/players/p", headers={"if-none-match": "*"})).status_code == 200


# Compression


@pytest.mark.parametrize("accept", ["gzip", "GZIP", "br, gzip;q=0.5", "deflate,gzip", "gzip ; q=1.0"])
async def test_answers_are_compressed_for_those_who_take_it(
    client: httpx.AsyncClient, upstreams: Upstreams, accept: str
) -> None:
    upstreams.answer("BatchGetPlayers", player_pb2.BatchGetPlayersResponse(players=[{"name": "é"}] * 3000))
    plain = await client.get("/v1/players:batchGet", headers=PLAIN)
    assert "content-encoding" not in plain.headers
    async with client.stream("GET", "/v1/players:batchGet", headers={"accept-encoding": accept}) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(body))
    assert len(body) < len(plain.content) / 10
    assert gzip.decompress(body) == plain.content
    assert plain.headers["vary"] == answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("accept", ["identity", "br", "gzip;q=0", "gzip; q=0.000, br", "xgzip", "gzipped", "*"])
async def test_answers_come_as_they_are_to_all_others(
    client: httpx.AsyncClient, upstreams: Upstreams, accept: str
) -> None:
    upstreams.answer("ListEntries", page(100))
    answer = await client.get(BOARD, headers={"accept-encoding": accept})
    assert "content-encoding" not in answer.headers
    assert len(answer.json()["entries"]) == 100


async def test_what_is_small_is_not_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/players/p", headers=GZIP)
    assert not {"content-encoding", "vary"} & answer.headers.keys()


# Clients that read slowly

LARGE = 6 * 1000 * 500
"""Bytes, less than which no large answer has: many times more than the connection itself holds."""


@asynccontextmanager
async def large_answer(upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.StreamReader]:
    """Asks a gateway that waits a second for its clients for a large answer, and gives what it can be read from."""
    players = [player_pb2.Player(description="\1" * 1000)] * 500  # six times as long in JSON
    upstreams.answer("BatchGetPlayers", player_pb2.BatchGetPlayersResponse(players=players))

    # The system would take megabytes at either end, and so hide for long what the client takes.
    def connection_made(connection: Protocol, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        really_made(connection, transport)

    really_made = Protocol.connection_made
    monkeypatch.setattr(Protocol, "connection_made", connection_made)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    small.setblocking(False)
    async with gateway_client(**upstreams.addresses(), idle_timeout=1) as client:
        await asyncio.get_running_loop().sock_connect(small, (client.base_url.host, client.base_url.port))
        reader, writer = await asyncio.open_connection(sock=small, limit=1 << 15)
        try:
            writer.write(b"GET /v1/players:batchGet HTTP/1.1\r\nhost: x\r\n\r\n")
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode()
            assert head.startswith("HTTP/1.1 200 ")
            yield reader
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_a_client_that_takes_nothing_of_its_answer_is_dropped(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = asyncio.Event()  # the client can't see it before it reads

    def drop(connection: Protocol) -> None:
        dropped.set()
        really_drop(connection)

    really_drop = Protocol.drop
    monkeypatch.setattr(Protocol, "drop", drop)
    async with large_answer(upstreams, monkeypatch) as reader:
        await asyncio.wait_for(dropped.wait(), 20)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(LARGE), 20)


async def test_a_client_that_takes_it_slowly_gets_it_whole(
    upstreams: Upstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    now = asyncio.get_running_loop().time
    async with large_answer(upstreams, monkeypatch) as reader:
        slow_until = now() + 2.5  # longer than a client that takes nothing is waited for
        while taken < LARGE:
            part = await asyncio.wait_for(reader.read(1 << 15), 20)
            assert part
            taken += len(part)
            if now() < slow_until:
                await asyncio.sleep(0.05)


# Boards that many read


async def test_one_read_of_a_board_answers_all_who_ask_the_same_at_once(upstreams: Upstreams) -> None:
    go_on = asyncio.Event()

    async def wait(request: Any, _: Context) -> leaderboard_pb2.ListEntriesResponse:
        await go_on.wait()
        return page(request.page_size)

    upstreams.answers["ListEntries"] = wait
    async with gateway_client(**upstreams.addresses(), share_boards=30) as client:
        asking = [asyncio.create_task(client.get(f"{BOARD}?page_size={2 + n % 2}")) for n in range(60)]
        while len(upstreams.received) < 2:
            await asyncio.sleep(0.01)
        gone = asyncio.create_task(client.get(f"{BOARD}?page_size=2"))
        await asyncio.sleep(0)
        gone.cancel()
        go_on.set()
        answers = await asyncio.gather(*asking)
        later = await client.get(f"{BOARD}?page_size=2", headers={"x-request-id": "mine"})
    assert [len(answer.json()["entries"]) for answer in answers] == [2, 3] * 30
    assert len({answer.headers["x-request-id"] for answer in answers}) == 60
    assert (later.headers["x-request-id"], len(later.json()["entries"])) == ("mine", 2)
    assert sorted(received.request.page_size for received in upstreams.received) == [2, 3]


async def test_a_read_of_a_board_is_not_kept_for_long(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses(), share_boards=0.05) as client:
        upstreams.answer("ListEntries", page(1))
        assert len((await client.get(BOARD)).json()["entries"]) == 1
        upstreams.answer("ListEntries", page(2))
        async with asyncio.timeout(5):
            while len((await client.get(BOARD)).json()["entries"]) == 1:
                await asyncio.sleep(0.01)


async def test_wrong_requests_and_errors_of_boards_are_told_as_ever(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses(), share_boards=0.05) as client:
        assert (await client.get(f"{BOARD}?nope=1")).status_code == 400
        assert (await client.request("GET", BOARD, content=b"{}")).status_code == 400
        assert not upstreams.received
        upstreams.answer("ListEntries", errors.Unavailable("the boards are being filled"))
        told = await asyncio.gather(*(client.get(BOARD) for _ in range(5)))
        assert {answer.status_code for answer in told} == {503}
        upstreams.forget()
        async with asyncio.timeout(5):
            while (await client.get(BOARD)).status_code != 200:
                await asyncio.sleep(0.01)


# Browsers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/heartbeat"),
        ("GET", "/v1/players/p"),
        ("GET", "/v1/battles:watch"),
        ("GET", "/v1/battles/b/report"),
        ("OPTIONS", "/v1/players"),
        ("GET", "/nope"),
        ("PUT", "/v1/players"),
        ("POST", "/v1/players"),
    ],
)
async def test_every_answer_tells_browsers_what_they_may_do(client: httpx.AsyncClient, method: str, path: str) -> None:
    told = (await client.request(method, path)).headers
    assert {name: told.get_list(name) for name in HEADERS} == {name: [value] for name, value in HEADERS.items()}
    assert "server" not in told


async def test_refusals_of_the_protocol_tell_it_too(client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"nonsense\r\n\r\n")
    received = (await asyncio.wait_for(reader.read(), 20)).decode().lower()
    writer.close()
    await writer.wait_closed()
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}\r\n" in received


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    for word in ("unsafe", "http", "data:", "blob:", "*"):
        assert word not in policy


@asynccontextmanager
async def friendly(upstreams: Upstreams, origins: str = f"{FRIEND}, http://localhost:3000") -> Any:
    async with gateway_client(**upstreams.addresses(), cors_origins=origins, max_streams=1) as client:
        yield client


@pytest.mark.parametrize("origin", [FRIEND, "http://localhost:3000"])
async def test_pages_of_listed_origins_may_call_and_read_errors_too(upstreams: Upstreams, origin: str) -> None:
    async with friendly(upstreams) as client:
        for path in ("/v1/players/p", "/nope", "/v1/players?x=1", BOARD, "/v1/battles:watch", "/openapi.json"):
            told = (await client.get(path, headers={"origin": origin})).headers
            assert told.get_list("access-control-allow-origin") == [origin]
            assert "origin" in told.get_list("vary")
            exposed = told["access-control-expose-headers"].split(", ")
            assert {"x-request-id", "retry-after", "etag"} == set(exposed)
            assert "access-control-allow-credentials" not in told


@pytest.mark.parametrize("origin", ["https://evil.example", f"{FRIEND}.evil.example", "null", "http://game.example"])
async def test_pages_of_other_origins_may_not(upstreams: Upstreams, origin: str) -> None:
    async with friendly(upstreams) as client:
        for method in ("GET", "OPTIONS"):
            headers = {"origin": origin, "access-control-request-method": "GET"}
            told = (await client.request(method, "/v1/players/p", headers=headers)).headers
            assert not [name for name in told if name.startswith("access-control-")]
            assert "origin" in told.get_list("vary")


async def test_a_browser_that_asks_first_is_told_what_the_path_takes(upstreams: Upstreams) -> None:
    headers = {"origin": FRIEND, "access-control-request-method": "PATCH", "access-control-request-headers": "x"}
    async with friendly(upstreams) as client:
        answer = await client.options("/v1/players/p", headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, FRIEND)
        assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
        assert "content-type" in answer.headers["access-control-allow-headers"].split(", ")
        assert int(answer.headers["access-control-max-age"]) > 0
        unknown = await client.options("/nope", headers=headers)
        assert (unknown.status_code, unknown.headers["access-control-allow-methods"]) == (404, "")
        plain = await client.options("/v1/players/p", headers={"origin": FRIEND})
        assert "access-control-allow-methods" not in plain.headers
    assert not upstreams.received


async def test_by_default_no_other_origin_may(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v1/players/p", headers={"origin": FRIEND})).headers
    assert not [name for name in told if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "origins", ["*", "https://*.example", "game.example", "https://a.example/", "null", "https://"]
)
def test_origins_are_listed_one_by_one(origins: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=origins)


# The page and the descriptions


TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}


async def test_every_file_of_the_page_is_served_as_it_is(client: httpx.AsyncClient) -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        name = path.relative_to(PAGE).as_posix()
        answer = await client.get("/" if name == "index.html" else f"/{name}")
        assert (answer.status_code, answer.content) == (200, path.read_bytes())
        assert answer.headers["content-type"].split(";")[0] == TYPES[path.suffix[1:]]
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(answer.url, headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/assets",
        "/assets/",
        "/assets/../../settings.py",
        "/assets/%2e%2e/%2e%2e/settings.py",
        "/assets/..%2f..%2fsettings.py",
        "/../gateway/settings.py",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/assets/nope.js",
        "/assets/main.js%00.html",
        "/reference.css",
    ],
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())  # as it is: clients mend it
    received = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    assert received.startswith(b"HTTP/1.1 404 ")


async def test_the_descriptions_are_served_from_here(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json() == document()
    assert (await client.get("/collection.json")).json() == collect(document())
    docs = await client.get("/docs")
    assert docs.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'<(?:link|script|img|iframe)[^>]*(?:href|src)="([^"]*)"', docs.text)
    assert "/assets/emblem.svg" in loaded  # else browsers ask for a favicon.ico
    for path in loaded:
        assert (await client.get(path)).status_code == 200
    for path in set(re.findall(r'href="(/[^"]*)"', docs.text)):
        assert (await client.get(path)).status_code == 200
