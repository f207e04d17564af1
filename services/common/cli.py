"""The command line that every process shares: subcommands, help, settings, logs and exit codes."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import logs, settings

S = TypeVar("S", bound=settings.ServiceSettings)
Command = Callable[[S], Coroutine[Any, Any, None] | None]
"""What a subcommand runs. Its docstring is its help. It ends the process with SystemExit to fail."""

HEALTH_TIMEOUT = 5.0


def main(package: str, description: str, settings_type: type[S], commands: dict[str, Command[S]]) -> None:
    """Runs the subcommand that the command line names.

    Args:
        package: What follows ``python -m``, as "services.player".
        description: A sentence for ``--help``.
        settings_type: The settings to read; every setting is explained by ``--help``.
        commands: The subcommands by name.
    """
    prefix = str(settings_type.model_config.get("env_prefix", "")).upper()
    known = "\n".join(
        f"  {prefix}{name.upper()}={field.get_default()}\n      {field.description or ''}"
        for name, field in settings_type.model_fields.items()
    )
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}",
        description=description,
        epilog=f"Settings, from the environment or .env, with their defaults:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subcommands = parser.add_subparsers(dest="command", required=True, metavar="|".join(commands))
    for name, command in commands.items():
        subcommands.add_parser(name, help=(command.__doc__ or "").split("\n")[0], description=command.__doc__)
    command = commands[parser.parse_args().command]
    loaded = settings.load(settings_type)
    logs.set_up(loaded, package.rpartition(".")[2])
    try:
        result = command(loaded)
        if result is not None:
            asyncio.run(result)
    except KeyboardInterrupt:
        sys.exit(130)


async def probe(address: str) -> None:
    """Asks a server for its health and prints the answer.

    Raises:
        SystemExit: It does not say SERVING.
    """
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            answer = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            sys.exit(f"{address}: {error.code().name}: {error.details()}")
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    print(f"{address}: {status}")  # noqa: T201
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.exit(1)
