"""What every service can be told from outside, and how a wrong setting is explained."""

import sys
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Address = Annotated[str, Field(pattern=r"^.+:\d{1,5}$", description="host:port")]
"""An address to listen on or to call. Port 0 lets the system choose one."""


class ServiceSettings(BaseSettings):
    """Settings that every process has. A service adds its own, and its prefix."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    log_format: Literal["text", "json"] = Field("text", description="How log lines look: for people, or for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    shutdown_grace: float = Field(
        10.0, ge=0, description="Seconds that running calls get to end when the process is told to."
    )


class ServerSettings(ServiceSettings):
    """Settings of a gRPC server."""

    max_concurrent_rpcs: int = Field(
        1000, ge=1, description="Calls at once, streams aside; more are answered RESOURCE_EXHAUSTED."
    )
    max_message_bytes: int = Field(4 << 20, ge=1024, description="The largest message taken or sent.")
    max_connection_age: float = Field(
        300.0, gt=0, description="Seconds after which clients connect anew and so find new replicas."
    )


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Reads settings from the environment and from ``.env``.

    Raises:
        SystemExit: A setting is missing or wrong; the message names each and says what is wrong with it.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        lines = []
        for problem in error.errors():
            name = prefix.upper() + "_".join(str(part) for part in problem["loc"]).upper()
            got = "it is not set" if problem["type"] == "missing" else f"it is {problem['input']!r}"
            lines.append(f"{name}: {problem['msg']}; {got}")
        sys.exit("Wrong settings (see .env.sample for all of them):\n  " + "\n  ".join(lines))
