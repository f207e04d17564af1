"""One process of a set: started again whenever it ends, and killed, paused and told where to crash meanwhile."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local import health
from local.processes import Process
from local.settings import ROOT

PAUSE = 0.1
"""Seconds from the end of a process to its next start."""
_LAUNCHER = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes a command that dies when its parent does. What could do this between fork and exec, gRPC makes crash: it has
handlers of forks, and threads that do not outlive them."""


class Program:
    """A process that is started again whenever it ends.

    Args:
        process: What to run, and how to ask for its health. What its environment says is above this process's own.
        logs: The folder of its log, to which every start of it appends.
    """

    def __init__(self, process: Process, logs: Path) -> None:
        self.process = process
        self.starts = 0
        self._log_path = logs / f"{process.name}.log"
        self._once: dict[str, str] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.process.name

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.process.address

    def start(self) -> None:
        """Starts it, and keeps it running until ``stop``."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ends it for good."""
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    def kill(self) -> None:
        """Ends it with SIGKILL; it is started again."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ends it with SIGTERM, gracefully; it is started again."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """Holds it with SIGSTOP: it keeps its connections, and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on after a pause."""
        self._signal(signal.SIGCONT)

    def crash_at(self, point: str, time: int = 1) -> None:
        """Starts it anew, to die by itself when it comes to a point for the given time."""
        self._once = {"SKIRMISH_CRASH": f"{point}:{time}"}
        self.kill()

    def crashes(self) -> int:
        """Returns how often it has died at a crash point."""
        return self.log().count("crash point ")

    def log(self) -> str:
        """Returns all that it has printed."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    async def until_serving(self) -> None:
        """Waits until it says SERVING, for as long as it takes."""
        while await health.ask(self.process) != health.SERVING:
            await asyncio.sleep(0.2)

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Kills it, and keeps it from starting again within the context."""
        self._may_run.clear()
        try:
            self.kill()
            if self._child:
                await self._child.wait()
            yield
        finally:
            self._may_run.set()

    def _signal(self, number: signal.Signals) -> None:
        if self._child and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)

    async def run(self) -> int:
        """Runs it once, to its end, and returns its exit code."""
        once, self._once = self._once, {}
        with self._log_path.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-ISc", _LAUNCHER, str(os.getpid()), *self.process.command),
                cwd=ROOT,
                env={**os.environ, **self.process.environment, **once},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches it through us alone
            )
        self.starts += 1
        try:
            return await self._child.wait()
        finally:
            self.kill()
            await self._child.wait()

    async def _keep(self) -> None:
        while True:
            await self._may_run.wait()
            await self.run()
            await asyncio.sleep(PAUSE)
