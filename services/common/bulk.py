"""Statements for hundreds of rows at once, as fast as either database takes them.

PostgreSQL gets one statement over arrays, one a column: many times faster than a statement a row over the wire. SQLite
gets hundreds of rows as VALUES of one statement. A statement run for each row would be no slower by itself, but between
two runs of it the driver lets go of Python's lock, and a thread that computes keeps it for 5 ms each time.
"""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""The type of an id: a native uuid on PostgreSQL, its text on SQLite, always text in Python."""

Row = Sequence[Any]

_HEX = r"\\x"
"""How bytes begin inside of an array, on PostgreSQL."""
_OR_FAIL = {"sqlite": " OR FAIL", "postgresql": ""}
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
    head = f"INSERT{_OR_FAIL[connection.dialect.name]} INTO {table.name} ({', '.join(columns)})"
    tail = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    return sum(
        connection.exec_driver_sql(f"{head} {source}{tail}", parameters).rowcount
        for source, parameters in _sources(connection, table, columns, rows)
    )


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
    tail = f" AND {where}" if where else ""
    update = (
        f"UPDATE{_OR_FAIL[connection.dialect.name]} {table.name} "
        f"SET {', '.join(f'{name} = v.{name}' for name in columns)} FROM v WHERE {table.name}.{key} = v.{key}{tail}"
    )
    for source, parameters in _sources(connection, table, every, rows):
        connection.exec_driver_sql(f"WITH v({', '.join(every)}) AS ({source}) {update}", parameters)


class _Condition(FunctionElement[bool]):
    type = sa.Boolean()

    def self_group(self, against: object = None) -> "_Condition":
        return self  # else SQLite, which knows no truth values, is asked whether it is 1, and looks at every row


class among(_Condition):  # noqa: N801  # it is used as a function
    """The condition that a column is one of many values: one parameter, however many they are.

    Args:
        column: The column, a number or an id.
        name: The name of the parameter, which is a collection.
    """

    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        super().__init__(column, sa.bindparam(name, type_=_Many(column.type)))


class matching(_Condition):  # noqa: N801
    """The condition that columns together are one of many rows: one parameter, however many they are.

    Args:
        columns: The columns.
        name: The name of the parameter, which is a collection of rows.
    """

    inherit_cache = True

    def __init__(self, columns: Sequence[sa.ColumnElement[Any]], name: str) -> None:
        super().__init__(*columns, sa.bindparam(name, type_=_Json()))


@compiles(among, "postgresql")
def _any(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(among, "sqlite")
def _in(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(matching, "postgresql")
def _any_row(element: matching, compiler: SQLCompiler, **kw: Any) -> str:
    *columns, rows = element.clauses
    kinds = [column.type.compile(compiler.dialect) for column in columns]
    values = ", ".join(f"(value ->> {index})::{kind}" for index, kind in enumerate(kinds))
    names = ", ".join(compiler.process(column, **kw) for column in columns)
    return f"({names}) IN (SELECT {values} FROM json_array_elements(({compiler.process(rows, **kw)})::json))"


@compiles(matching, "sqlite")
def _in_rows(element: matching, compiler: SQLCompiler, **kw: Any) -> str:
    *columns, rows = element.clauses
    values = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(columns)))
    names = ", ".join(compiler.process(column, **kw) for column in columns)
    return f"({names}) IN (SELECT {values} FROM json_each({compiler.process(rows, **kw)}))"


class _Json(sa.TypeDecorator[Any]):
    """A parameter that goes as JSON."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str:
        return json.dumps(list(value))


class _Many(sa.TypeDecorator[Any]):
    """A parameter of many values: an array on PostgreSQL, JSON on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, of: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return _Array(self.of.compile(dialect)) if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return _array(self.of, value) if dialect.name == "postgresql" else json.dumps(list(value))


class _Array(sa.types.UserDefinedType[Any]):
    """The type of an array on PostgreSQL. It goes with the parameter: a cast of a text would be planned blindly."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, of: str) -> None:
        self.of = of

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.of}[]"


def _sources(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Gives queries that return the rows, with their parameters: one on PostgreSQL, one for each part on SQLite.

    The sizes of the parts are powers of two, so that few different statements come up and the driver, which keeps the
    last hundred, has every one of them prepared.
    """
    if connection.dialect.name == "postgresql":
        kinds = [table.c[name].type for name in columns]
        arrays = ", ".join(f"%s::{kind.compile(connection.dialect)}[]" for kind in kinds)
        values = zip(*rows, strict=True)
        yield f"SELECT * FROM unnest({arrays})", tuple(map(_array, kinds, values))
        return
    start = 0
    while rest := len(rows) - start:
        count = min(ROWS_AT_ONCE, 1 << rest.bit_length() - 1)
        yield _marks(len(columns), count), tuple(itertools.chain.from_iterable(rows[start : start + count]))
        start += count


@functools.cache
def _marks(width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"VALUES {', '.join([row] * count)}"


def _array(kind: sa.types.TypeEngine[Any], values: Iterable[Any]) -> list[Any] | str:
    """Returns an array of PostgreSQL for the driver: written out where its values hold nothing to quote.

    The driver would look into every single number, id and run of bytes for that, longer than all the rest takes.
    """
    if kind is UUID or isinstance(kind, sa.Integer):
        return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
    if isinstance(kind, sa.LargeBinary):
        return f"{{{','.join(['NULL' if value is None else _HEX + value.hex() for value in values])}}}"
    return list(values)
