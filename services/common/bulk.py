"""Statements for hundreds of rows at once, as fast as either database takes them.

PostgreSQL gets one statement over arrays, one a column: many times faster than a statement a row over the wire. SQLite
gets hundreds of rows as VALUES of one statement. A statement run for each row would be no slower by itself, but between
two runs of it the driver lets go of Python's lock, and a thread that computes keeps it for 5 ms each time.
"""

import functools
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""The type of an id: a native uuid on PostgreSQL, its text on SQLite, always text in Python."""

Row = Sequence[Any]

_HEX = r"\\x"
"""How bytes begin inside of an array, on PostgreSQL."""
OR_FAIL = " OR FAIL"
"""Lets SQLite keep no journal of a statement's own: when one fails, its whole transaction is rolled back anyway."""
ROWS_AT_ONCE = 256
"""How many rows a statement gets on SQLite, which knows 32,766 parameters."""


def insert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], on_conflict: str = ""
) -> int:
    """Inserts rows and returns how many there were, less those that a conflict kept out.

    Args:
        columns: The columns that each row gives, in order.
        on_conflict: What follows ON CONFLICT, as "DO NOTHING"; an error when left out.
    """
    if not rows:
        return 0
    names = ", ".join(columns)
    tail = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    if connection.dialect.name == "postgresql":
        source = f"SELECT * FROM unnest({_arrays(connection, table, columns)})"
        result = connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) {source}{tail}", _by_column(table, columns, rows)
        )
        return result.rowcount
    inserted = 0
    for values, parameters in _values(len(columns), rows):
        statement = f"INSERT{OR_FAIL} INTO {table.name} ({names}) {values}{tail}"
        inserted += connection.exec_driver_sql(statement, parameters).rowcount
    return inserted


def update(
    connection: sa.Connection, table: sa.Table, key: str, columns: Sequence[str], rows: Sequence[Row], where: str = ""
) -> None:
    """Sets columns of the rows with given keys.

    Args:
        key: The column that finds a row.
        columns: The columns to set.
        rows: Values in the order of ``columns``, then the key.
        where: A further condition, with the table's columns under its name, as "battle.state = 1".
    """
    if not rows:
        return
    every = [*columns, key]
    or_fail = "" if connection.dialect.name == "postgresql" else OR_FAIL
    tail = f" AND {where}" if where else ""
    update = (
        f"UPDATE{or_fail} {table.name} SET {', '.join(f'{name} = v.{name}' for name in columns)} "
        f"FROM v WHERE {table.name}.{key} = v.{key}{tail}"
    )
    sources: Iterable[tuple[str, tuple[Any, ...]]] = _values(len(every), rows)
    if connection.dialect.name == "postgresql":
        sources = [(f"SELECT * FROM unnest({_arrays(connection, table, every)})", _by_column(table, every, rows))]
    for source, parameters in sources:
        connection.exec_driver_sql(f"WITH v({', '.join(every)}) AS ({source}) {update}", parameters)


def among(connection: sa.Connection, column: sa.ColumnElement[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Returns the condition that a column is one of many values, as one parameter whatever their number."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(_bound(connection, column, list(values)))
    return column.in_(sa.select(sa.func.json_each(json.dumps(list(values))).table_valued("value").c.value))


def matching(
    connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], rows: Collection[Row]
) -> sa.ColumnElement[bool]:
    """Returns the condition that several columns together are one of many rows."""
    values: sa.Select[Any]
    if connection.dialect.name == "postgresql":
        by_column = zip(columns, zip(*rows, strict=True), strict=True)
        arrays = [_bound(connection, column, values) for column, values in by_column]
        names = [f"c{index}" for index in range(len(arrays))]
        values = sa.select(sa.func.unnest(*arrays).table_valued(*names).render_derived())
    else:
        each = sa.func.json_each(json.dumps(list(rows))).table_valued("value")
        values = sa.select(*(sa.func.json_extract(each.c.value, f"$[{index}]") for index in range(len(columns))))
    return sa.tuple_(*columns).in_(values)


def _values(width: int, rows: Sequence[Row]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Gives rows in parts: a VALUES of marks, and its parameters.

    The sizes of the parts are powers of two, so that few different statements come up and the driver, which keeps the
    last hundred, has every one of them prepared.
    """
    start = 0
    while rest := len(rows) - start:
        count = min(ROWS_AT_ONCE, 1 << rest.bit_length() - 1)
        yield _marks(width, count), tuple(itertools.chain.from_iterable(rows[start : start + count]))
        start += count


@functools.cache
def _marks(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


def _by_column(table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> tuple[list[Any] | str, ...]:
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    return tuple(_array(table.c[name], values) for name, values in by_column)


def _array(column: sa.ColumnElement[Any], values: Sequence[Any]) -> list[Any] | str:
    """Returns an array of PostgreSQL for the driver: written out where its values hold nothing to quote.

    The driver would look into every single number, id and run of bytes for that, longer than all the rest takes.
    """
    if column.type is UUID or isinstance(column.type, sa.Integer):
        return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
    if isinstance(column.type, sa.LargeBinary):
        return f"{{{','.join(['NULL' if value is None else _HEX + value.hex() for value in values])}}}"
    return list(values)


class _Array(sa.types.UserDefinedType[Any]):
    """An array as ``_array`` gives it. It is the type of the parameter: a cast of a text would be planned blindly."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, of: str) -> None:
        self.of = of

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.of}[]"


def _bound(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[Any]:
    return sa.bindparam(None, _array(column, values), _Array(column.type.compile(connection.dialect)))


def _arrays(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> str:
    types = (table.c[name].type.compile(connection.dialect) for name in columns)
    return ", ".join(f"%s::{kind}[]" for kind in types)
