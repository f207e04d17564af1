"""The gateway over real HTTP, in front of real gRPC servers whose answers the tests decide."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message_factory import GetMessageClass
from structlog.testing import capture_logs

from gateway.routes import Binding, bindings
from gateway.upstreams import SERVICES
from services.common import errors
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2
from tests.servers import free_port
from tests.upstreams import Context, Upstreams, gateway_client, running_upstreams

UNARY = [b for service in SERVICES.values() for b in bindings(service) if not b.rpc.server_streaming]
PLAYER = "01900000-0000-7000-8000-00000000000a"


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
    async with gateway_client(**shared_upstreams.addresses()) as client:
        yield client


@pytest.fixture
def client(shared_client: httpx.AsyncClient, upstreams: Upstreams) -> httpx.AsyncClient:
    """A client of a gateway with default settings."""
    return shared_client


def error(response: httpx.Response) -> dict[str, Any]:
    """Returns the error of an answer, once its form is found right."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "status", "details"]
    assert body["error"]["code"] == response.status_code
    assert body["error"]["message"]
    assert body["error"]["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    told: dict[str, Any] = body["error"]
    return told


def violations(response: httpx.Response) -> list[str]:
    """Returns the fields that an answer blames."""
    return [
        violation["field"]
        for detail in error(response)["details"]
        if detail["@type"].endswith("BadRequest")
        for violation in detail["field_violations"]
    ]


async def raw(client: httpx.AsyncClient, sent: bytes) -> bytes:
    """Sends bytes as they are, and returns all that comes until the gateway closes the connection."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(sent)
    received = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    return received


def parsed(received: bytes) -> httpx.Response:
    """Reads an HTTP response."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    pairs = [(name, value) for name, _, value in (line.partition(": ") for line in headers)]
    return httpx.Response(int(status.split()[1]), headers=pairs, content=body)


# Routes


@pytest.mark.parametrize("binding", UNARY, ids=lambda binding: binding.rpc.name)
async def test_every_unary_rpc_has_a_working_route(
    client: httpx.AsyncClient, upstreams: Upstreams, binding: Binding
) -> None:
    path = re.sub(r"\{([^}]+)\}", lambda variable: f"the-{variable[1]}", binding.template.text)
    response = await client.request(binding.method, path, json={} if binding.body else None)
    assert response.status_code == 200
    (received,) = upstreams.received
    assert received.rpc == binding.rpc.name
    assert type(received.request) is GetMessageClass(binding.rpc.input_type)
    for variable in binding.template.variables:
        value = received.request
        for name in variable.split("."):
            value = getattr(value, name)
        assert value == f"the-{variable}"
    assert isinstance(response.json(), dict)


async def test_a_request_reaches_the_service_and_its_response_the_client(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    player = player_pb2.Player(player_id=PLAYER, name="Änne 🎲", gold=5, resources_stolen=1 << 40)
    player.create_time.FromJsonString("2026-11-21T10:00:00.5Z")
    upstreams.answer("CreatePlayer", player)
    body = {"request_id": "r", "name": "Änne 🎲", "gold": 5, "silver": 0}
    response = await client.post("/v1/players", json=body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "player_id": PLAYER,
        "name": "Änne 🎲",
        "description": "",
        "gold": 5,
        "silver": 0,
        "attack": 0,
        "hit_points": 0,
        "luck": 0,
        "resources_stolen": "1099511627776",
        "create_time": "2026-11-21T10:00:00.500Z",
    }
    request = upstreams.received[0].request
    assert request == player_pb2.CreatePlayerRequest(request_id="r", name="Änne 🎲", gold=5, silver=0)
    assert request.HasField("silver")
    assert not request.HasField("attack")


async def test_an_empty_response_is_an_empty_object(client: httpx.AsyncClient) -> None:
    response = await client.delete(f"/v1/players/{PLAYER}")
    assert (response.status_code, response.text) == (200, "{}")


async def test_query_parameters_reach_the_service(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    await client.get(
        "/v1/players:batchGet", params=[("player_ids", "a"), ("playerIds", "b"), ("allow_missing", "true")]
    )
    await client.get("/v1/battles?state=SETTLED&page_size=7&player_id=a%20b")
    await client.patch("/v1/players/p?update_mask=hitPoints,luck", json={"luck": 0})
    assert [received.request for received in upstreams.received] == [
        player_pb2.BatchGetPlayersRequest(player_ids=["a", "b"], allow_missing=True),
        battle_pb2.ListBattlesRequest(state=battle_pb2.Battle.SETTLED, page_size=7, player_id="a b"),
        player_pb2.UpdatePlayerRequest(player={"player_id": "p"}, update_mask={"paths": ["hit_points", "luck"]}),
    ]


async def test_a_board_of_the_past_is_found(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    for path in ("/v1/leaderboards/daily@2026-11-21/entries", "/v1/leaderboards/daily%402026-11-21/entries"):
        assert (await client.get(path)).json() == {"entries": [], "total_size": "0", "next_page_token": ""}
    assert {received.request.board for received in upstreams.received} == {"daily@2026-11-21"}


async def test_as_many_ids_as_a_batch_may_hold_fit_into_the_query(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    response = await client.get("/v1/players:batchGet", params=[("player_ids", PLAYER)] * 1000)
    assert response.status_code == 200
    assert len(upstreams.received[0].request.player_ids) == 1000


async def test_a_large_answer_comes_whole(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    players = [player_pb2.Player(player_id=PLAYER, description="é" * 1000) for _ in range(2000)]
    upstreams.answer("BatchGetPlayers", player_pb2.BatchGetPlayersResponse(players=players))
    response = await client.get("/v1/players:batchGet")
    assert len(response.content) > 4_000_000
    assert {player["description"] for player in response.json()["players"]} == {"é" * 1000}


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1",
        "/v1/nope",
        "/v1/players/",
        "/v1/players/a/b",
        "/v1/players/a:b",
        "/heartbeat/",
        "/v1/battles:watchAll",
    ],
)
async def test_no_route_is_404_without_a_redirect(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, error(response)["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/players", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/v1/players/p", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("GET", "/v1/players/p:grantResources", "OPTIONS, POST"),
        ("HEAD", "/v1/players/p:grantResources", "OPTIONS, POST"),
        ("POST", "/heartbeat", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/heartbeat", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_405_and_says_what_is_allowed(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    if method != "HEAD":
        assert error(response)["status"] == "UNIMPLEMENTED"


async def test_options_answers_what_is_allowed(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    response = await client.options("/v1/players/p")
    assert (response.status_code, response.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH")
    assert not upstreams.received


async def test_head_answers_as_get_without_the_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/v1/players/p")
    whole = await client.get("/v1/players/p")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))


# Requests that are wrong


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "http_status", "status", "fields"),
    [
        ("POST", "/v1/players", b"{", JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b'{"name": "\xff"}', JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"[" * 100_000, JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"[]", JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"null", JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b'{"gold": NaN}', JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b'{"name": 5}', JSON, 400, "INVALID_ARGUMENT", ["name"]),
        ("POST", "/v1/players", b'{"name": "a", "name": "b"}', JSON, 400, "INVALID_ARGUMENT", ["name"]),
        ("POST", "/v1/players", b'{"gold": 2147483648}', JSON, 400, "INVALID_ARGUMENT", ["gold"]),
        ("POST", "/v1/players", b'{"hitPoints": "x"}', JSON, 400, "INVALID_ARGUMENT", ["hit_points"]),
        ("POST", "/v1/players", b'{"nope": 1, "gold": []}', JSON, 400, "INVALID_ARGUMENT", ["nope", "gold"]),
        ("POST", "/v1/players?name=a", b"{}", JSON, 400, "INVALID_ARGUMENT", ["name"]),
        ("PATCH", "/v1/players/p", b"[]", JSON, 400, "INVALID_ARGUMENT", ["player"]),
        ("PATCH", "/v1/players/p", b'{"player_id": "q"}', JSON, 400, "INVALID_ARGUMENT", ["player.player_id"]),
        ("PATCH", "/v1/players/p?player.luck=1", b"{}", JSON, 400, "INVALID_ARGUMENT", ["player.luck"]),
        ("PATCH", "/v1/players/p?mask=luck", b"{}", JSON, 400, "INVALID_ARGUMENT", ["mask"]),
        ("PATCH", "/v1/players/p", b'{"create_time": "now"}', JSON, 400, "INVALID_ARGUMENT", ["player.create_time"]),
        ("POST", "/v1/battles:submitBatch", b'{"requests": {}}', JSON, 400, "INVALID_ARGUMENT", ["requests"]),
        ("POST", "/v1/battles:submitBatch", b'{"requests": [{}, 5]}', JSON, 400, "INVALID_ARGUMENT", ["requests[1]"]),
        ("GET", "/v1/battles?state=LOST", b"", {}, 400, "INVALID_ARGUMENT", ["state"]),
        ("GET", "/v1/battles?page_size=1.5", b"", {}, 400, "INVALID_ARGUMENT", ["page_size"]),
        ("GET", "/v1/battles?page_size=1&page_size=2", b"", {}, 400, "INVALID_ARGUMENT", ["page_size"]),
        ("GET", "/v1/battles?player_id=%ff", b"", {}, 400, "INVALID_ARGUMENT", ["player_id"]),
        ("GET", "/v1/battles?nope=1&x=2", b"", {}, 400, "INVALID_ARGUMENT", ["nope", "x"]),
        ("GET", "/v1/players:batchGet?allow_missing=1", b"", {}, 400, "INVALID_ARGUMENT", ["allow_missing"]),
        ("GET", "/v1/players/%ff", b"", {}, 400, "INVALID_ARGUMENT", ["player_id"]),
        ("GET", "/v1/players/p?player_id=q", b"", {}, 400, "INVALID_ARGUMENT", ["player_id"]),
        ("GET", "/v1/players/p", b"{}", JSON, 400, "INVALID_ARGUMENT", []),
        ("DELETE", "/v1/players/p", b"{}", JSON, 400, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"{}", {}, 415, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"a=b", {"content-type": "text/plain"}, 415, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"", {"content-type": "text/plain"}, 415, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"{}", {"content-type": "application/json; charset=x"}, 415, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b"{}", {**JSON, "content-encoding": "gzip"}, 415, "INVALID_ARGUMENT", []),
        ("POST", "/v1/players", b" " * (1 << 20) + b"{}", JSON, 413, "INVALID_ARGUMENT", []),
    ],
)  # fmt: skip
async def test_a_wrong_request_is_refused_and_says_what_is_wrong(
    client: httpx.AsyncClient,
    upstreams: Upstreams,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    http_status: int,
    status: str,
    fields: list[str],
) -> None:
    response = await client.request(method, path, content=body or None, headers=headers)
    assert (response.status_code, error(response)["status"], violations(response)) == (http_status, status, fields)
    assert not upstreams.received


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_json_is_known_by_its_content_type(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post("/v1/players", content=b"{}", headers={"content-type": content_type})
    assert response.status_code == 200


async def test_an_empty_body_needs_no_content_type(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    assert (await client.post("/v1/players/p:grantResources")).status_code == 200
    assert upstreams.received[0].request.player_id == "p"


async def test_a_body_in_pieces_is_bounded_too(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(count):
            yield b"a" * 65_536
        yield b'"}'

    response = await client.post("/v1/players", content=pieces(15), headers=JSON)
    assert response.status_code == 200
    assert len(upstreams.received[0].request.name) == 15 * 65_536
    response = await client.post("/v1/players", content=pieces(16), headers=JSON)
    assert (response.status_code, error(response)["status"]) == (413, "INVALID_ARGUMENT")


async def test_a_body_announced_as_too_large_is_not_waited_for(client: httpx.AsyncClient) -> None:
    head = (
        b"POST /v1/players HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n"
        b"content-type: application/json\r\ncontent-length: 9999999999\r\n\r\n"
    )
    response = parsed(await raw(client, head))
    assert (response.status_code, error(response)["status"]) == (413, "INVALID_ARGUMENT")


async def test_a_body_in_pieces_for_a_get_is_refused(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    assert (await client.request("GET", "/v1/players", content=pieces())).status_code == 400


async def test_a_connection_goes_on_after_a_refusal(client: httpx.AsyncClient) -> None:
    sent = (
        b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-type: text/plain\r\n\r\na=b"
        b"GET /v1/players/p HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    received = await raw(client, sent)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"415", b"200"]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/pl\xc3\xa4yers HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/players HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\nnonsense\r\n",
        b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_the_same_form(client: httpx.AsyncClient, sent: bytes) -> None:
    response = parsed(await raw(client, sent))
    assert (response.status_code, error(response)["status"]) == (400, "INVALID_ARGUMENT")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["unfinished", "finished"])
async def test_a_head_that_is_too_large_is_refused(client: httpx.AsyncClient, end: bytes) -> None:
    sent = b"GET /v1/players HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(600))
    response = parsed(await raw(client, sent + end))
    assert (response.status_code, error(response)["status"]) == (431, "INVALID_ARGUMENT")


async def test_a_head_that_is_too_large_is_refused_in_one_piece_too(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses(), max_head_bytes=1024) as client:
        for part in (b"?name_prefix=" + b"y" * 1024, b" HTTP/1.1\r\nx: " + b"y" * 1024):
            response = parsed(await raw(client, b"GET /v1/players" + part + b" HTTP/1.1\r\nhost: x\r\n\r\n"))
            assert (response.status_code, error(response)["status"]) == (431, "INVALID_ARGUMENT")
    assert not upstreams.received


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"content-length: 14", b'{"name":"Ada"}'),
        (b"transfer-encoding: chunked", b'e\r\n{"name":"Ada"}\r\n0\r\n\r\n'),
    ],
)
async def test_a_wish_for_another_protocol_is_passed_over(
    client: httpx.AsyncClient, upstreams: Upstreams, framing: bytes, body: bytes, in_pieces: bool
) -> None:
    wish = b"HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
    head = b"POST /v1/players " + wish + b"content-type: application/json\r\n" + framing + b"\r\n"
    others = b"GET /v1/players/p " + wish + b"\r\nGET /v1/battles/b HTTP/1.1\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    if in_pieces:
        writer.write(head + b"expect: 100-continue\r\n\r\n")
        asked = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert asked.startswith(b"HTTP/1.1 100 ")
        writer.write(body + others)
    else:
        writer.write(head + b"\r\n" + body + others)
    received = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200"] * 3
    assert [call.rpc for call in upstreams.received] == ["CreatePlayer", "GetPlayer", "GetBattle"]
    assert upstreams.received[0].request.name == "Ada"


async def test_a_head_or_a_body_that_does_not_come_is_not_waited_for(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses(), idle_timeout=1, timeout=0.2) as client:
        assert await raw(client, b"") == b""
        assert await raw(client, b"GET /v1/players HTTP/1.1\r\nhost:") == b""
        head = b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        response = parsed(await raw(client, head))
        assert (response.status_code, error(response)["status"]) == (408, "DEADLINE_EXCEEDED")
        reused = b"GET /v1/players HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/players HTTP/1.1\r\n"
        assert (await raw(client, reused)).count(b"HTTP/1.1 200 OK") == 1


async def test_a_body_that_nobody_reads_is_not_waited_for(upstreams: Upstreams) -> None:
    async with gateway_client(**upstreams.addresses(), idle_timeout=1) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"PUT /v1/players HTTP/1.1\r\nhost: x\r\ncontent-length: 999999\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 405 ")
        writer.write(b"x")
        await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()


# Services that fail


async def test_a_service_s_error_is_told_with_its_details(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    wrong = [errors.Violation("name", "is required"), errors.Violation("luck", "must be 0 to 90, not 91")]
    upstreams.answer("CreatePlayer", errors.InvalidArgument(wrong))
    response = await client.post("/v1/players", json={"luck": 91})
    assert (response.status_code, error(response)["status"], violations(response)) == (
        400,
        "INVALID_ARGUMENT",
        ["name", "luck"],
    )
    assert error(response)["message"] == "name: is required; luck: must be 0 to 90, not 91"


@pytest.mark.parametrize(
    ("raised", "http_status", "status"),
    [
        (errors.NotFound("player", "p"), 404, "NOT_FOUND"),
        (errors.AlreadyExists("the name is taken", "NAME_TAKEN"), 409, "ALREADY_EXISTS"),
        (errors.FailedPrecondition("too poor", "BALANCE_OUT_OF_RANGE"), 400, "FAILED_PRECONDITION"),
        (errors.ResourceExhausted("too many", "BUSY", 2.5), 429, "RESOURCE_EXHAUSTED"),
        (errors.Unavailable("the database does not answer"), 503, "UNAVAILABLE"),
        (RuntimeError("a secret"), 500, "INTERNAL"),
    ],
)
async def test_every_error_of_a_service_has_its_http_status(
    client: httpx.AsyncClient, upstreams: Upstreams, raised: Exception, http_status: int, status: str
) -> None:
    upstreams.answer("GetPlayer", raised)
    response = await client.get("/v1/players/p")
    assert (response.status_code, error(response)["status"]) == (http_status, status)
    assert response.headers.get("retry-after") == ("3" if http_status == 429 else None)
    assert "secret" not in response.text


async def test_a_service_that_is_gone_is_503_without_its_address(upstreams: Upstreams) -> None:
    port = free_port()
    async with gateway_client(**{**upstreams.addresses(), "battle_address": f"127.0.0.1:{port}"}) as client:
        response = await client.get("/v1/battles/b")
        assert (response.status_code, error(response)["status"]) == (503, "UNAVAILABLE")
        assert error(response)["message"] == "the battle service does not answer; try again shortly"
        assert str(port) not in response.text
        assert (await client.get("/v1/players/p")).status_code == 200


async def test_a_service_that_is_too_slow_is_504(upstreams: Upstreams) -> None:
    cancelled = asyncio.Event()

    async def forever(_: Any, __: Context) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    upstreams.answers["GetPlayer"] = forever
    async with gateway_client(**upstreams.addresses(), timeout=0.3) as client:
        response = await client.get("/v1/players/p")
    assert (response.status_code, error(response)["status"]) == (504, "DEADLINE_EXCEEDED")
    assert 0 < upstreams.received[0].time_remaining < 0.5
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_a_call_that_is_sent_again_keeps_the_request_id_made_for_it(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    async def fail_once(_: Any, __: Context) -> player_pb2.Player:
        if len(upstreams.received) == 1:
            raise errors.Unavailable("the database does not answer")
        return player_pb2.Player(name="A")

    upstreams.answers["CreatePlayer"] = fail_once
    response = await client.post("/v1/players", json={"name": "A"})
    assert response.json()["name"] == "A"
    first, second = (received.request.request_id for received in upstreams.received)
    assert first
    assert first == second


async def test_a_status_without_details_is_not_passed_on(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    async def abort(_: Any, context: Context) -> Any:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "by 10.0.0.7")

    upstreams.answers["GetPlayer"] = abort
    with capture_logs() as logs:
        response = await client.get("/v1/players/p")
    assert (response.status_code, error(response)["status"]) == (500, "INTERNAL")
    assert "10.0.0.7" not in response.text
    incident = error(response)["details"][0]["metadata"]["incident"]
    assert incident in [line.get("incident") for line in logs]


async def test_an_rpc_that_a_service_does_not_have_is_501(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    async def abort(_: Any, context: Context) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    upstreams.answers["GetPlayer"] = abort
    response = await client.get("/v1/players/p")
    assert (response.status_code, error(response)["status"]) == (501, "UNIMPLEMENTED")


async def test_an_unexpected_error_of_the_gateway_is_masked_and_logged(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    broken = player_pb2.Player(name="a secret", create_time={"seconds": 1 << 60})  # no year has that many digits
    upstreams.answer("GetPlayer", broken)
    with capture_logs() as logs:
        response = await client.get("/v1/players/p")
    assert (response.status_code, error(response)["status"]) == (500, "INTERNAL")
    incident = error(response)["details"][0]["metadata"]["incident"]
    (line,) = (line for line in logs if line.get("incident") == incident)
    assert line["log_level"] == "error"
    assert "secret" not in response.text


# Request ids, headers, limits, clients that leave


@pytest.mark.parametrize("given", ["a", "x" * 64, "0b1c-Ü".encode().hex(), "!~"])
async def test_a_request_id_is_taken_passed_on_and_given_back(
    client: httpx.AsyncClient, upstreams: Upstreams, given: str
) -> None:
    response = await client.get("/v1/players/p", headers={"x-request-id": given})
    assert response.headers.get_list("x-request-id") == [given]
    assert upstreams.received[0].metadata["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "é"])
async def test_without_a_sane_request_id_one_is_made(
    client: httpx.AsyncClient, upstreams: Upstreams, given: str | None
) -> None:
    headers = {} if given is None else {"x-request-id": given.encode()}
    responses = [await client.get("/v1/players/p", headers=headers) for _ in range(2)]  # type: ignore[arg-type]
    first, second = (response.headers["x-request-id"] for response in responses)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    assert [received.metadata["x-request-id"] for received in upstreams.received] == [first, second]


@pytest.mark.parametrize("path", ["/heartbeat", "/nope", "/v1/players?x=y"])
async def test_every_answer_has_the_request_id(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"x-request-id": "mine"})
    assert response.headers["x-request-id"] == "mine"


async def test_no_other_header_reaches_a_service(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    given = {"cookie": "a=b", "authorization": "secret", "grpc-timeout": "1n", "x-forwarded-for": "1.2.3.4", "te": "x"}
    assert (await client.get("/v1/players/p", headers=given)).status_code == 200
    assert set(upstreams.received[0].metadata) == {"user-agent", "x-request-id"}
    assert upstreams.received[0].time_remaining > 5


async def test_requests_beyond_the_limit_are_refused_but_the_heartbeat_is_not(upstreams: Upstreams) -> None:
    came, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Any, __: Context) -> player_pb2.Player:
        came.set()
        await go_on.wait()
        return player_pb2.Player()

    upstreams.answers["GetPlayer"] = wait
    async with gateway_client(**upstreams.addresses(), max_concurrent_requests=1) as client:
        first = asyncio.create_task(client.get("/v1/players/p"))
        await asyncio.wait_for(came.wait(), 5)
        refused = await client.get("/v1/players")
        heartbeat = await client.get("/heartbeat")
        go_on.set()
        assert (await first).status_code == 200
        assert (await client.get("/v1/players")).status_code == 200
    assert (refused.status_code, error(refused)["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert refused.headers["retry-after"] == "1"
    assert heartbeat.status_code == 200


@pytest.mark.parametrize("method", ["GET /v1/players/p", "POST /v1/players/p:grantResources"])
async def test_a_client_that_leaves_cancels_the_call(
    client: httpx.AsyncClient, upstreams: Upstreams, method: str
) -> None:
    came, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_: Any, __: Context) -> Any:
        came.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    upstreams.answers["GetPlayer"] = upstreams.answers["GrantResources"] = wait
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(f"{method} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    await asyncio.wait_for(came.wait(), 5)
    with capture_logs() as logs:
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 5)
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_client_that_leaves_in_the_middle_of_a_body_calls_nothing(
    client: httpx.AsyncClient, upstreams: Upstreams
) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    head = b"POST /v1/players HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
    writer.write(b"GET /v1/battles/b HTTP/1.1\r\nhost: x\r\n\r\n" + head + b"{")
    await reader.readuntil(b"\r\n\r\n")
    with capture_logs() as logs:
        writer.close()
        await writer.wait_closed()
        assert (await client.get("/v1/battles/b")).status_code == 200
    assert {received.rpc for received in upstreams.received} == {"GetBattle"}
    assert not [line for line in logs if line["log_level"] == "error"]


# Heartbeat


async def test_the_heartbeat_is_200_when_every_service_is_well(client: httpx.AsyncClient) -> None:
    response = await client.get("/heartbeat")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "status": "SERVING",
        "services": {"player": "SERVING", "battle": "SERVING", "leaderboard": "SERVING"},
    }


async def test_the_heartbeat_is_503_when_a_service_is_gone_another_one_or_silent(upstreams: Upstreams) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    addresses = {
        "player_address": f"127.0.0.1:{free_port()}",
        "battle_address": upstreams.addresses()["player_address"],
        "leaderboard_address": f"127.0.0.1:{silent.sockets[0].getsockname()[1]}",
    }
    async with gateway_client(**addresses, health_timeout=1.5) as client:
        response = await client.get("/heartbeat")
    silent.close()
    await silent.wait_closed()
    assert response.status_code == 503
    assert response.json() == {
        "status": "NOT_SERVING",
        "services": {"player": "UNAVAILABLE", "battle": "NOT_FOUND", "leaderboard": "DEADLINE_EXCEEDED"},
    }


async def test_the_heartbeat_follows_a_service_that_is_not_ready() -> None:
    async with running_upstreams() as upstreams, gateway_client(**upstreams.addresses()) as client:
        ready = False

        async def check() -> None:
            if not ready:
                raise ConnectionError("the database is out of reach")

        upstreams.servers["player"].depends_on("database", check)

        async def becomes(status: str) -> httpx.Response:
            async with asyncio.timeout(20):
                while (response := await client.get("/heartbeat")).json()["services"]["player"] != status:
                    await asyncio.sleep(0.05)
            return response

        assert (await becomes("NOT_SERVING")).status_code == 503
        ready = True
        assert (await becomes("SERVING")).status_code == 200


async def test_a_page_of_a_board_is_printed_whole(client: httpx.AsyncClient, upstreams: Upstreams) -> None:
    entries = [leaderboard_pb2.Entry(position=n, rank=n, player_id=PLAYER, score=1000 - n) for n in range(1, 101)]
    upstreams.answer("ListEntries", leaderboard_pb2.ListEntriesResponse(entries=entries, total_size=12345))
    page = json.loads((await client.get("/v1/leaderboards/all/entries?page_size=100")).content)
    assert page["total_size"] == "12345"
    assert page["entries"][99] == {"position": "100", "rank": "100", "player_id": PLAYER, "score": "900"}
