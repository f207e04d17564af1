"""`make run`: everything on one machine, started, kept running, stopped, and gone on with."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from local import health
from services.common import channels
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from tests import servers
from tests.e2e.stack import Stack, is_free

NAMES = ["redis", "player", "battle", "leaderboard", "worker-1", "gateway"]

NewStack = Callable[..., Stack]


def is_running(pid: int) -> bool:
    """Tells whether a process exists."""
    return Path(f"/proc/{pid}").exists()


async def read_board(stack: Stack) -> list[leaderboard_pb2.Entry]:
    """Returns the first entries of the board of all time."""
    async with channels.open_channel(stack.leaderboard) as channel:
        boards = leaderboard_pb2_grpc.LeaderboardServiceStub(channel)
        answer = await boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board="all"), timeout=10)
    return list(answer.entries)


async def test_everything_serves_once_it_says_that_it_is_ready(stack: Stack) -> None:
    assert await stack.health() == dict.fromkeys(NAMES, health.SERVING)
    lines = stack.output.splitlines()
    assert f"ready: {stack.url}" in lines
    for process in stack.processes:
        assert [process.name, process.address, health.SERVING] in map(str.split, lines)


async def test_whatever_is_killed_comes_back(stack: Stack) -> None:
    killed = {stack.kill(name) for name in NAMES}
    stack.wait_until(lambda: stack.pids().keys() == set(NAMES) and killed.isdisjoint(stack.pids().values()))
    await stack.until_serving()
    stack.wait_until(lambda: all(f"  {name} has ended and was started again" in stack.output for name in NAMES))
    demo = stack.command("local", "demo", "--battles", "50")
    assert demo.returncode == 0, demo.stderr


async def test_a_second_run_leaves_the_first_alone(stack: Stack) -> None:
    pids = stack.pids()
    second = stack.command("local", "run")
    assert second.returncode == 1
    assert second.stderr.startswith(f"Skirmish already runs with the data in {stack.data}, as process ")
    assert stack.pids() == pids


async def test_ctrl_c_leaves_nothing_running_and_the_next_run_goes_on_with_the_same_data(new_stack: NewStack) -> None:
    stack = new_stack(workers=2)
    assert stack.command("local", "demo", "--battles", "100").returncode == 0
    board, pids = await read_board(stack), stack.pids()
    assert len(pids) == len(NAMES) + 1

    assert stack.stop(signal.SIGINT) == 0
    assert stack.output.endswith("stopped; the next run goes on with the same data\n")
    assert "Traceback" not in stack.output
    assert not list(filter(is_running, pids.values()))
    assert all(map(is_free, stack.ports))
    assert "stopped: redis" in stack.log("supervisord").splitlines()[-1]

    stack.start()
    assert await read_board(stack) == board


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_outlives_it_whatever_ends_it(new_stack: NewStack, number: signal.Signals) -> None:
    stack = new_stack()
    pids = stack.pids()
    assert stack.stop(number) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    stack.wait_until(lambda: not list(filter(is_running, pids.values())))
    assert all(map(is_free, stack.ports))


async def test_nothing_outlives_supervisord_and_the_run_ends_with_it(new_stack: NewStack) -> None:
    stack = new_stack()
    pids = stack.pids()
    stack.kill_supervisord()
    stack.wait_until(lambda: stack.has_ended and not list(filter(is_running, pids.values())))
    assert stack.stop() == 1
    assert "supervisord does not run: it ended by itself" in stack.output


async def test_ctrl_c_ends_a_run_that_is_not_ready_yet(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.launch()
    stack.wait_until(lambda: stack.pids())
    pids = stack.pids()
    assert stack.stop(signal.SIGINT) == 0
    assert "ready" not in stack.output
    assert not list(filter(is_running, pids.values()))


async def test_a_port_that_is_taken_is_told_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    host, port = stack.battle.split(":")
    with socket.create_server((host, int(port))):
        run = stack.command("local", "run")
    assert run.returncode == 1
    assert run.stderr.startswith(f"Can't listen on {stack.battle} for battle: Address already in use.\n")
    assert f"make run BATTLE_ADDRESS={host}:" in run.stderr


async def test_a_process_that_does_not_come_up_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    stack = Stack(tmp_path, GATEWAY_TIMEOUT="-1")
    run = stack.command("local", "run")
    assert run.returncode == 1
    assert run.stderr.startswith(f"gateway does not run: it ends again and again. The end of {stack.data}/logs/")
    assert "GATEWAY_TIMEOUT: Input should be greater than 0" in run.stderr
    assert all(map(is_free, stack.ports))


async def test_a_setting_that_stops_a_migration_is_told_at_once(tmp_path: Path) -> None:
    run = Stack(tmp_path, PLAYER_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing").command("local", "run")
    assert run.returncode == 1
    assert run.stderr.startswith("python -m services.player migrate has failed:")


async def test_databases_may_be_postgresql(new_stack: NewStack, postgresql_url: str) -> None:
    urls = {f"{name}_DATABASE_URL": servers.new_postgresql_database(postgresql_url) for name in ("PLAYER", "BATTLE")}
    stack = new_stack(**urls)
    demo = stack.command("local", "demo", "--battles", "100")
    assert demo.returncode == 0, demo.stderr
    assert not list(stack.data.glob("*.db"))
