"""Where everything on this machine listens and keeps its data.

The settings are those of the services themselves, under their own names, so that what holds for a service in production
holds here. What is left out gets a default that fits the rest: a service that listens elsewhere is looked for there.
"""

import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.settings import Address

ROOT = Path(__file__).resolve().parent.parent
"""The checkout. Every process runs here, so that all read the same ``.env``."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
REDIS_PORT = 6379


class Settings(BaseSettings):
    """The settings of the processes that look for each other, resolved."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", validate_default=False
    )

    local_data: Path = Field(ROOT / ".data", description="The folder of all data and logs.")
    local_workers: int = Field(1, ge=1, le=64, description="How many battle workers run.")
    local_redis_port: int | None = Field(
        None, ge=0, le=65535, description="Where the Redis-compatible server listens; 0 for a Redis of your own."
    )

    player_address: Address = "127.0.0.1:50051"
    player_database_url: str = ""
    battle_address: Address = "127.0.0.1:50052"
    battle_worker_address: Address = "127.0.0.1:50054"
    battle_database_url: str = ""
    battle_redis_url: str = ""
    battle_player_address: str = ""
    battle_leaderboard_address: str = ""
    leaderboard_address: Address = "127.0.0.1:50053"
    leaderboard_redis_url: str = ""
    leaderboard_player_address: str = ""
    gateway_address: Address = "127.0.0.1:8080"
    gateway_player_address: str = ""
    gateway_battle_address: str = ""
    gateway_leaderboard_address: str = ""

    @model_validator(mode="after")
    def resolve(self) -> Self:
        """Fills in what follows from the rest."""
        self.local_data = self.local_data.resolve()
        for service in ("player", "battle"):
            name = f"{service}_database_url"
            setattr(self, name, getattr(self, name) or f"sqlite:///{self.local_data}/{service}.db")
        for service, others in {
            "battle": ("player", "leaderboard"),
            "leaderboard": ("player",),
            "gateway": ("player", "battle", "leaderboard"),
        }.items():
            for other in others:
                name = f"{service}_{other}_address"
                setattr(self, name, getattr(self, name) or reachable(getattr(self, f"{other}_address")))
        if self.local_redis_port is None:
            set_ports = (local_port(url) for url in (self.battle_redis_url, self.leaderboard_redis_url))
            self.local_redis_port = next((port for port in set_ports if port), REDIS_PORT)
        url = f"redis://127.0.0.1:{self.local_redis_port or REDIS_PORT}/0"
        self.battle_redis_url = self.battle_redis_url or url
        self.leaderboard_redis_url = self.leaderboard_redis_url or url
        return self

    @property
    def own_redis_port(self) -> int:
        """The port of the Redis-compatible server to start; 0 when every URL points to another."""
        ports = (local_port(url) for url in (self.battle_redis_url, self.leaderboard_redis_url))
        return self.local_redis_port if self.local_redis_port and self.local_redis_port in ports else 0

    def worker_address(self, number: int) -> str:
        """Returns where a worker listens: the first at its setting, the others on the ports after it."""
        host, _, port = self.battle_worker_address.rpartition(":")
        return f"{host}:{int(port) + number - 1}"

    def environment(self) -> dict[str, str]:
        """Returns the environment of every process: this one's, and these settings as they are resolved."""
        own = {name.upper(): str(value) for name, value in self if not name.startswith("local_")}
        return {**os.environ, **own, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def reachable(address: str) -> str:
    """Returns the address to call for one to listen on: every interface is reached by this machine's own."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "[::]", "*") else address  # noqa: S104


def local_port(url: str) -> int:
    """Returns the port of a URL on this machine, 0 for one elsewhere and for no URL."""
    parts = urlsplit(url)
    return (parts.port or REDIS_PORT) if parts.hostname in LOOPBACK else 0
