"""docker-compose.yml, the Dockerfile and .env.sample against the code that they start and set up."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Settings as GatewaySettings
from local.settings import Settings as LocalSettings
from services.battle.settings import BattleSettings
from services.common.settings import ServiceSettings
from services.leaderboard.settings import LeaderboardSettings
from services.player.settings import PlayerSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "skirmish"}
JOBS = {name for name, service in OURS.items() if service["command"][1] == "migrate"}
SETTINGS: dict[str, type[ServiceSettings]] = {
    "services.player": PlayerSettings,
    "services.battle": BattleSettings,
    "services.leaderboard": LeaderboardSettings,
    "gateway": GatewaySettings,
}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(text: str) -> str:
    """Puts values in for ``${NAME:?message}`` and ``${NAME:-default}``."""
    return VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "given", text)


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """Reads the settings of a service as its container does."""
    settings = SETTINGS[OURS[name]["command"][0]]
    for variable in list(os.environ):
        if variable.startswith(settings.model_config["env_prefix"]):
            monkeypatch.delenv(variable)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, interpolated(value))
    return settings(_env_file=None)


@pytest.mark.parametrize(
    ("module", "command"),
    sorted({tuple(service["command"]) for service in OURS.values()} | {(module, "health") for module in SETTINGS}),
)
def test_every_command_is_one_that_the_package_knows(module: str, command: str) -> None:
    answer = subprocess.run([sys.executable, "-m", module, command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_every_value_a_right_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(name, monkeypatch)
    prefix = settings.model_config["env_prefix"]
    known = {prefix + field.upper() for field in type(settings).model_fields}
    assert set(OURS[name]["environment"]) <= known


@pytest.mark.parametrize("name", OURS)
def test_every_address_of_another_service_is_where_that_one_listens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(name, monkeypatch).model_dump()
    for other in {"player", "battle", "leaderboard"}:
        if address := settings.get(f"{other}_address"):
            assert address == f"{other}:{settings_of(other, monkeypatch).model_dump()['address'].split(':')[1]}"


@pytest.mark.parametrize("name", sorted(OURS.keys() - JOBS))
def test_every_process_listens_where_other_containers_reach_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(name, monkeypatch).model_dump()
    assert settings["address"].startswith("0.0.0.0:")
    if name == "worker":
        assert settings["worker_address"] == settings["address"]


def test_everything_that_stays_up_has_a_health_check_and_starts_again() -> None:
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name not in JOBS)
        assert service["restart"] == ("no" if name in JOBS else "unless-stopped")
    for name in OURS.keys() - JOBS:
        assert OURS[name]["healthcheck"]["test"] == ["CMD", "python", "-m", OURS[name]["command"][0], "health"]


def test_everything_waits_for_what_exists_and_in_the_way_that_fits() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] == ("service_completed_successfully" if other in JOBS else "service_healthy"), name


def test_only_the_gateway_is_open_to_other_machines() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or (name, port) == ("gateway", "${GATEWAY_PORT:-8080}:8080")


def test_there_are_two_workers() -> None:
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


def test_redis_keeps_a_log_of_every_write() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_no_secret_is_in_the_file() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert VARIABLE.fullmatch(value)
    for password in re.findall(r"//[^/@\s]*:([^@\s]+)@", TEXT):
        assert VARIABLE.fullmatch(password)
    for name, operator, _ in VARIABLE.findall(TEXT):
        assert operator == "?" if "PASSWORD" in name else operator == "-"


def test_one_service_builds_the_image_and_the_others_take_it() -> None:
    assert sum("build" in service for service in SERVICES.values()) == 1
    for service in OURS.values():
        assert service["pull_policy"] == ("build" if "build" in service else "never")


def test_compose_itself_takes_the_file() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not on this machine")
    command = [docker, "compose", "--file", "docker-compose.yml", "--env-file", "/dev/null", "config", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert refused.returncode
    assert "set it in .env" in refused.stderr
    taken = subprocess.run(
        command, cwd=ROOT, env=environment | {"POSTGRES_PASSWORD": "given"}, capture_output=True, text=True
    )
    assert (taken.returncode, taken.stderr) == (0, "")


def test_the_image_is_built_from_files_that_exist_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    included = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists()
        assert source.split("/")[0] in included
    assert {source.split("/")[0] for sources in copied for source in sources} == set(included)
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("0", "root")


def test_the_sample_of_settings_tells_all_of_them_with_their_defaults() -> None:
    told = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.sample").read_text(), re.MULTILINE))
    wanted = {"POSTGRES_PASSWORD": "", "GATEWAY_PORT": "8080"}
    for settings in SETTINGS.values():
        for name, field in settings.model_fields.items():
            wanted[f"{settings.model_config['env_prefix']}{name.upper()}"] = str(field.default)
    for name in LocalSettings.model_fields:
        if name.startswith("local_"):
            wanted[name.upper()] = told.get(name.upper(), "missing")  # some follow from where the checkout is
    assert told == wanted


def test_the_sample_of_settings_changes_nothing_as_it_is() -> None:
    lines = (ROOT / ".env.sample").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["POSTGRES_PASSWORD="]
