"""The version of a service's schema: the one its database has, and the one this code needs.

Apart from the migrations, since a server does without Alembic: importing it would be a fifth of the server's start.
"""

import sys
from pathlib import Path

import sqlalchemy as sa

from services.common.database import Database


def require_head(database: Database, package: str) -> None:
    """Makes sure that the schema is the one this code was written for.

    Args:
        database: The service's database.
        package: The service's package, as "services.player".

    Raises:
        SystemExit: It is not, or the database can't be reached; the message says what to run.
    """
    try:
        with database.engine.connect() as connection:
            version = current(connection, package)
    except sa.exc.DBAPIError as error:
        sys.exit(f"Can't reach the database of {package}: {error.orig}")
    if version != head(package):
        sys.exit(
            f"The database of {package} is at schema {version or 'nothing'}, this code needs {head(package)}.\n"
            f"Run: python -m {package} migrate"
        )


def current(connection: sa.Connection, package: str) -> str | None:
    """Returns the version that a database has, None where nothing was ever migrated."""
    table = version_table(package)
    if not sa.inspect(connection).has_table(table):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(table)))


def head(package: str) -> str:
    """Returns the newest version. Migrations are numbered, and each follows the one before it."""
    return max(path.name for path in (migrations_folder(package) / "versions").glob("*.py")).partition("_")[0]


def version_table(package: str) -> str:
    """Returns the name of the table that keeps a service's schema version; services may so share one database."""
    return f"{package.rpartition('.')[2]}_schema_version"


def migrations_folder(package: str) -> Path:
    """Returns where the migrations of a service are."""
    return Path(str(sys.modules[package].__file__)).parent / "migrations"
