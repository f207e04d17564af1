"""`make demo`: players, battles and the leaderboard against a running set."""

import re
from pathlib import Path

from services.common import channels
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc
from tests.e2e.stack import Stack


async def test_every_battle_ends_and_the_board_shows_the_sums(stack: Stack) -> None:
    demo = stack.command("local", "demo", "--battles", "300")
    assert demo.returncode == 0, demo.stderr
    assert re.search(r"^settled .* 300/300", demo.stdout, re.MULTILINE)
    assert re.search(r"^300 battles in ", demo.stdout, re.MULTILINE)
    async with channels.open_channel(stack.battle) as channel:
        battles = battle_pb2_grpc.BattleServiceStub(channel)
        queued = battle_pb2.ListBattlesRequest(state=battle_pb2.Battle.QUEUED)
        assert not (await battles.ListBattles(queued, timeout=10)).battles

    rows = re.findall(r"^ *(\d+) +(\w+ \w+) +([\d,]+)(?: +[\d,]+){5} *$", demo.stdout, re.MULTILINE)
    assert [rank for rank, _, _ in rows] == [str(rank) for rank in range(1, 11)]
    async with channels.open_channel(stack.player) as channel:
        players = player_pb2_grpc.PlayerServiceStub(channel)
        for _, name, score in rows:
            found = await players.ListPlayers(player_pb2.ListPlayersRequest(name_prefix=name), timeout=10)
            assert f"{found.players[0].resources_stolen:,}" == score


async def test_the_next_demo_goes_on_with_the_same_players(stack: Stack) -> None:
    first, second = (stack.command("local", "demo", "--battles", "10", "--players", "45") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert first.stdout.startswith("45 players, from ")
    assert second.stdout.splitlines()[0] == first.stdout.splitlines()[0]


async def test_a_deleted_player_is_replaced(stack: Stack) -> None:
    async with channels.open_channel(stack.player) as channel:
        players = player_pb2_grpc.PlayerServiceStub(channel)
        first = stack.command("local", "demo", "--battles", "10")
        found = await players.ListPlayers(player_pb2.ListPlayersRequest(), timeout=10)
        await players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=found.players[0].player_id), timeout=10)
    second = stack.command("local", "demo", "--battles", "10")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert second.stdout.startswith("40 players, ")
    assert second.stdout.splitlines()[0] != first.stdout.splitlines()[0]


async def test_a_demo_without_anything_running_says_how_to_start_it(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    demo = stack.command("local", "demo")
    assert demo.returncode == 1
    assert demo.stderr == f"player at {stack.player} (PLAYER_ADDRESS): no answer. Start it with: make run\n"
    assert not stack.data.exists()
