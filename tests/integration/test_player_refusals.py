"""Requests that are wrong in themselves, and what each is told."""

from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from services.player.settlement import Effect
from skirmish.player.v1 import player_pb2, settlement_pb2
from tests.player import PlayerService, refusal

A = "01900000-0000-7000-8000-00000000000a"
B = "01900000-0000-7000-8000-00000000000b"
BAD_IDS = ["", "x", A.upper(), A[:-1], f"{{{A}}}", A.replace("-", ""), f"{A}\n", "é" * 36]
GARBAGE = ["x", "AAAA", "%", "é", "eyJhIjoxfQ", "A" * 5000]


def create(*fields: str, name: Any = "Anna", **values: Any) -> Any:
    return "CreatePlayer", player_pb2.CreatePlayerRequest(name=name, **values), set(fields)


def update(*fields: str, paths: list[str] | None = None, player_id: str = A, **values: Any) -> Any:
    request = player_pb2.UpdatePlayerRequest(player=player_pb2.Player(player_id=player_id, **values))
    request.update_mask.paths.extend(paths or [])
    return "UpdatePlayer", request, set(fields)


def grant(*fields: str, player_id: str = A, gold: int = 1, **values: Any) -> Any:
    return "GrantResources", player_pb2.GrantResourcesRequest(player_id=player_id, gold=gold, **values), set(fields)


def settle(*fields: str, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "battle_id": A,
        "sequence": 1,
        "challenger_id": A,
        "challenger_number": 1,
        "opponent_id": B,
        "opponent_number": 1,
        "effect": Effect.CHALLENGER_WON,
        "share_basis_points": 1000,
    }
    right, wrong = settlement_pb2.FoughtBattle(**values), settlement_pb2.FoughtBattle(**values | changes)
    request = settlement_pb2.SettleBattlesRequest(battles=[right, wrong])
    return "SettleBattles", request, {f"battles[1].{field}" for field in fields}


WRONG: list[tuple[str, Message, set[str]]] = [
    create("name", name=""),
    create("name", name="x" * 21),
    create("name", name=" Anna"),
    create("name", name="Anna\n"),
    create("name", name="An\0na"),
    create("name", name="An\u200bna"),
    create("name", name="\u0301" * 1_000_000),
    create("description", description="x" * 1001),
    create("description", description="\0"),
    *(create("request_id", request_id=wrong) for wrong in ["x" * 65, "a b", "é", "\0", " "]),
    *(create(name, **{name: wrong}) for name in ("gold", "silver") for wrong in (-1, 1_000_000_001, -(2**31))),
    *(create(name, **{name: wrong}) for name in ("attack", "hit_points") for wrong in (0, -1, 10_001)),
    *(create("luck", luck=wrong) for wrong in (-1, 91)),
    create(
        *("request_id", "name", "description", "gold", "silver", "attack", "hit_points", "luck"),
        request_id=" ",
        name="",
        description="x" * 1001,
        gold=-1,
        silver=-1,
        attack=-1,
        hit_points=-1,
        luck=-1,
    ),
    *(("GetPlayer", player_pb2.GetPlayerRequest(player_id=wrong), {"player_id"}) for wrong in BAD_IDS),
    ("BatchGetPlayers", player_pb2.BatchGetPlayersRequest(), {"player_ids"}),
    ("BatchGetPlayers", player_pb2.BatchGetPlayersRequest(player_ids=[A] * 1001), {"player_ids"}),
    (
        "BatchGetPlayers",
        player_pb2.BatchGetPlayersRequest(player_ids=["x", A, ""], allow_missing=True),
        {"player_ids[0]", "player_ids[2]"},
    ),
    (
        "BatchGetPlayers",
        player_pb2.BatchGetPlayersRequest(player_ids=["x"] * 1000),
        {f"player_ids[{index}]" for index in range(50)},
    ),
    ("ListPlayers", player_pb2.ListPlayersRequest(page_size=-1), {"page_size"}),
    *(("ListPlayers", player_pb2.ListPlayersRequest(page_token=wrong), {"page_token"}) for wrong in GARBAGE),
    ("ListPlayers", player_pb2.ListPlayersRequest(name_prefix="x" * 21), {"name_prefix"}),
    ("ListPlayers", player_pb2.ListPlayersRequest(name_prefix="\u0301" * 1_000_000), {"name_prefix"}),
    (
        "ListPlayers",
        player_pb2.ListPlayersRequest(page_size=-1, page_token="x", name_prefix="\0"),
        {"page_size", "page_token", "name_prefix"},
    ),
    ("UpdatePlayer", player_pb2.UpdatePlayerRequest(), {"player.player_id"}),
    update("player.player_id", player_id="x", luck=1),
    *(
        update("update_mask", paths=["luck", path])
        for path in ["name", "gold", "player_id", "player.luck", "", "é" * 9999]
    ),
    *(update("player.attack", attack=wrong, paths=["attack"]) for wrong in (0, -1, 10_001)),
    update("player.hit_points", hit_points=10_001),
    update("player.luck", luck=91),
    update("player.luck", luck=-1),
    update("player.description", description="x" * 1001),
    update("player.description", description="\0"),
    update("player.attack", "player.hit_points", paths=["*"]),
    update("update_mask", "player.attack", "player.player_id", player_id="", paths=["attack", "create_time"]),
    *(("DeletePlayer", player_pb2.DeletePlayerRequest(player_id=wrong), {"player_id"}) for wrong in BAD_IDS),
    grant("gold", gold=0),
    grant("player_id", player_id=""),
    grant("reason", reason="x" * 201),
    grant("reason", reason="\0"),
    grant("request_id", request_id="a b"),
    grant("gold", "player_id", "reason", "request_id", gold=0, player_id="x", reason="\0", request_id="\n"),
    ("ListLedgerEntries", player_pb2.ListLedgerEntriesRequest(player_id="x"), {"player_id"}),
    (
        "ListLedgerEntries",
        player_pb2.ListLedgerEntriesRequest(page_size=-1, page_token="x"),
        {"player_id", "page_size", "page_token"},
    ),
    ("SettleBattles", settlement_pb2.SettleBattlesRequest(), {"battles"}),
    (
        "SettleBattles",
        settlement_pb2.SettleBattlesRequest(battles=[settlement_pb2.FoughtBattle()] * 1001),
        {"battles"},
    ),
    *(settle("battle_id", battle_id=wrong) for wrong in BAD_IDS),
    settle("challenger_id", challenger_id="x"),
    settle("opponent_id", opponent_id=""),
    settle("opponent_id", opponent_id=A),
    *(
        settle(name, **{name: wrong})
        for name in ("sequence", "challenger_number", "opponent_number")
        for wrong in (0, -1)
    ),
    *(settle("effect", effect=wrong) for wrong in (0, Effect.PLAYER_DELETED, 6, -1)),
    *(settle("share_basis_points", share_basis_points=wrong) for wrong in (0, 999, 2001, -1)),
    settle("share_basis_points", effect=Effect.OPPONENT_WON, share_basis_points=0),
    settle("void_reason", effect=Effect.VOIDED, void_reason="\0"),
    settle(
        *("battle_id", "sequence", "challenger_id", "challenger_number", "opponent_id", "opponent_number", "effect"),
        battle_id="",
        sequence=0,
        challenger_id="x",
        challenger_number=0,
        opponent_id="x",
        opponent_number=0,
        effect=0,
    ),
    ("ListScoreChanges", settlement_pb2.ListScoreChangesRequest(after_sequence=-1), {"after_sequence"}),
    ("ListScoreChanges", settlement_pb2.ListScoreChangesRequest(page_size=-1), {"page_size"}),
]


@pytest.mark.parametrize(
    ("method", "request_message", "fields"),
    [pytest.param(*case, id=f"{case[0]}-{index}") for index, case in enumerate(WRONG)],
)
async def test_a_wrong_request_is_told_every_field_that_is_wrong(
    player_service: PlayerService, method: str, request_message: Message, fields: set[str]
) -> None:
    stub = player_service.players if hasattr(player_service.players, method) else player_service.settlement

    refused = await refusal(getattr(stub, method)(request_message))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refused.fields) == fields
    assert refused.reason == "INVALID_FIELDS"
    assert min(fields) in refused.message
