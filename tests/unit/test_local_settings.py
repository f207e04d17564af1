"""Where everything on one machine listens, and who looks for whom there."""

from pathlib import Path
from typing import Any

import pytest

from local import processes
from local.settings import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting from outside."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def settings(**given: Any) -> Settings:
    return Settings(**given)


def test_a_service_that_listens_elsewhere_is_looked_for_there() -> None:
    environment = settings(player_address="127.0.0.1:1111", battle_address="10.0.0.1:2222").environment()
    assert environment["BATTLE_PLAYER_ADDRESS"] == "127.0.0.1:1111"
    assert environment["LEADERBOARD_PLAYER_ADDRESS"] == "127.0.0.1:1111"
    assert environment["GATEWAY_PLAYER_ADDRESS"] == "127.0.0.1:1111"
    assert environment["GATEWAY_BATTLE_ADDRESS"] == "10.0.0.1:2222"


def test_a_service_that_listens_everywhere_is_called_on_this_machine() -> None:
    environment = settings(player_address="0.0.0.0:1111").environment()
    assert (environment["PLAYER_ADDRESS"], environment["BATTLE_PLAYER_ADDRESS"]) == ("0.0.0.0:1111", "127.0.0.1:1111")


def test_what_is_set_stays_as_it_is() -> None:
    environment = settings(player_address="127.0.0.1:1111", battle_player_address="proxy:99").environment()
    assert environment["BATTLE_PLAYER_ADDRESS"] == "proxy:99"


def test_databases_lie_in_the_data_folder_unless_they_are_elsewhere(tmp_path: Path) -> None:
    environment = settings(local_data=tmp_path, battle_database_url="postgresql://host/battle").environment()
    assert environment["PLAYER_DATABASE_URL"] == f"sqlite:///{tmp_path}/player.db"
    assert environment["BATTLE_DATABASE_URL"] == "postgresql://host/battle"


@pytest.mark.parametrize(
    ("given", "port", "battle_url"),
    [
        ({}, 6379, "redis://127.0.0.1:6379/0"),
        ({"local_redis_port": 7000}, 7000, "redis://127.0.0.1:7000/0"),
        ({"battle_redis_url": "redis://localhost:7000/1"}, 7000, "redis://localhost:7000/1"),
        ({"local_redis_port": 7000, "battle_redis_url": "redis://far:1/0"}, 7000, "redis://far:1/0"),
        ({"battle_redis_url": "redis://far:1/0", "leaderboard_redis_url": "redis://far:1/0"}, 0, "redis://far:1/0"),
        ({"local_redis_port": 0}, 0, "redis://127.0.0.1:6379/0"),
    ],
)
def test_a_redis_is_started_where_the_urls_point_to_this_machine(
    given: dict[str, Any], port: int, battle_url: str
) -> None:
    resolved = settings(**given)
    names = [process.name for process in processes.all_processes(resolved)]
    assert (resolved.own_redis_port, resolved.battle_redis_url) == (port, battle_url)
    assert ("redis" in names) == (port != 0)


def test_workers_listen_side_by_side() -> None:
    every = processes.all_processes(settings(local_workers=3, battle_worker_address="127.0.0.1:7000"))
    workers = {process.name: process for process in every if process.name.startswith("worker")}
    assert {name: worker.port for name, worker in workers.items()} == {
        "worker-1": 7000,
        "worker-2": 7001,
        "worker-3": 7002,
    }
    assert workers["worker-2"].environment == {"BATTLE_WORKER_ADDRESS": "127.0.0.1:7001"}


def test_redis_starts_first_and_so_stops_last() -> None:
    names = [process.name for process in processes.all_processes(settings())]
    assert names == ["redis", "player", "battle", "leaderboard", "worker-1", "gateway"]


def test_the_socket_of_a_deep_folder_lies_where_its_path_is_short_enough(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    assert processes.socket_path(tmp_path) == tmp_path / "supervisor.sock"
    assert len(str(processes.socket_path(deep))) <= processes.SOCKET_PATH_LIMIT
    assert processes.socket_path(deep) != processes.socket_path(tmp_path / ("e" * 100))
