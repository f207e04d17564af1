"""`make demo`: named players, a few thousand battles and the leaderboard, through the public API of a running set."""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc
from rich import box
from rich.console import Console
from rich.table import Table

from local import FailedError, health, roster
from local.calls import PAUSE, TIMEOUT, call
from local.processes import all_processes
from local.settings import Settings, reachable
from local.tournament import Tournament
from services.common import channels
from skirmish.battle.v1 import battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc

BOARD = "all"
TOP = 10

console = Console(highlight=False)


async def demo(settings: Settings, battles: int, players: int) -> None:
    """Runs the demo.

    Args:
        battles: How many to submit.
        players: How many fight them: 2 to 500.

    Raises:
        FailedError: Nothing is running, or it does not do what it should.
    """
    await require_running(settings)
    async with AsyncExitStack() as stack:
        addresses = (settings.player_address, settings.battle_address, settings.leaderboard_address)
        channel = [await stack.enter_async_context(channels.open_channel(reachable(address))) for address in addresses]
        player_service = player_pb2_grpc.PlayerServiceStub(channel[0])
        try:
            fighters = await muster(player_service, players)
            tournament = Tournament(battle_pb2_grpc.BattleServiceStub(channel[1]), fighters, battles)
            await tournament.run(console)
            await show_board(leaderboard_pb2_grpc.LeaderboardServiceStub(channel[2]), player_service, fighters)
            console.print(tournament.summary(), soft_wrap=True)
        except grpc.aio.AioRpcError as error:
            raise FailedError(f"The demo has stopped: {error.code().name}: {error.details()}") from None


async def require_running(settings: Settings) -> None:
    """Makes sure that everything runs.

    Raises:
        FailedError: Something does not.
    """
    for process in all_processes(settings):
        if process.protocol != "redis" and (answer := await health.ask(process)) != health.SERVING:
            where = f"{process.name} at {process.client_address} ({process.setting})"
            raise FailedError(f"{where}: {answer}. Start it with: make run")


async def muster(players: player_pb2_grpc.PlayerServiceStub, count: int) -> list[str]:
    """Returns the ids of players to fight: those of the last demo, and new ones up to the count."""
    found: list[player_pb2.Player] = []
    for request in roster.combatants():
        try:
            player = await call(players.CreatePlayer, request)
            found.append(await call(players.GetPlayer, player_pb2.GetPlayerRequest(player_id=player.player_id)))
        except grpc.aio.AioRpcError as error:
            # Somebody else has the name, or the player was deleted since: the next one will do.
            if error.code() not in (grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND):
                raise
        if len(found) == count:
            break
    console.print(f"{len(found)} players, from {found[0].name} to {found[-1].name}")
    return [player.player_id for player in found]


async def show_board(
    boards: leaderboard_pb2_grpc.LeaderboardServiceStub,
    players: player_pb2_grpc.PlayerServiceStub,
    player_ids: list[str],
) -> None:
    """Waits until the board shows all that the players took, then prints its top.

    Raises:
        FailedError: The board does not get there.
    """
    deadline = time.monotonic() + TIMEOUT
    while True:
        found = await call(players.BatchGetPlayers, player_pb2.BatchGetPlayersRequest(player_ids=player_ids))
        taken = {player.player_id: player.resources_stolen for player in found.players if player.resources_stolen}
        request = leaderboard_pb2.BatchGetEntriesRequest(board=BOARD, player_ids=player_ids)
        shown = await call(boards.BatchGetEntries, request)
        if {entry.player_id: entry.score for entry in shown.entries} == taken:
            break
        if time.monotonic() > deadline:
            raise FailedError(f"For {TIMEOUT:.0f} seconds the board has not shown the final scores.")
        await asyncio.sleep(PAUSE)
    top = await call(boards.ListEntries, leaderboard_pb2.ListEntriesRequest(board=BOARD, page_size=TOP))
    ids = [entry.player_id for entry in top.entries]
    named = await call(players.BatchGetPlayers, player_pb2.BatchGetPlayersRequest(player_ids=ids))
    title = f"Leaderboard “{BOARD}”, {len(ids)} of {top.total_size:,}"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("rank", "name", "score", "gold", "silver", "attack", "HP", "luck"):
        table.add_column(column, justify="left" if column == "name" else "right", no_wrap=True)
    for entry, player in zip(top.entries, named.players, strict=True):
        numbers = (entry.score, player.gold, player.silver, player.attack, player.hit_points, player.luck)
        table.add_row(str(entry.rank), player.name, *(f"{number:,}" for number in numbers))
    console.print(table)
