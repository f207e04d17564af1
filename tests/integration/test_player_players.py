"""PlayerService over gRPC: creating, reading, changing, deleting and listing players."""

import asyncio
import time
import uuid

import grpc
import pytest

from services.common.clock import from_timestamp
from skirmish.player.v1 import player_pb2
from tests.player import PlayerService, migrate, new_name, refusal, serving

NOT_FOUND = grpc.StatusCode.NOT_FOUND


async def names_of(service: PlayerService, prefix: str, page_size: int = 100) -> list[str]:
    """Returns all names with a prefix, page by page."""
    names: list[str] = []
    request = player_pb2.ListPlayersRequest(name_prefix=prefix, page_size=page_size)
    while True:
        page = await service.players.ListPlayers(request)
        assert len(page.players) <= page_size
        names += [player.name for player in page.players]
        request.page_token = page.next_page_token
        if not request.page_token:
            return names


async def test_a_new_player_has_what_was_given_and_defaults_for_the_rest(player_service: PlayerService) -> None:
    name = new_name()

    player = await player_service.create(name=name, description="Says hello.\nTwice.", gold=0, luck=90)

    assert uuid.UUID(player.player_id).version == 7
    assert (player.name, player.description) == (name, "Says hello.\nTwice.")
    assert (player.gold, player.silver) == (0, 1000)
    assert (player.attack, player.hit_points, player.luck) == (70, 100, 90)
    assert player.resources_stolen == 0
    assert player.create_time == player.update_time
    assert abs(from_timestamp(player.create_time) / 1e6 - time.time()) < 60
    assert await player_service.get(player.player_id) == player


async def test_settings_decide_what_a_new_player_starts_with(database_url: str) -> None:
    await migrate(database_url)
    values = {"default_gold": 5, "default_silver": 6, "default_attack": 7, "default_hit_points": 8, "default_luck": 9}
    async with serving(database_url, **values) as service:
        player = await service.create()
    assert [player.gold, player.silver, player.attack, player.hit_points, player.luck] == [5, 6, 7, 8, 9]


async def test_a_name_is_stored_in_its_normal_form_and_taken_in_every_form(player_service: PlayerService) -> None:
    beginning = new_name()[:10]

    player = await player_service.create(name=f"{beginning} Zoe\u0308")

    assert player.name == f"{beginning} Zoë"
    refused = await refusal(player_service.players.CreatePlayer(player_pb2.CreatePlayerRequest(name=player.name)))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "NAME_TAKEN"
    assert player.name in refused.message


async def test_names_that_differ_in_case_are_two(player_service: PlayerService) -> None:
    name = "X" + new_name()[:19]

    await player_service.create(name=name)
    await player_service.create(name=name.lower())


async def test_of_fifty_creations_of_one_name_exactly_one_wins(database_url: str) -> None:
    await migrate(database_url)
    async with serving(database_url) as one, serving(database_url) as other:
        request = player_pb2.CreatePlayerRequest(name=new_name())
        calls = [service.players.CreatePlayer(request) for _ in range(25) for service in (one, other)]
        results = await asyncio.gather(*calls, return_exceptions=True)

        created = [result for result in results if isinstance(result, player_pb2.Player)]
        codes = [result.code() for result in results if isinstance(result, grpc.aio.AioRpcError)]
        assert len(created) == 1
        assert codes == [grpc.StatusCode.ALREADY_EXISTS] * 49
        assert await names_of(other, "") == [created[0].name]


async def test_whoever_is_unknown_or_deleted_is_not_found(player_service: PlayerService) -> None:
    deleted = await player_service.create()
    await player_service.delete(deleted.player_id)
    players = player_service.players
    for player_id in (deleted.player_id, str(uuid.uuid4())):
        for call in (
            players.GetPlayer(player_pb2.GetPlayerRequest(player_id=player_id)),
            players.BatchGetPlayers(player_pb2.BatchGetPlayersRequest(player_ids=[player_id])),
            players.UpdatePlayer(player_pb2.UpdatePlayerRequest(player=player_pb2.Player(player_id=player_id, luck=1))),
            players.UpdatePlayer(player_pb2.UpdatePlayerRequest(player=player_pb2.Player(player_id=player_id))),
            players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=player_id)),
            players.GrantResources(player_pb2.GrantResourcesRequest(player_id=player_id, gold=1)),
            players.ListLedgerEntries(player_pb2.ListLedgerEntriesRequest(player_id=player_id)),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (NOT_FOUND, "PLAYER_NOT_FOUND")
            assert refused.resources == [player_id]


async def test_a_deleted_player_keeps_its_name(player_service: PlayerService) -> None:
    player = await player_service.create()

    await player_service.delete(player.player_id)

    assert await names_of(player_service, player.name) == []
    refused = await refusal(player_service.players.CreatePlayer(player_pb2.CreatePlayerRequest(name=player.name)))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS


async def test_a_batch_comes_in_the_order_asked_for_with_duplicates(player_service: PlayerService) -> None:
    a, b, c = [await player_service.create(gold=gold) for gold in range(3)]
    ids = [c.player_id, a.player_id, b.player_id, a.player_id]

    found = await player_service.players.BatchGetPlayers(player_pb2.BatchGetPlayersRequest(player_ids=ids))

    assert list(found.players) == [c, a, b, a]


async def test_a_batch_names_every_unknown_player_once(player_service: PlayerService) -> None:
    player = await player_service.create()
    x, y = str(uuid.uuid4()), str(uuid.uuid4())

    refused = await refusal(
        player_service.players.BatchGetPlayers(
            player_pb2.BatchGetPlayersRequest(player_ids=[y, player.player_id, x, y])
        )
    )

    assert refused.code is NOT_FOUND
    assert refused.resources == [y, x]
    assert x in refused.message
    assert y in refused.message


async def test_a_batch_may_leave_unknown_players_out(player_service: PlayerService) -> None:
    a, b = await player_service.create(), await player_service.create()
    await player_service.delete(b.player_id)
    request = player_pb2.BatchGetPlayersRequest(
        player_ids=[str(uuid.uuid4()), a.player_id, b.player_id], allow_missing=True
    )

    assert list((await player_service.players.BatchGetPlayers(request)).players) == [a]


async def test_a_thousand_unknown_players_do_not_burst_the_headers(player_service: PlayerService) -> None:
    ids = [str(uuid.uuid4()) for _ in range(1000)]

    refused = await refusal(player_service.players.BatchGetPlayers(player_pb2.BatchGetPlayersRequest(player_ids=ids)))

    assert refused.code is NOT_FOUND
    assert refused.resources == ids[:50]


async def test_a_batch_of_a_thousand_fits_even_with_the_longest_descriptions(player_service: PlayerService) -> None:
    player = await player_service.create(description="🦊" * 1000)
    options = [("grpc.max_receive_message_length", 8 << 20), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{player_service.port}", options) as wide:
        call = wide.unary_unary(
            "/skirmish.player.v1.PlayerService/BatchGetPlayers",
            player_pb2.BatchGetPlayersRequest.SerializeToString,
            player_pb2.BatchGetPlayersResponse.FromString,
        )
        found = await call(player_pb2.BatchGetPlayersRequest(player_ids=[player.player_id] * 1000))
    assert len(found.players) == 1000


async def test_an_update_changes_what_its_mask_names(player_service: PlayerService) -> None:
    player = await player_service.create()
    request = player_pb2.UpdatePlayerRequest(
        player=player_pb2.Player(
            player_id=player.player_id, name="Other", gold=7, description="x", attack=2, hit_points=3, luck=0
        )
    )
    request.update_mask.paths.extend(["hit_points", "luck"])

    changed = await player_service.players.UpdatePlayer(request)

    assert (changed.hit_points, changed.luck) == (3, 0)
    assert from_timestamp(changed.update_time) >= from_timestamp(player.update_time)
    changed.hit_points, changed.luck = player.hit_points, player.luck
    changed.update_time.CopyFrom(player.update_time)
    assert changed == player


async def test_an_update_without_a_mask_changes_what_is_set(player_service: PlayerService) -> None:
    player = await player_service.create(description="old")
    request = player_pb2.UpdatePlayerRequest(player=player_pb2.Player(player_id=player.player_id, attack=5, name="No"))

    changed = await player_service.players.UpdatePlayer(request)

    assert changed.attack == 5
    assert (changed.name, changed.description, changed.luck) == (player.name, "old", player.luck)


async def test_an_update_of_everything_sets_what_is_left_out_to_nothing(player_service: PlayerService) -> None:
    player = await player_service.create(description="old")
    request = player_pb2.UpdatePlayerRequest(
        player=player_pb2.Player(player_id=player.player_id, attack=5, hit_points=6)
    )
    request.update_mask.paths.append("*")

    changed = await player_service.players.UpdatePlayer(request)

    assert (changed.description, changed.attack, changed.hit_points, changed.luck) == ("", 5, 6, 0)


async def test_an_update_of_nothing_changes_nothing(player_service: PlayerService) -> None:
    player = await player_service.create()

    changed = await player_service.players.UpdatePlayer(
        player_pb2.UpdatePlayerRequest(player=player_pb2.Player(player_id=player.player_id))
    )

    assert changed == player


async def test_players_are_listed_by_code_point_page_by_page(player_service: PlayerService) -> None:
    prefix = new_name()[:8]
    endings = ["", " ", "!", "A", "B", "Z", "_", "a", "aa", "b", "z", "é", "李", "🦊", "🦊🦊"]
    names = [f"{prefix}{ending}x" for ending in endings]
    for name in reversed(names):
        await player_service.create(name=name)

    for page_size in (1, 2, len(names) - 1, len(names), 100):
        assert await names_of(player_service, prefix, page_size) == sorted(names)


async def test_a_prefix_means_just_that(player_service: PlayerService) -> None:
    prefix = new_name()[:8]
    names = [f"{prefix}{ending}" for ending in ["%", "%%", "_a", "aa", "aA", "Aa", "e", "é", "\\"]]
    for name in names:
        await player_service.create(name=name)

    async def endings(ending: str) -> list[str]:
        return [name.removeprefix(prefix) for name in await names_of(player_service, prefix + ending)]

    assert await endings("%") == ["%", "%%"]
    assert await endings("_") == ["_a"]
    assert await endings("a") == ["aA", "aa"]
    assert await endings("A") == ["Aa"]
    assert await endings("\\") == ["\\"]
    assert await endings("e\u0301") == ["é"]
    assert await names_of(player_service, prefix.upper() + "Z") == []


async def test_a_prefix_may_be_a_whole_name(player_service: PlayerService) -> None:
    player = await player_service.create(name=new_name())

    assert len(player.name) == 20
    assert await names_of(player_service, player.name) == [player.name]


async def test_a_page_token_is_refused_with_another_prefix_and_on_another_list(player_service: PlayerService) -> None:
    prefix = new_name()[:8]
    players = [await player_service.create(name=f"{prefix}{letter}") for letter in "ab"]
    request = player_pb2.ListPlayersRequest(name_prefix=prefix, page_size=1)
    token = (await player_service.players.ListPlayers(request)).next_page_token

    for other in ("", prefix[:-1], f"{prefix}a"):
        refused = await refusal(
            player_service.players.ListPlayers(player_pb2.ListPlayersRequest(name_prefix=other, page_token=token))
        )
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["page_token"])
    ledger = player_pb2.ListLedgerEntriesRequest(player_id=players[0].player_id, page_token=token)
    assert (await refusal(player_service.players.ListLedgerEntries(ledger))).fields == ["page_token"]
    with_form = player_pb2.ListPlayersRequest(name_prefix=prefix, page_token=token)
    assert [player.name for player in (await player_service.players.ListPlayers(with_form)).players] == [f"{prefix}b"]


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (100, 100), (101, 100), (2**31 - 1, 100)])
async def test_a_page_has_fifty_players_or_what_is_asked_for_up_to_a_hundred(
    player_service: PlayerService, asked: int, given: int
) -> None:
    prefix = "pages of"
    if not await names_of(player_service, prefix):
        await asyncio.gather(*(player_service.create(name=f"{prefix} {number}") for number in range(101)))

    page = await player_service.players.ListPlayers(player_pb2.ListPlayersRequest(name_prefix=prefix, page_size=asked))

    assert len(page.players) == given
