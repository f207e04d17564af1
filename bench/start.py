"""How long `make run` takes until everything is ready, from the second time on."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from bench.run import Run
from local.settings import ROOT
from tests.e2e.stack import READY_TIMEOUT, Stack

GROUP = "Start"
FROM_MAKE = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")


async def measure(run: Run) -> None:
    """Starts and stops everything by the command that people use."""
    run.begin(GROUP, run.rounds)
    stack = Stack(run.new_folder("start"))
    run.say("make run, for the first time")
    await _start(stack)
    taken = []
    for _ in range(run.rounds):
        with run.leg("make run"):
            taken.append(await _start(stack))
    run.add("make run until ready, not for the first time", "s", taken)


async def _start(stack: Stack) -> float:
    """Returns the seconds until it says that it is ready, then stops it."""
    # Without what a `make bench` around this hands down to every make below it.
    environment = {name: value for name, value in stack.environment.items() if name not in FROM_MAKE}
    began = asyncio.get_running_loop().time()
    child = await asyncio.create_subprocess_exec(
        *("make", "--silent", "run"),
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    try:
        assert child.stdout
        said = b""
        async with asyncio.timeout(READY_TIMEOUT):
            async for line in child.stdout:
                said += line
                if line.startswith(b"ready: "):
                    return asyncio.get_running_loop().time() - began
        raise AssertionError(said.decode())
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGINT)
        await child.communicate()
