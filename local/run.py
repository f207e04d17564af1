"""`make run`: sets everything up under one folder, keeps every process running, and stops all of it cleanly."""

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from asyncio.subprocess import Process as Child
from collections.abc import AsyncIterator, Iterator
from typing import IO

from rich.console import Console

from local import FailedError, health, processes
from local.processes import Process
from local.settings import ROOT, Settings, reachable
from services.common.server import stop_signals

START_TIMEOUT = 90.0
"""Seconds within which everything must say SERVING."""
TRIES = 3
"""How often a process may end while it starts before the start is given up."""
CHECK_INTERVAL = 0.2
REPORT_INTERVAL = 1.0
REMIND_AFTER = 10.0
"""Seconds after which it is said again what is waited for, where no terminal shows it all the time."""
LOG_LINES = 20

console = Console(highlight=False, soft_wrap=True, markup=False)


async def run(settings: Settings) -> None:
    """Runs everything until SIGINT or SIGTERM.

    Raises:
        FailedError: Something does not come up, or can't be kept up.
    """
    with stop_signals() as told_to_stop:
        working = asyncio.create_task(set_up_and_watch(settings))
        ending = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        working.cancel()  # stops all that it has started
        try:
            await working
        except asyncio.CancelledError:
            console.print("stopped; the next run goes on with the same data")


async def set_up_and_watch(settings: Settings) -> None:
    """Sets up, starts everything, says when it is ready, and then passes on what happens to it."""
    for folder in ("logs", "redis"):
        (settings.local_data / folder).mkdir(parents=True, exist_ok=True)
    every = processes.all_processes(settings)
    with only_one(settings) as lock:
        require_free_ports(every)
        with console.status("bringing the databases up to date"):
            await asyncio.gather(*(migrate(settings, f"services.{service}") for service in ("player", "battle")))
        async with supervised(settings, every, lock) as supervisord:
            await wait_until_ready(settings, every, supervisord)
            announce(settings)
            await report_restarts(settings, supervisord)


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[IO[str]]:
    """Holds the lock of the data folder.

    Raises:
        FailedError: Another run holds it.
    """
    with (settings.local_data / "lock").open("a+") as lock:
        lock.seek(0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedError(
                f"Skirmish already runs with the data in {settings.local_data}, as process {lock.read()}.\n"
                "Stop that one first; or run another beside it, with a folder (LOCAL_DATA) and ports of its own."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def require_free_ports(every: list[Process]) -> None:
    """Makes sure that every address can be listened on.

    Raises:
        FailedError: One can't; the message names the setting to change.
    """
    with contextlib.ExitStack() as taken:
        for process in every:
            family = socket.AF_INET6 if ":" in process.host else socket.AF_INET
            try:
                taken.enter_context(socket.create_server((process.host, process.port), family=family))
            except OSError as error:
                raise FailedError(
                    f"Can't listen on {process.address} for {process.name}: {os.strerror(error.errno or 0)}.\n"
                    f"Stop what listens there, or choose another port: make run {process.another_port()}"
                ) from None


async def migrate(settings: Settings, package: str) -> None:
    """Brings a service's database to the schema of this code.

    Raises:
        FailedError: It does not work; the message is the service's.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", package, "migrate"),
        cwd=ROOT,
        env=settings.environment(),
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,  # Ctrl-C reaches it through us alone
    )
    try:
        output, _ = await child.communicate()
    finally:
        await end(child)
    if child.returncode:
        raise FailedError(f"python -m {package} migrate has failed:\n{output.decode(errors='replace').strip()}")


@contextlib.asynccontextmanager
async def supervised(settings: Settings, every: list[Process], lock: IO[str]) -> AsyncIterator[Child]:
    """Runs supervisord with every process, and ends all of them with the context."""
    configuration = settings.local_data / "supervisord.conf"
    configuration.write_text(processes.configuration(settings, every))
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.supervise", str(configuration), str(os.getpid())),
        cwd=ROOT,
        env=settings.environment(),
        start_new_session=True,  # Ctrl-C reaches it through us alone
        pass_fds=[lock.fileno()],  # held until everything has ended, whatever becomes of us
    )
    try:
        yield child
    finally:
        with console.status("stopping"):
            await end(child)


async def end(child: Child) -> None:
    """Ends a process with SIGTERM, and waits until it has."""
    if child.returncode is None:
        child.terminate()
    await child.wait()


async def wait_until_ready(settings: Settings, every: list[Process], supervisord: Child) -> None:
    """Waits until every health check says SERVING, and shows how far it is.

    Raises:
        FailedError: One does not in time, or its process ends again and again; the message has the end of its log.
    """
    waiting = {process.name: process for process in every}
    width = max(map(len, waiting))
    ends: set[tuple[str, int]] = set()
    began = reminded = time.monotonic()
    with console.status("") as status:
        while True:
            answers = dict(zip(waiting, await asyncio.gather(*map(health.ask, waiting.values())), strict=True))
            for name in [name for name, answer in answers.items() if answer == health.SERVING]:
                console.print(f"  {name:<{width}}  {waiting.pop(name).client_address:<21}  {health.SERVING}")
            if not waiting:
                return
            if supervisord.returncode is not None:
                raise FailedError(explain(settings, "supervisord", "it ended by itself"))
            states = await asyncio.to_thread(processes.states, settings.local_data)
            ends |= {(name, state["stop"]) for name, state in states.items() if state["stop"]}
            now = time.monotonic()
            # Those that start first come first: the others may only wait for them.
            for name in waiting:
                if sum(name == ended for ended, _ in ends) >= TRIES:
                    raise FailedError(explain(settings, name, "it ends again and again"))
                if now - began > START_TIMEOUT:
                    raise FailedError(explain(settings, name, f"{answers[name]} after {START_TIMEOUT:.0f} seconds"))
            status.update(f"waiting for {', '.join(waiting)}")
            if now - reminded > REMIND_AFTER and not console.is_terminal:
                reminded = now
                console.print(f"  waiting for {', '.join(f'{name} ({answers[name]})' for name in waiting)}")
            await asyncio.sleep(CHECK_INTERVAL)


async def report_restarts(settings: Settings, supervisord: Child) -> None:
    """Says, as long as supervisord runs, which process has ended and was started again.

    Raises:
        FailedError: supervisord has ended.
    """
    pids: dict[str, int] = {}
    while supervisord.returncode is None:
        for name, state in (await asyncio.to_thread(processes.states, settings.local_data)).items():
            if state["pid"] and state["pid"] != pids.setdefault(name, state["pid"]):
                pids[name] = state["pid"]
                log = processes.log_path(settings, name)
                console.print(f"  {name} has ended and was started again, as process {state['pid']}; its log is {log}")
        await asyncio.sleep(REPORT_INTERVAL)
    raise FailedError(explain(settings, "supervisord", "it ended by itself"))


def explain(settings: Settings, name: str, problem: str) -> str:
    """Returns what is wrong with a process, with the end of its log."""
    path = processes.log_path(settings, name)
    lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.exists() else []
    return "\n".join([f"{name} does not run: {problem}. The end of {path}:", *(f"  {line}" for line in lines)])


def announce(settings: Settings) -> None:
    """Prints where everything is, and the line that says it is ready."""
    console.print(
        f"  data and logs in {settings.local_data}; Ctrl-C stops everything; `make demo` fills it with battles"
    )
    console.print(f"ready: http://{reachable(settings.gateway_address)}")
