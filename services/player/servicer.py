"""PlayerService: protobuf in, players out of the database, protobuf out."""

import hashlib
from collections.abc import Callable
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2

from services.common import clock, pages
from services.common.database import Database
from services.common.errors import NotFound
from services.common.lookup import Lookup
from services.common.validation import Violations
from services.player import store
from services.player.players import (
    DESCRIPTION_LENGTH,
    MUTABLE,
    RANGES,
    REASON_LENGTH,
    LedgerEntry,
    NewPlayer,
    Player,
    check_name,
    check_name_prefix,
    check_text,
    check_values,
)
from services.player.settings import PlayerSettings
from skirmish.player.v1 import player_pb2, player_pb2_grpc

MOST_IDS = 1000
"""How many players one BatchGetPlayers takes."""

Context = grpc.aio.ServicerContext[Any, Any]


class PlayerServicer(player_pb2_grpc.PlayerServiceServicer):
    """Answers PlayerService; the contract says what each method does.

    Args:
        database: The players.
        settings: What a new player starts with.
        new_id: Makes the ids of new players.
    """

    def __init__(self, database: Database, settings: PlayerSettings, new_id: Callable[[], str]) -> None:
        self._database = database
        self._defaults = {name: getattr(settings, f"default_{name}") for name in RANGES}
        self._new_id = new_id
        self._lookup = Lookup(lambda player_ids: database.read(store.find, player_ids))

    async def CreatePlayer(self, request: player_pb2.CreatePlayerRequest, context: Context) -> player_pb2.Player:
        numbers = {name: getattr(request, name) for name in RANGES if request.HasField(name)}
        with Violations() as wrong:
            wrong.request_id("request_id", request.request_id)
            name = check_name(wrong, "name", request.name)
            check_text(wrong, "description", request.description, DESCRIPTION_LENGTH)
            check_values(wrong, numbers)
        new = NewPlayer(name, request.description, **self._defaults | numbers)
        claim = _to_request("CreatePlayer", request)
        return _to_player(await self._database.write(store.create, self._new_id(), new, claim))

    async def GetPlayer(self, request: player_pb2.GetPlayerRequest, context: Context) -> player_pb2.Player:
        with Violations() as wrong:
            wrong.uuid("player_id", request.player_id)
        player = await self._lookup.get(request.player_id)
        if player is None:
            raise NotFound("player", request.player_id)
        return _to_player(player)

    async def BatchGetPlayers(
        self, request: player_pb2.BatchGetPlayersRequest, context: Context
    ) -> player_pb2.BatchGetPlayersResponse:
        ids = list(request.player_ids)
        with Violations() as wrong:
            wrong.uuids("player_ids", ids, MOST_IDS)
        found = await self._database.read(store.find, ids)
        unknown = [] if request.allow_missing else [player_id for player_id in ids if player_id not in found]
        if unknown:
            raise NotFound("player", *dict.fromkeys(unknown))
        answer = player_pb2.BatchGetPlayersResponse()
        for player_id in ids:
            if player := found.get(player_id):
                _fill(answer.players.add(), player)
        return answer

    async def ListPlayers(
        self, request: player_pb2.ListPlayersRequest, context: Context
    ) -> player_pb2.ListPlayersResponse:
        with Violations() as wrong:
            size = wrong.page_size(request.page_size)
            prefix = check_name_prefix(wrong, "name_prefix", request.name_prefix)
            scope = ("ListPlayers", prefix)
            cursor = wrong.page_token(scope, request.page_token)
        after = str(cursor[0]) if cursor else ""
        players = await self._database.read(store.list_by_name, prefix, after, size + 1)
        page = players[:size]
        return player_pb2.ListPlayersResponse(
            players=map(_to_player, page),
            next_page_token=pages.encode_token(scope, [page[-1].name]) if len(players) > size else "",
        )

    async def UpdatePlayer(self, request: player_pb2.UpdatePlayerRequest, context: Context) -> player_pb2.Player:
        player, paths = request.player, list(request.update_mask.paths)
        allowed = f"{', '.join(MUTABLE)} and *"
        fields = [name for name in MUTABLE if name in paths or "*" in paths or (not paths and getattr(player, name))]
        with Violations() as wrong:
            wrong.uuid("player.player_id", player.player_id)
            for path in paths:
                known = path in MUTABLE or path == "*"
                wrong.check(known, "update_mask", f"may name {allowed}, not {path[:40]!a}")
            values = {name: getattr(player, name) for name in fields}
            check_values(wrong, values, "player.")
        return _to_player(await self._database.write(store.update, player.player_id, values))

    async def DeletePlayer(self, request: player_pb2.DeletePlayerRequest, context: Context) -> empty_pb2.Empty:
        with Violations() as wrong:
            wrong.uuid("player_id", request.player_id)
        await self._database.write(store.delete, request.player_id)
        return empty_pb2.Empty()

    async def GrantResources(self, request: player_pb2.GrantResourcesRequest, context: Context) -> player_pb2.Player:
        with Violations() as wrong:
            wrong.request_id("request_id", request.request_id)
            wrong.uuid("player_id", request.player_id)
            if not request.gold and not request.silver:
                wrong.add("gold", "must not be 0 when silver is 0, too")
            check_text(wrong, "reason", request.reason, REASON_LENGTH)
        granted = await self._database.write(
            store.grant,
            request.player_id,
            request.gold,
            request.silver,
            request.reason,
            _to_request("GrantResources", request),
        )
        return _to_player(granted)

    async def ListLedgerEntries(
        self, request: player_pb2.ListLedgerEntriesRequest, context: Context
    ) -> player_pb2.ListLedgerEntriesResponse:
        scope = ("ListLedgerEntries", "chain", request.player_id)
        with Violations() as wrong:
            wrong.uuid("player_id", request.player_id)
            size = wrong.page_size(request.page_size)
            cursor = wrong.page_token(scope, request.page_token)
        before = store.LedgerCursor(int(cursor[0]), int(cursor[1]), str(cursor[2])) if cursor else None
        entries, rest = await self._database.read(store.list_entries, request.player_id, before, size)
        return player_pb2.ListLedgerEntriesResponse(
            ledger_entries=map(_to_entry, entries),
            next_page_token=pages.encode_token(scope, list(rest)) if rest else "",
        )


def _to_request(
    method: str, request: player_pb2.CreatePlayerRequest | player_pb2.GrantResourcesRequest
) -> store.Request:
    # The bytes on the wire tell a value that was given from one that was left out, as comparing values could not.
    fingerprint = hashlib.blake2b(request.SerializeToString(deterministic=True), digest_size=16).digest()
    return store.Request(method, request.request_id, fingerprint)


def _to_player(player: Player) -> player_pb2.Player:
    message = player_pb2.Player()
    _fill(message, player)
    return message


def _fill(message: player_pb2.Player, player: Player) -> None:
    message.player_id = player.player_id
    message.name = player.name
    message.description = player.description
    message.gold = player.gold
    message.silver = player.silver
    message.attack = player.attack
    message.hit_points = player.hit_points
    message.luck = player.luck
    message.resources_stolen = player.resources_stolen
    clock.fill(message.create_time, player.create_time)
    clock.fill(message.update_time, player.update_time)


def _to_entry(entry: LedgerEntry) -> player_pb2.LedgerEntry:
    message = player_pb2.LedgerEntry(
        kind=cast("player_pb2.LedgerEntry.Kind", entry.kind),
        battle_id=entry.battle_id or "",
        battle_number=entry.battle_number,
        reason=entry.reason or "",
        gold_change=entry.gold_change,
        silver_change=entry.silver_change,
        gold_balance=entry.gold_balance,
        silver_balance=entry.silver_balance,
    )
    clock.fill(message.create_time, entry.create_time)
    return message
