"""Grants, request ids and the ledger, over gRPC."""

import asyncio
import uuid

import grpc
import pytest
import sqlalchemy as sa

from services.common import clock
from services.common.database import Database
from services.player import store
from services.player.players import MOST_RESOURCES, LedgerEntry, NewPlayer
from skirmish.player.v1 import player_pb2
from tests.player import PlayerService, migrate, new_name, refusal, serving

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
Kind = player_pb2.LedgerEntry.Kind


async def grant(service: PlayerService, player_id: str, **values: int | str) -> player_pb2.Player:
    return await service.players.GrantResources(player_pb2.GrantResourcesRequest(player_id=player_id, **values))  # type: ignore[arg-type]


async def test_every_change_of_a_balance_is_in_the_ledger(player_service: PlayerService) -> None:
    player = await player_service.create(gold=10, silver=20)

    await grant(player_service, player.player_id, gold=5, reason="found")
    granted = await grant(player_service, player.player_id, gold=-15, silver=7, reason="lost\nand found")

    assert (granted.gold, granted.silver) == (0, 27)
    assert await player_service.get(player.player_id) == granted
    entries = await player_service.ledger(player.player_id)
    assert [(e.kind, e.reason, e.gold_change, e.silver_change, e.gold_balance, e.silver_balance) for e in entries] == [
        (Kind.OPENING, "", 10, 20, 10, 20),
        (Kind.GRANT, "found", 5, 0, 15, 20),
        (Kind.GRANT, "lost\nand found", -15, 7, 0, 27),
    ]
    assert {(entry.battle_id, entry.battle_number) for entry in entries} == {("", 0)}
    assert entries[0].create_time == player.create_time
    assert entries[2].create_time == granted.update_time


@pytest.mark.parametrize(
    ("gold", "silver"),
    [(-11, 1), (1, -11), (MOST_RESOURCES - 9, 1), (1, MOST_RESOURCES - 9), (2**31 - 1, 1), (-(2**31), 1)],
)
async def test_a_grant_beyond_a_limit_changes_nothing(player_service: PlayerService, gold: int, silver: int) -> None:
    player = await player_service.create(gold=10, silver=10)

    request = player_pb2.GrantResourcesRequest(player_id=player.player_id, gold=gold, silver=silver, request_id="no")
    for _ in range(2):  # a refusal doesn't use up the request id
        refused = await refusal(player_service.players.GrantResources(request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BALANCE_OUT_OF_RANGE")

    assert await player_service.get(player.player_id) == player
    assert len(await player_service.ledger(player.player_id)) == 1


async def test_a_grant_may_go_to_either_limit(player_service: PlayerService) -> None:
    player = await player_service.create(gold=10, silver=10)

    granted = await grant(player_service, player.player_id, gold=MOST_RESOURCES - 10, silver=-10)

    assert (granted.gold, granted.silver) == (MOST_RESOURCES, 0)


async def test_concurrent_grants_all_count(player_service: PlayerService) -> None:
    player = await player_service.create(gold=0, silver=1000)

    await asyncio.gather(*(grant(player_service, player.player_id, gold=n, silver=-n) for n in range(1, 31)))

    after = await player_service.get(player.player_id)
    assert (after.gold, after.silver) == (465, 535)
    entries = await player_service.ledger(player.player_id)
    assert len(entries) == 31
    assert sum(entry.gold_change for entry in entries) == 465
    assert sum(entry.silver_change for entry in entries) == 535
    gold = 0
    for entry in entries:
        gold += entry.gold_change
        assert entry.gold_balance == gold


async def test_a_repeated_creation_answers_the_player_as_it_is_now(player_service: PlayerService) -> None:
    request = player_pb2.CreatePlayerRequest(request_id=new_name(), name=new_name())
    created = await player_service.players.CreatePlayer(request)
    granted = await grant(player_service, created.player_id, gold=5)

    assert await player_service.players.CreatePlayer(request) == granted


async def test_a_creation_repeated_at_the_same_time_creates_one_player(database_url: str) -> None:
    await migrate(database_url)
    async with serving(database_url) as one, serving(database_url) as other:
        request = player_pb2.CreatePlayerRequest(request_id="once", name=new_name())
        created = await asyncio.gather(
            *(service.players.CreatePlayer(request) for _ in range(20) for service in (one, other))
        )
        assert len({player.player_id for player in created}) == 1
        assert len(await one.ledger(created[0].player_id)) == 1


async def test_a_repeated_grant_is_granted_once(player_service: PlayerService) -> None:
    player = await player_service.create(gold=0)
    request = player_pb2.GrantResourcesRequest(request_id=new_name(), player_id=player.player_id, gold=5, reason="gift")

    granted = [await player_service.players.GrantResources(request) for _ in range(3)]

    assert [answer.gold for answer in granted] == [5, 5, 5]
    assert len(await player_service.ledger(player.player_id)) == 2


async def test_a_grant_repeated_at_the_same_time_is_granted_once(database_url: str) -> None:
    await migrate(database_url)
    async with serving(database_url) as one, serving(database_url) as other:
        player = await one.create(gold=0)
        request = player_pb2.GrantResourcesRequest(request_id="once", player_id=player.player_id, gold=5)
        granted = await asyncio.gather(
            *(service.players.GrantResources(request) for _ in range(20) for service in (one, other))
        )
        assert {answer.gold for answer in granted} == {5}


async def test_without_a_request_id_every_call_counts(player_service: PlayerService) -> None:
    player = await player_service.create(gold=0)

    await grant(player_service, player.player_id, gold=5)
    await grant(player_service, player.player_id, gold=5)

    assert (await player_service.get(player.player_id)).gold == 10


@pytest.mark.parametrize(
    "changed", [{"name": "other"}, {"description": "x"}, {"gold": 1000}, {"luck": 0}, {"attack": 70}]
)
async def test_a_request_id_is_refused_with_another_creation(
    player_service: PlayerService, changed: dict[str, str | int]
) -> None:
    request = player_pb2.CreatePlayerRequest(request_id=new_name(), name=new_name())
    await player_service.players.CreatePlayer(request)
    other = player_pb2.CreatePlayerRequest(**changed)  # type: ignore[arg-type]
    request.MergeFrom(other)

    refused = await refusal(player_service.players.CreatePlayer(request))

    assert (refused.code, refused.fields) == (INVALID_ARGUMENT, ["request_id"])
    assert refused.reason == "REQUEST_ID_REUSED"


async def test_a_request_id_is_refused_with_another_grant(player_service: PlayerService) -> None:
    player, other = await player_service.create(gold=0), await player_service.create(gold=0)
    request = player_pb2.GrantResourcesRequest(request_id=new_name(), player_id=player.player_id, gold=5)
    await player_service.players.GrantResources(request)

    for changed in ({"gold": 6}, {"silver": 1}, {"reason": "x"}, {"player_id": other.player_id}):
        altered = player_pb2.GrantResourcesRequest()
        altered.CopyFrom(request)
        altered.MergeFrom(player_pb2.GrantResourcesRequest(**changed))
        refused = await refusal(player_service.players.GrantResources(altered))
        assert (refused.code, refused.fields) == (INVALID_ARGUMENT, ["request_id"])
    assert (await player_service.get(player.player_id)).gold == 5
    assert (await player_service.get(other.player_id)).gold == 0


async def test_of_two_grants_with_one_request_id_at_the_same_time_one_is_refused(
    player_service: PlayerService,
) -> None:
    players = [await player_service.create(gold=0) for _ in range(8)]
    request_id = new_name()

    results = await asyncio.gather(
        *(grant(player_service, player.player_id, gold=5, request_id=request_id) for player in players),
        return_exceptions=True,
    )

    codes = [result.code() for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert codes == [INVALID_ARGUMENT] * 7
    assert sum([(await player_service.get(player.player_id)).gold for player in players]) == 5


async def test_a_creation_and_a_grant_may_have_the_same_request_id(player_service: PlayerService) -> None:
    request_id = new_name()
    player = await player_service.create(gold=0, request_id=request_id)

    assert (await grant(player_service, player.player_id, gold=5, request_id=request_id)).gold == 5


async def test_a_refused_creation_leaves_its_request_id_free(player_service: PlayerService) -> None:
    taken = await player_service.create()
    request = player_pb2.CreatePlayerRequest(request_id=new_name(), name=taken.name)
    assert (await refusal(player_service.players.CreatePlayer(request))).code is grpc.StatusCode.ALREADY_EXISTS

    request.name = new_name()
    await player_service.players.CreatePlayer(request)


async def test_a_creation_repeated_after_the_deletion_is_not_found(player_service: PlayerService) -> None:
    request = player_pb2.CreatePlayerRequest(request_id=new_name(), name=new_name())
    created = await player_service.players.CreatePlayer(request)
    await player_service.delete(created.player_id)

    refused = await refusal(player_service.players.CreatePlayer(request))

    assert (refused.code, refused.resources) == (grpc.StatusCode.NOT_FOUND, [created.player_id])


async def test_the_ledger_is_listed_newest_first_page_by_page(player_service: PlayerService) -> None:
    player = await player_service.create(gold=0)
    for gold in range(1, 8):
        await grant(player_service, player.player_id, gold=gold)

    for page_size in (1, 3, 7, 8, 100):
        changes: list[int] = []
        request = player_pb2.ListLedgerEntriesRequest(player_id=player.player_id, page_size=page_size)
        while True:
            page = await player_service.players.ListLedgerEntries(request)
            assert len(page.ledger_entries) <= page_size
            changes += [entry.gold_change for entry in page.ledger_entries]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        assert changes == [7, 6, 5, 4, 3, 2, 1, 0]


async def test_a_ledger_page_token_is_refused_for_another_player(player_service: PlayerService) -> None:
    player, other = await player_service.create(), await player_service.create()
    await grant(player_service, player.player_id, gold=1)
    request = player_pb2.ListLedgerEntriesRequest(player_id=player.player_id, page_size=1)
    request.page_token = (await player_service.players.ListLedgerEntries(request)).next_page_token
    request.player_id = other.player_id

    refused = await refusal(player_service.players.ListLedgerEntries(request))

    assert (refused.code, refused.fields) == (INVALID_ARGUMENT, ["page_token"])


async def test_a_grant_to_somebody_unknown_leaves_its_request_id_free(player_service: PlayerService) -> None:
    request_id = new_name()
    unknown = player_pb2.GrantResourcesRequest(request_id=request_id, player_id=str(uuid.uuid4()), gold=1)
    assert (await refusal(player_service.players.GrantResources(unknown))).code is grpc.StatusCode.NOT_FOUND
    player = await player_service.create(gold=0)

    assert (await grant(player_service, player.player_id, gold=5, request_id=request_id)).gold == 5


async def test_a_page_of_a_ledger_is_that_of_one_moment(database_url: str) -> None:
    await migrate(database_url)
    database, another = Database(database_url), Database(database_url)
    player_id = clock.uuid7()
    new = NewPlayer("Ada", "", 100, 100, 70, 100, 10)
    await database.write(store.create, player_id, new, store.Request("CreatePlayer", "", b""))
    granted: list[bool] = []

    def meanwhile(*_: object) -> None:
        if not granted:  # after the first statement of those that read a page
            granted.append(True)
            with another.engine.begin() as connection:
                store.grant(connection, player_id, 5, 0, "meanwhile", store.Request("GrantResources", "", b""))

    def read(connection: sa.Connection) -> list[LedgerEntry]:
        sa.event.listen(connection, "after_cursor_execute", meanwhile)
        return store.list_entries(connection, player_id, None, 10)[0]

    assert [entry.gold_change for entry in await database.read(read)] == [100]
    entries, _ = await database.read(store.list_entries, player_id, None, 10)
    assert [entry.gold_change for entry in entries] == [5, 100]
    await database.close()
    await another.close()
