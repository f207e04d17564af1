"""What the tests do first, without the page: players, battles, and services that stop."""

import itertools
import uuid
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from supervisor.xmlrpc import SupervisorTransport

from local.processes import socket_path
from tests.e2e.stack import Stack

_numbers = itertools.count(1)

STRONG = {"attack": 10_000, "hit_points": 10_000, "luck": 0}
WEAK = {"attack": 1, "hit_points": 1, "luck": 0}
"""Falls with the first blow of whoever attacks: nothing is left to chance."""


def new_name(stem: str = "Player") -> str:
    """Returns a name that no other player has."""
    return f"{stem} {next(_numbers)}{uuid.uuid4().hex[:4]}"


async def call(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Calls the gateway and returns what it answers."""
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        answer = await client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def create(url: str, **values: Any) -> Any:
    """Creates a player, under a new name unless it is given."""
    return await call(url, "POST", "/v1/players", {"name": new_name(), **values})


async def fight(url: str, challenger: Any, opponent: Any) -> Any:
    """Submits a battle."""
    body = {"challenger_id": challenger["player_id"], "opponent_id": opponent["player_id"]}
    return await call(url, "POST", "/v1/battles", body)


async def count_battles(url: str, player: Any) -> int:
    """Returns how many battles a player has, up to 100."""
    path = f"/v1/battles?player_id={player['player_id']}&page_size=100"
    return len((await call(url, "GET", path))["battles"])


@contextmanager
def stopped(stack: Stack, name: str) -> Iterator[None]:
    """Stops a process of a set as long as the context, through the process manager, and waits for both."""
    transport = SupervisorTransport(serverurl=f"unix://{socket_path(stack.data)}")
    with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
        server.supervisor.stopProcess(name)
        try:
            yield
        finally:
            server.supervisor.startProcess(name)
