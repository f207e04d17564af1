"""Runs a job queue for as long as it is measured."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench import peers
from local.settings import ROOT

BIN = Path(sys.executable).parent


class Peer(NamedTuple):
    """A job queue.

    Args:
        name: What the figures call it.
        worker: The command of its worker; URL is put in for {url}.
        module: The module of ``bench.peers`` that enqueues.
        jobs: How many jobs a leg has: for some seconds.
    """

    name: str
    worker: str
    module: str
    jobs: int


PEERS = (
    Peer("Dramatiq", "dramatiq bench.peers.dramatiq_jobs", "dramatiq_jobs", 6000),
    Peer("Dramatiq, 1 process", "dramatiq bench.peers.dramatiq_jobs --processes 1", "dramatiq_jobs", 4000),
    Peer("Celery", "celery --app bench.peers.celery_jobs worker --loglevel warning", "celery_jobs", 3000),
    Peer("RQ", "rq worker --quiet --url {url}", "rq_jobs", 150),
)


async def rate(peer: Peer, url: str, jobs: int, log: Path) -> float:
    """Returns how many empty jobs a second a queue does, from the first one enqueued to the last one done."""
    environment = {**os.environ, peers.URL: url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    name, *arguments = peer.worker.format(url=url).split()
    producer = [sys.executable, "-m", f"bench.peers.{peer.module}", str(jobs)]
    async with _process([str(BIN / name), *arguments], environment, log) as worker, asyncio.timeout(120):
        child = await asyncio.create_subprocess_exec(
            *producer, env=environment, cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            output, errors = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        assert child.returncode == 0, errors.decode()
        assert worker.returncode is None, f"the worker of {peer.name} has ended by itself"
    return jobs / float(json.loads(output))


@asynccontextmanager
async def _process(
    command: list[str], environment: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a process, in a group of its own so that its children end with it."""
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *command, env=environment, cwd=ROOT, stdin=DEVNULL, stdout=output, stderr=STDOUT, start_new_session=True
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 10)
            except TimeoutError:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
