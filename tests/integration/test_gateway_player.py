"""Players over HTTP: the gateway in front of the real player service on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests import player
from tests.servers import free_port
from tests.upstreams import gateway_client

NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    url = f"sqlite:///{tmp_path_factory.mktemp('player')}/player.db"
    await player.migrate(url)
    nowhere = f"127.0.0.1:{free_port()}"
    async with (
        player.serving(url) as service,
        gateway_client(
            player_address=f"127.0.0.1:{service.port}", battle_address=nowhere, leaderboard_address=nowhere
        ) as client,
    ):
        yield client


async def create(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    response = await client.post("/v1/players", json={"name": player.new_name(), **values})
    assert response.status_code == 200
    created: dict[str, Any] = response.json()
    return created


def told(response: httpx.Response) -> tuple[int, str, str]:
    """Returns the HTTP status, the gRPC code and the reason of an error."""
    error = response.json()["error"]
    return response.status_code, error["status"], error["details"][0]["reason"]


async def test_a_player_lives_over_http(client: httpx.AsyncClient) -> None:
    name = player.new_name()
    created = await create(client, name=name, description="Ünter 🎲", luck=0, gold="500")
    path = f"/v1/players/{created['player_id']}"
    assert (created["name"], created["gold"], created["luck"], created["silver"]) == (name, 500, 0, 1000)
    assert (await client.get(path)).json() == created

    patched = await client.patch(path, params={"update_mask": "luck,hitPoints"}, json={"luck": 90, "hitPoints": 7})
    assert patched.json() == {
        **created,
        "luck": 90,
        "hit_points": 7,
        "update_time": patched.json()["update_time"],
    }
    granted = await client.post(f"{path}:grantResources", json={"gold": -100, "silver": 5, "reason": "a fine"})
    assert (granted.json()["gold"], granted.json()["silver"]) == (400, 1005)

    ledger = (await client.get(f"{path}/ledgerEntries")).json()
    assert ledger["next_page_token"] == ""
    assert [(entry["kind"], entry["gold_change"], entry["reason"]) for entry in ledger["ledger_entries"]] == [
        ("GRANT", -100, "a fine"),
        ("OPENING", 500, ""),
    ]
    deleted = await client.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert told(await client.get(path)) == (404, "NOT_FOUND", "PLAYER_NOT_FOUND")


async def test_a_player_can_be_sent_back_as_it_was_got(client: httpx.AsyncClient) -> None:
    created = await create(client)
    changed = {**created, "description": "new"}
    response = await client.patch(f"/v1/players/{created['player_id']}", json=changed)
    assert response.json()["description"] == "new"


async def test_players_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    names = [f"Page {number}" for number in range(5)]
    for name in names:
        await create(client, name=name)
    listed, token = [], ""
    while True:
        params = {"name_prefix": "Page ", "page_size": "2", "page_token": token}
        page = (await client.get("/v1/players", params=params)).json()
        listed += [each["name"] for each in page["players"]]
        if not (token := page["next_page_token"]):
            break
    assert listed == names


async def test_several_players_come_in_the_order_asked_for(client: httpx.AsyncClient) -> None:
    first, second = (await create(client))["player_id"], (await create(client))["player_id"]
    ids = [second, first, second]
    response = await client.get("/v1/players:batchGet", params={"player_ids": ids})
    assert [each["player_id"] for each in response.json()["players"]] == ids
    response = await client.get("/v1/players:batchGet", params={"player_ids": [NOBODY, first], "allow_missing": "true"})
    assert [each["player_id"] for each in response.json()["players"]] == [first]


async def test_an_unknown_player_is_named(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/players:batchGet", params={"player_ids": [NOBODY]})
    assert told(response) == (404, "NOT_FOUND", "PLAYER_NOT_FOUND")
    assert response.json()["error"]["details"][1]["resource_name"] == NOBODY


async def test_every_wrong_field_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/players", json={"name": " x", "luck": 91, "attack": 0})
    assert told(response)[:2] == (400, "INVALID_ARGUMENT")
    fields = [violation["field"] for violation in response.json()["error"]["details"][1]["field_violations"]]
    assert sorted(fields) == ["attack", "luck", "name"]


async def test_as_many_wrong_ids_as_a_batch_may_hold_are_told_as_what_they_are(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/players:batchGet", params={"player_ids": ["x"] * 1000})
    assert told(response)[:2] == (400, "INVALID_ARGUMENT")


async def test_a_name_that_is_taken_is_409(client: httpx.AsyncClient) -> None:
    created = await create(client)
    response = await client.post("/v1/players", json={"name": created["name"]})
    assert told(response)[:2] == (409, "ALREADY_EXISTS")


async def test_a_balance_can_not_be_overdrawn(client: httpx.AsyncClient) -> None:
    path = f"/v1/players/{(await create(client))['player_id']}"
    response = await client.post(f"{path}:grantResources", json={"gold": -1001})
    assert told(response)[:2] == (400, "FAILED_PRECONDITION")
    assert (await client.get(path)).json()["gold"] == 1000


async def test_a_repeated_request_id_creates_once_and_none_creates_each_time(client: httpx.AsyncClient) -> None:
    path = f"/v1/players/{(await create(client))['player_id']}:grantResources"
    once = [await client.post(path, json={"request_id": "tea", "gold": 1}) for _ in range(2)]
    assert [response.json()["gold"] for response in once] == [1001, 1001]
    twice = [await client.post(path, json={"gold": 1}) for _ in range(2)]
    assert [response.json()["gold"] for response in twice] == [1002, 1003]


async def test_the_heartbeat_tells_who_is_missing(client: httpx.AsyncClient) -> None:
    response = await client.get("/heartbeat")
    assert response.status_code == 503
    assert response.json()["services"] == {"player": "SERVING", "battle": "UNAVAILABLE", "leaderboard": "UNAVAILABLE"}
