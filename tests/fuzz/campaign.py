"""Sends bad input to every RPC, and to every route of the gateway, and collects whatever is not a clean answer.

Each shot draws from a random source of its own, made from the seed and the shot's number, so that one can be told from
the other. What a shot is made of depends on the ids that earlier ones brought, too.
"""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, quote_from_bytes

import grpc
import httpx
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.routes import Binding, bindings
from gateway.upstreams import SERVICES
from services.common import clock
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2, player_pb2_grpc, settlement_pb2
from tests.fuzz import judge
from tests.fuzz.generator import TEXTS, Generator

AT_ONCE = 16
TIMEOUT = 30.0
"""Seconds that a call gets; more would be an answer that never comes."""
GLIMPSE = 0.05
"""Seconds for which a stream without an end is read."""
MOST_TOLD = 20

METHODS: list[MethodDescriptor] = [
    method
    for file in (player_pb2, settlement_pb2, battle_pb2, leaderboard_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
ROUTES: list[Binding] = [binding for service in SERVICES.values() for binding in bindings(service)]
ENDLESS = {"WatchBattle", "WatchBattles", "WatchEntries"}

ODD_BODIES = [
    b"[" * 100_000,
    b'{"name":' * 20_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"gold":' + b"9" * 5_000 + b"}",
    b'{"gold":-1e999}',
    b'{"gold":1e400,"gold":1}',
    b'{"gold":NaN}',
    b'{"name":"\\ud800"}',
    b'{"\\ud800":1}',
    b'{"\\udc00\\ud800":{"\\ud800":1}}',
    b'{"name":"\xed\xa0\x80"}',
    b'{"name":"\\u0000"}',
    b'{"\\u0000":"\\u202e"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b"nul",
    b'"text"',
    b"0",
    b"[]",
    b" ",
    b"{}x",
    b'{"requests":[' + b"{}," * 20_000 + b"{}]}",
    b'{"requests":[[]]}',
    b'{"' + b"k" * 100_000 + b'":1}',
    b'{"gold":' + b"9" * 4_301 + b"}",
]
"""What a body should not be."""
NOISE = [
    b"\0" * 100,
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /v1/players/\xc3\xa9 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /v1/players/\x7f?\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET * HTTP/1.1\r\nhost: \xff\r\nx-request-id: \xff\xfe\r\n\r\n",
    b"POST /v1/players HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
    b"POST /v1/players HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n{}",
    b"POST /v1/players HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /v1/players HTTP/1.1\r\nhost: a\r\ncontent-type: \xe9; \xff\r\ncontent-length: 2\r\n\r\n{}",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\xff" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\xff\xff\1\5\0\0\0\1" + b"\x40\1" * 500,
]
"""What no client sends, to any port."""


class Campaign:
    """Bad input for a running Skirmish.

    Args:
        addresses: The three services by the second part of their package, "player", "battle" and "leaderboard".
        url: The gateway.
        seed: Decides about everything that is sent.

    Attributes:
        problems: What was not a clean answer, each with what was sent.
        outcomes: How many answers there were of each kind.
    """

    def __init__(self, addresses: dict[str, str], url: str, seed: int) -> None:
        self._addresses = addresses
        self._url = url
        self._seed = seed
        self._shots = 0
        self._ids: deque[str] = deque(maxlen=200)
        self._settled: list[str] = []
        self._pawns: list[str] = []
        self._tokens: deque[str] = deque(maxlen=50)
        self._stack = AsyncExitStack()
        self.problems: list[str] = []
        self.outcomes: Counter[str] = Counter()

    async def __aenter__(self) -> Campaign:
        self._channels = {
            name: await self._stack.enter_async_context(grpc.aio.insecure_channel(address))
            for name, address in self._addresses.items()
        }
        self._http = await self._stack.enter_async_context(httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT))
        # Settling battles that nobody submitted puts players out of step for good, so these belong to that alone.
        self._pawns = [await self._new_player() for _ in range(10)]
        self._ids.extend([await self._new_player() for _ in range(10)])
        # A report exists of settled battles alone, and it is chance whether the other ids hold one.
        self._settled = [await self._fight() for _ in range(10)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _new_player(self) -> str:
        players = player_pb2_grpc.PlayerServiceStub(self._channels["player"])
        request = player_pb2.CreatePlayerRequest(name=clock.uuid7()[-12:] + "fuzz")
        player: player_pb2.Player = await players.CreatePlayer(request, timeout=TIMEOUT)
        return player.player_id

    async def _fight(self) -> str:
        """Returns the id of a battle of new players that was fought to its end."""
        battles = battle_pb2_grpc.BattleServiceStub(self._channels["battle"])
        one, two = await self._new_player(), await self._new_player()
        wish = battle_pb2.SubmitBattleRequest(challenger_id=one, opponent_id=two)
        battle: battle_pb2.Battle = await battles.SubmitBattle(wish, timeout=TIMEOUT)
        watch = battles.WatchBattle(battle_pb2.WatchBattleRequest(battle_id=battle.battle_id), timeout=TIMEOUT)
        assert [b.state async for b in watch][-1] == battle_pb2.Battle.SETTLED
        return battle.battle_id

    async def shoot_grpc(self, shots: int) -> None:
        """Calls RPCs, each as often as any other."""
        await self._shoot(shots, self._call)

    async def shoot_http(self, shots: int) -> None:
        """Sends HTTP requests, to each route as many as to any other."""
        await self._shoot(shots, self._request)

    async def shoot_odd_bodies(self) -> None:
        """Sends every body that is known to be odd to every route that takes one, and then some bytes to every port."""
        for binding in ROUTES:
            for body in ODD_BODIES if binding.body else ():
                target = binding.template.text.replace("{player.player_id}", "x").replace("{player_id}", "x").encode()
                await self._request_with(0, binding, binding.method, target, body, {"content-type": "application/json"})
        rng = random.Random(self._seed)
        for address in [*self._addresses.values(), self._url.removeprefix("http://")]:
            for noise in [*NOISE, rng.randbytes(1000), rng.randbytes(100_000)]:
                if problem := judge.problem_of_noise(await _shout(address, noise)):
                    self._tell(0, address, noise, problem)

    async def check_well(self) -> None:
        """Asserts that every server is healthy and works: a battle of new players is fought to its end."""
        for name, channel in self._channels.items():
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            answer = await check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
        await self._fight()
        assert (await self._http.get("/heartbeat")).status_code == 200

    async def _shoot(self, shots: int, shoot: Callable[[int, random.Random], Awaitable[None]]) -> None:
        numbers = iter(range(self._shots, self._shots + shots))
        self._shots += shots

        async def shoot_on() -> None:
            for number in numbers:
                await shoot(number, random.Random(f"{self._seed}/{number}"))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(shoot_on())

    async def _call(self, number: int, rng: random.Random) -> None:
        method = METHODS[number % len(METHODS)]
        ids = self._pawns if method.name == "SettleBattles" else [*self._ids, *self._settled]
        generator = Generator(rng, ids, list(self._tokens))
        sent = generator.request(method.input_type).SerializeToString()
        if rng.random() < 0.3:
            sent = generator.mutated(sent)
        metadata = _metadata(rng) if rng.random() < 0.1 else ()
        try:
            for answer in await self._answers(method, sent, metadata):
                self.outcomes[f"{method.name} OK"] += 1
                if problem := judge.problem_of_answer(answer):
                    self._tell(number, method.full_name, sent, metadata, problem)
                self._learn(answer)
        except grpc.aio.AioRpcError as error:
            if method.name in ENDLESS and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return
            self.outcomes[f"{method.name} {error.code().name}"] += 1
            if problem := judge.problem_of_call(error):
                self._tell(number, method.full_name, sent, metadata, problem)

    async def _answers(self, method: MethodDescriptor, sent: bytes, metadata: Any) -> list[Message]:
        read = GetMessageClass(method.output_type).FromString
        channel: Any = self._channels[method.full_name.split(".")[1]]
        name = f"/{method.containing_service.full_name}/{method.name}"
        if not method.server_streaming:
            return [read(await channel.unary_unary(name)(sent, timeout=TIMEOUT, metadata=metadata))]
        timeout = GLIMPSE if method.name in ENDLESS else TIMEOUT
        return [read(part) async for part in channel.unary_stream(name)(sent, timeout=timeout, metadata=metadata)]

    def _learn(self, answer: Any) -> None:
        """Remembers ids and tokens of an answer, for later requests to name."""
        for descriptor, value in answer.ListFields():
            if descriptor.name in ("player_id", "battle_id") and value not in self._pawns:
                self._ids.append(value)
            elif descriptor.name == "next_page_token":
                self._tokens.append(value)

    async def _request(self, number: int, rng: random.Random) -> None:
        binding = ROUTES[number % len(ROUTES)]
        generator = Generator(rng, [*self._ids, *self._settled], list(self._tokens))
        message = generator.request(binding.rpc.input_type)
        target = _path(binding, message, generator)
        body = b""
        if binding.body and rng.random() < 0.95:
            body = _mutated_json(_to_json(message, binding.body), generator)
        elif rng.random() < 0.7:
            target += b"?" + _query(message, generator)
        headers = {} if not body else {"content-type": "application/json"}
        if rng.random() < 0.1:
            headers["content-type"] = rng.choice(
                ["text/plain", "application/json; charset=latin-1", "application/json;;", ","]
            )
        method = rng.choice([binding.method] * 9 + ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
        await self._request_with(number, binding, method, target, body, headers)

    async def _request_with(
        self, number: int, binding: Binding, method: str, target: bytes, body: bytes, headers: dict[str, str]
    ) -> None:
        request = self._http.build_request(
            method, "/", content=body or None, headers=headers, extensions={"target": target}
        )
        try:
            status, content_type, answer = await self._send(request, binding.rpc.name in ENDLESS)
        except httpx.HTTPError as error:
            self._tell(number, method, target, body, repr(error))
            return
        self.outcomes[f"{binding.rpc.name} {status}"] += 1
        if status < 400 or method == "HEAD":
            return
        if problem := judge.problem_of_http(status, content_type, answer):
            self._tell(number, method, target, body, problem)

    async def _send(self, request: httpx.Request, may_be_endless: bool) -> tuple[int, str, bytes]:
        response = await self._http.send(request, stream=True)
        try:
            content_type = response.headers.get("content-type", "")
            if response.status_code == 200 and may_be_endless:
                return 200, content_type, b""
            return response.status_code, content_type, await response.aread()
        finally:
            await response.aclose()

    def _tell(self, number: int, where: str, *what: object) -> None:
        if len(self.problems) < MOST_TOLD:
            *sent, problem = what
            self.problems.append(f"seed {self._seed}, shot {number}: {where} {[str(s)[:300] for s in sent]}: {problem}")


async def _shout(address: str, noise: bytes) -> bytes:
    """Sends bytes to a port and returns what comes back, until the other side is silent or leaves."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        writer.write(noise)
        writer.write_eof()
        async with asyncio.timeout(1):
            while part := await reader.read(65_536):
                answer += part
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return answer


def _metadata(rng: random.Random) -> tuple[tuple[str, str | bytes], ...]:
    """Makes metadata that a client can send: gRPC keeps its own from sending anything that HTTP/2 has no room for."""
    visible = "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.choice([0, 1, 64, 65, 4000])))
    return tuple(
        rng.sample(
            [
                ("x-request-id", visible),
                ("x-request-id", "a"),
                ("x-noise-bin", rng.randbytes(200)),
                ("grpc-status-details-bin", rng.randbytes(20)),
                ("authorization", visible),
                ("x-large", "y" * 20_000),
                ("grpc-encoding-x", "gzip"),
                ("te", "x"),
            ],
            rng.randrange(1, 4),
        )
    )


def _to_json(message: Message, body: str) -> Any:
    held = message if body == "*" else getattr(message, body)
    try:
        return json_format.MessageToDict(held, preserving_proto_field_name=True)
    except (ValueError, json_format.Error, DecodeError):  # times that JSON has no form for
        return {}


def _mutated_json(value: Any, generator: Generator) -> bytes:
    """Returns JSON that is right, wrong here and there, or none at all."""
    rng = generator.rng
    kind = rng.random()
    if kind < 0.2:
        return json.dumps(value).encode()
    if kind < 0.7:
        holder = value
        for _ in range(rng.choice([1, 1, 2, 4])):
            inner = (
                [item for item in holder.values() if isinstance(item, dict) and item]
                if isinstance(holder, dict)
                else []
            )
            at = rng.choice([holder, *inner])
            if isinstance(at, dict):
                at[rng.choice([*at, generator.text(), "\ud800", "a.b"])] = _odd(generator)
        return json.dumps(value, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")
    if kind < 0.8:
        encoded = bytearray(json.dumps(value).encode())
        for _ in range(rng.choice([1, 3])):
            encoded[rng.randrange(len(encoded))] = rng.randrange(256)
        return bytes(encoded)
    return rng.choice([*ODD_BODIES, rng.randbytes(200)])


def _odd(generator: Generator) -> Any:
    rng = generator.rng
    return rng.choice(
        [
            None,
            True,
            0,
            -1,
            2**31,
            -(2**31) - 1,
            2**64,
            10**400,
            1.5,
            1e300,
            float("inf"),
            float("nan"),
            "1",
            "1e3",
            "٣",
            "\ud800",
            generator.text(),
            [],
            [None],
            [[]],
            {},
            {"a": 1},
            {"\udfff": {}},
            ["\ud800"] * 3,
            "x" * 20_000,
        ]
    )


def _path(binding: Binding, message: Message, generator: Generator) -> bytes:
    """Returns a path of a route, with its variables filled in from a message, or by whatever comes."""
    rng = generator.rng
    path = binding.template.text
    for variable in binding.template.variables:
        value: Any = message
        for name in variable.split("."):
            value = getattr(value, name)
        text = (
            quote(str(value), safe=rng.choice(["", "/:@"]))
            if rng.random() < 0.9
            else quote_from_bytes(rng.randbytes(9))
        )
        path = path.replace(f"{{{variable}}}", text or "-")
    encoded = path.encode()
    if rng.random() < 0.1:
        at = rng.randrange(1, len(encoded) + 1)
        odd = [b"%", b"%zz", b"//", b"/../", b"%2F", b"%00", b";", b"#", b":x", b"/", b"\\", b"*", b"?", b"{}"]
        encoded = encoded[:at] + rng.choice(odd) + encoded[at:]
    return encoded


def _query(message: Message, generator: Generator) -> bytes:
    rng = generator.rng
    items = [(f.name, item) for f, value in message.ListFields() for item in (value if f.is_repeated else [value])]
    names = [*TEXTS[:20], "page_size", "player_ids", "board.x"]
    items += [(rng.choice(names), generator.text()) for _ in range(rng.choice([0, 0, 1, 3]))]
    parts = [f"{quote(name)}={quote(str(item)[:2000])}" for name, item in items]
    rng.shuffle(parts)
    encoded = "&".join(parts).encode()[:50_000]
    return encoded + rng.choice(
        [b"", b"", b"", b"&", b"&=", b"&%", b"=%ff", b"&a=%ed%a0%80", b"&&&&", b"&page_size=1&page_size=2"]
    )
