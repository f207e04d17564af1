"""Schema migrations of a service, with Alembic. Each service keeps its own under ``migrations/``."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config

from services.common.database import Database
from services.common.schema_version import migrations_folder, version_table

_LOCK = 0x736B69726D697368
"""Held on PostgreSQL while migrating, so that two migration jobs run one after the other."""


def migrate(database: Database, package: str, revision: str = "head") -> None:
    """Brings the schema of a service up to a revision; does nothing when it is there.

    Args:
        database: The service's database.
        package: The service's package, as "services.player".
        revision: The revision, the newest when left out.
    """
    with database.engine.connect() as connection, _locked(connection):
        config = _config(package)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def run_environment(metadata: sa.MetaData, package: str) -> None:
    """Runs migrations inside Alembic; each service's ``migrations/env.py`` calls this."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table=version_table(package),
        render_as_batch=True,
        transactional_ddl=True,  # also on SQLite: all steps or none, and nobody else's between two of them
    )
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def _locked(connection: sa.Connection) -> Iterator[None]:
    """Holds the lock of migrations. It belongs to the connection, which goes back to a pool and would keep it there."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))
        connection.commit()


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder(package)))
    config.set_main_option("path_separator", "os")
    return config
