"""What is asked of gRPC through its environment is something that the installed gRPC knows."""

import os
import subprocess
import sys

import pytest

CHANNEL = """
import asyncio
from services.common.channels import open_channel

async def use() -> None:
    channel = open_channel("127.0.0.1:1")
    channel.get_state(try_to_connect=True)
    await channel.close()

asyncio.run(use())
"""


@pytest.mark.parametrize(("asked", "is_known"), [({}, True), ({"GRPC_EXPERIMENTS": "-no_such_thing"}, False)])
def test_the_experiments_that_are_switched_off_exist(asked: dict[str, str], is_known: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"} | asked
    ran = subprocess.run([sys.executable, "-c", CHANNEL], env=environment, capture_output=True, text=True, check=True)
    assert ("Unknown experiment" not in ran.stderr) is is_known, ran.stderr
