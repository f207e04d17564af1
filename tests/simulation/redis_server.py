"""A Redis server in memory: the commands that Skirmish uses, with its own scripts run by a real Lua 5.1.

``test_models.py`` holds it against a real server.
"""

import bisect
import math
import pickle
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from lupa.lua51 import LuaRuntime
from redis.exceptions import ResponseError

Id = tuple[int, int]
"""The id of an entry of a stream: milliseconds and a number."""


@dataclass
class Pending:
    """An entry in a consumer's hands, since a time in milliseconds."""

    consumer: bytes
    since: int


@dataclass
class Group:
    """A consumer group."""

    delivered: Id
    pending: dict[Id, Pending] = field(default_factory=dict)


@dataclass
class Stream:
    """A stream; its entries are in order."""

    last: Id = (0, 0)
    entries: dict[Id, bytes] = field(default_factory=dict)
    groups: dict[bytes, Group] = field(default_factory=dict)

    def after(self, start: Id) -> Iterable[Id]:
        """Returns the ids after an id."""
        ids = list(self.entries)
        return ids[bisect.bisect_right(ids, start) :]


class SortedSet(dict[bytes, float]):
    """Members with their scores."""

    def in_order(self) -> list[bytes]:
        """Returns the members by score, and among equals by their bytes."""
        return sorted(self, key=lambda member: (self[member], member))


class RedisServer:
    """A server.

    Args:
        now: Gives the server's time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._keys: dict[bytes, Any] = {}
        self._expiries: dict[bytes, float] = {}
        self._soonest = math.inf  # no key expires before

    def call(self, name: str | bytes, *args: Any) -> Any:
        """Runs a command and returns its reply: bytes, int, list, None, True for OK.

        Raises:
            ResponseError: As the real one answers it.
        """
        command = getattr(self, _method(name))
        return command(*[arg if type(arg) is bytes else _to_bytes(arg) for arg in args])

    def evaluate(self, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Runs a Lua script."""
        return _lua().run(self, script, keys, arguments)

    def save(self) -> bytes:
        """Returns all that is in it, as a file of it would be."""
        return pickle.dumps((self._keys, self._expiries))

    def load(self, saved: bytes | None) -> None:
        """Goes back to what was saved; to nothing without that."""
        self._keys, self._expiries = pickle.loads(saved) if saved else ({}, {})  # noqa: S301
        self._soonest = min(self._expiries.values(), default=math.inf)

    def expire_keys(self) -> None:
        """Drops the keys whose time has come. Call it before commands that depend on it."""
        if self._expiries and (now := self._now()) >= self._soonest:
            for key in [key for key, time in self._expiries.items() if time <= now]:
                del self._keys[key], self._expiries[key]
            self._soonest = min(self._expiries.values(), default=math.inf)

    def _get_or_make(self, key: bytes, kind: Callable[[], Any]) -> Any:
        value = self._keys.get(key)
        if value is None:
            value = self._keys[key] = kind()
        return value

    def _drop_if_empty(self, key: bytes) -> None:
        if not self._keys[key]:
            del self._keys[key]
            self._expiries.pop(key, None)

    def scores(self, key: bytes) -> dict[bytes, float]:
        """Returns the members of a sorted set with their scores."""
        scores: dict[bytes, float] = self._keys.get(key, {})
        return scores

    # Keys

    def _exists(self, key: bytes) -> int:
        return int(key in self._keys)

    def _unlink(self, *keys: bytes) -> int:
        return sum(self._delete(key) for key in keys)

    _del = _unlink

    def _delete(self, key: bytes) -> bool:
        self._expiries.pop(key, None)
        return self._keys.pop(key, None) is not None

    def _rename(self, old: bytes, new: bytes) -> bool:
        if old not in self._keys:
            raise ResponseError("no such key")
        self._delete(new)
        self._keys[new] = self._keys.pop(old)
        if old in self._expiries:
            self._expiries[new] = self._expiries.pop(old)
        return True

    def _expire(self, key: bytes, seconds: bytes) -> int:
        return self._expire_in(key, int(seconds))

    def _pexpire(self, key: bytes, milliseconds: bytes) -> int:
        return self._expire_in(key, int(milliseconds) / 1000)

    def _expire_in(self, key: bytes, seconds: float) -> int:
        if key not in self._keys:
            return 0
        self._expiries[key] = time = self._now() + seconds
        if time < self._soonest:
            self._soonest = time
        return 1

    def _pttl(self, key: bytes) -> int:
        if key not in self._keys:
            return -2
        return math.ceil((self._expiries[key] - self._now()) * 1000) if key in self._expiries else -1

    def _persist(self, key: bytes) -> int:
        return int(self._expiries.pop(key, None) is not None)

    def _ping(self) -> bool:
        return True

    # Strings

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._keys.get(key)
        return value

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bool | None:
        if b"NX" in options and key in self._keys:
            return None
        self._keys[key] = value
        self._expiries.pop(key, None)
        if b"PX" in options:
            self._pexpire(key, options[options.index(b"PX") + 1])
        return True

    # Sets

    def _sadd(self, key: bytes, *members: bytes) -> int:
        found = self._get_or_make(key, set)
        before = len(found)
        found.update(members)
        return len(found) - before

    def _srem(self, key: bytes, *members: bytes) -> int:
        found = self._keys.get(key)
        if found is None:
            return 0
        before = len(found)
        found.difference_update(members)
        removed = before - len(found)
        self._drop_if_empty(key)
        return removed

    def _scard(self, key: bytes) -> int:
        return len(self._keys.get(key, ()))

    def _smismember(self, key: bytes, *members: bytes) -> list[int]:
        found = self._keys.get(key, ())
        return [int(member in found) for member in members]

    def _smembers(self, key: bytes) -> list[bytes]:
        return sorted(self._keys.get(key, ()))

    # Hashes

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        found = self._get_or_make(key, dict)
        before = len(found)
        found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(found) - before

    def _hget(self, key: bytes, name: bytes) -> bytes | None:
        return self._hmget(key, name)[0]

    def _hmget(self, key: bytes, *names: bytes) -> list[bytes | None]:
        found = self._keys.get(key, {})
        return [found.get(name) for name in names]

    def _hdel(self, key: bytes, *names: bytes) -> int:
        found = self._keys.get(key)
        if found is None:
            return 0
        removed = sum(found.pop(name, None) is not None for name in names)
        self._drop_if_empty(key)
        return removed

    def _hlen(self, key: bytes) -> int:
        return len(self._keys.get(key, ()))

    # Sorted sets

    def _zadd(self, key: bytes, *pairs: bytes) -> int:
        found = self._get_or_make(key, SortedSet)
        before = len(found)
        for score, member in zip(pairs[::2], pairs[1::2], strict=True):
            found[member] = float(score)
        return len(found) - before

    def _zrem(self, key: bytes, *members: bytes) -> int:
        return self._hdel(key, *members)

    def _zcard(self, key: bytes) -> int:
        return len(self._keys.get(key, ()))

    def _zscore(self, key: bytes, member: bytes) -> bytes | None:
        return self._zmscore(key, member)[0]

    def _zmscore(self, key: bytes, *members: bytes) -> list[bytes | None]:
        found = self._keys.get(key, {})
        return [b"%.17g" % found[member] if member in found else None for member in members]

    def _zcount(self, key: bytes, low: bytes, high: bytes) -> int:
        if not low.startswith(b"(") or high != b"+inf":
            raise NotImplementedError
        return sum(score > float(low[1:]) for score in self._keys.get(key, {}).values())

    def _zrevrank(self, key: bytes, member: bytes) -> int | None:
        found = self._keys.get(key, SortedSet())
        return found.in_order()[::-1].index(member) if member in found else None

    def _zrange(self, key: bytes, first: bytes, last: bytes, *options: bytes) -> list[bytes]:
        found = self._keys.get(key, SortedSet())
        members: list[bytes] = found.in_order()
        if b"REV" in options:
            members.reverse()
        start, end = int(first), int(last)
        if start < 0 or end < -1:
            raise NotImplementedError
        members = members[start : end + 1 if end >= 0 else None]
        if b"WITHSCORES" not in options:
            return members
        return [part for member in members for part in (member, b"%.17g" % found[member])]

    # Streams

    def _xadd(self, key: bytes, *rest: bytes) -> bytes:
        stream: Stream = self._get_or_make(key, Stream)
        options = rest[: rest.index(b"*")]
        stream.last = max((int(self._now() * 1000), 0), (stream.last[0], stream.last[1] + 1))
        stream.entries[stream.last] = rest[-1]
        if b"MAXLEN" in options:
            while len(stream.entries) > int(options[-1]):
                del stream.entries[next(iter(stream.entries))]
        return _to_text(stream.last)

    def _xdel(self, key: bytes, *ids: bytes) -> int:
        entries = self._keys[key].entries if key in self._keys else {}
        return sum(entries.pop(_to_id(i), None) is not None for i in ids)

    def _xlen(self, key: bytes) -> int:
        return len(self._keys[key].entries) if key in self._keys else 0

    def _xrange(self, key: bytes, low: bytes, high: bytes, _: bytes, count: bytes) -> list[tuple[bytes, bytes]]:
        if not low.startswith(b"(") or high != b"+":
            raise NotImplementedError
        if key not in self._keys:
            return []
        stream: Stream = self._keys[key]
        return [(_to_text(i), stream.entries[i]) for i in list(stream.after(_to_id(low[1:])))[: int(count)]]

    def _xrevrange(self, key: bytes) -> list[tuple[bytes, bytes]]:
        stream = self._keys.get(key)
        return [(_to_text(i), stream.entries[i]) for i in reversed(stream.entries)] if stream else []

    def _xgroup(self, what: bytes, *args: bytes) -> Any:
        return self._xgroup_create(*args) if what == b"CREATE" else self._xgroup_delconsumer(*args)

    def _xgroup_create(self, key: bytes, group: bytes, start: bytes) -> bool:
        stream: Stream = self._get_or_make(key, Stream)
        if group in stream.groups:
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        stream.groups[group] = Group(stream.last if start == b"$" else _to_id(start))
        return True

    def _xgroup_delconsumer(self, key: bytes, group: bytes, consumer: bytes) -> int:
        pending = self._group(key, group, "XGROUP").pending
        dropped = [i for i, entry in pending.items() if entry.consumer == consumer]
        for i in dropped:
            del pending[i]
        return len(dropped)

    def _xinfo(self, _: bytes, key: bytes) -> list[tuple[bytes, bytes]]:
        if key not in self._keys:
            raise ResponseError("no such key")
        return [(name, _to_text(group.delivered)) for name, group in self._keys[key].groups.items()]

    def _xreadgroup(self, key: bytes, group: bytes, consumer: bytes, count: bytes) -> list[tuple[bytes, bytes]]:
        found = self._group(key, group, "XREADGROUP")
        stream: Stream = self._keys[key]
        ids = list(stream.after(found.delivered))[: int(count)]
        for i in ids:
            found.pending[i] = Pending(consumer, int(self._now() * 1000))
            found.delivered = i
        return [(_to_text(i), stream.entries[i]) for i in ids]

    def _xread(self, key: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
        stream = self._keys.get(key)
        return [(_to_text(i), stream.entries[i]) for i in stream.after(_to_id(after))] if stream else []

    def _xautoclaim(
        self, key: bytes, group: bytes, consumer: bytes, idle: bytes, _: bytes, count: bytes
    ) -> list[tuple[bytes, bytes]]:
        pending = self._group(key, group, "XAUTOCLAIM").pending
        stream: Stream = self._keys[key]
        now = int(self._now() * 1000)
        claimed: list[tuple[bytes, bytes]] = []
        for i in sorted(pending):
            if len(claimed) == int(count):
                break
            if now - pending[i].since < int(idle):
                continue
            if i not in stream.entries:
                del pending[i]
                continue
            pending[i] = Pending(consumer, now)
            claimed.append((_to_text(i), stream.entries[i]))
        return claimed

    def _xpending(self, key: bytes, group: bytes, *rest: bytes) -> list[bytes]:
        *_, count, consumer = rest
        pending = self._group(key, group, "XPENDING").pending
        return [_to_text(i) for i in sorted(pending) if pending[i].consumer == consumer][: int(count)]

    def _xack(self, key: bytes, group: bytes, *ids: bytes) -> int:
        stream = self._keys.get(key)
        if stream is None or group not in stream.groups:
            return 0
        return sum(stream.groups[group].pending.pop(_to_id(i), None) is not None for i in ids)

    def _group(self, key: bytes, group: bytes, command: str) -> Group:
        stream = self._keys.get(key)
        if stream is None or group not in stream.groups:
            raise ResponseError(f"NOGROUP No such key or consumer group in {command}")
        found: Group = stream.groups[group]
        return found


class _Lua:
    """Runs scripts as the server does."""

    def __init__(self) -> None:
        self._runtime = LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=True)
        self._scripts: dict[str, Any] = {}
        self._server: RedisServer
        names = self._runtime.globals()
        names.redis = self._runtime.table_from({b"call": self._call})
        names.struct = self._runtime.table_from({b"pack": _pack, b"unpack": _unpack})

    def run(self, server: RedisServer, script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        self._server = server
        function = self._scripts.get(script)
        if function is None:
            function = self._scripts[script] = self._runtime.eval(f"function(KEYS, ARGV) {script}\nend")
        table = self._runtime.table_from
        return _from_lua(function(table(list(map(_to_bytes, keys))), table(list(map(_to_bytes, arguments)))))

    def _call(self, name: bytes, *args: Any) -> Any:
        reply = self._server.call(name, *args)
        if reply is None:
            return False
        if isinstance(reply, list):
            return self._runtime.table_from([False if item is None else item for item in reply])
        return reply


@cache
def _method(name: str | bytes) -> str:
    return f"_{_to_bytes(name).decode().lower()}"


@cache
def _lua() -> _Lua:
    return _Lua()


def _from_lua(value: Any) -> Any:
    if value is None or value is False:
        return None
    kind = type(value)
    if kind is bytes or kind is int:
        return value
    if kind is float:
        return int(value)
    items: list[Any] = []
    while (item := value[len(items) + 1]) is not None:
        items.append(_from_lua(item))
    return items


@cache
def _struct(form: bytes) -> struct.Struct:
    """Returns a format of Lua's struct library: only what the scripts use, big-endian and with sizes."""
    text = form.decode()
    for lua, python in (("I8", "Q"), ("c16", "16s")):
        text = text.replace(lua, python)
    return struct.Struct(text)


def _pack(form: bytes, *values: Any) -> bytes:
    return _struct(form).pack(*(int(value) if isinstance(value, float) else value for value in values))


def _unpack(form: bytes, data: bytes, position: int = 1) -> tuple[Any, ...]:
    found = _struct(form)
    return *found.unpack_from(data, int(position) - 1), int(position) + found.size


@lru_cache(10_000)
def _to_bytes(value: Any) -> bytes:
    if type(value) is str:
        return value.encode()
    if isinstance(value, bytes):
        return value
    return b"%d" % value if value == int(value) else b"%.17g" % value


def _to_text(entry_id: Id) -> bytes:
    return b"%d-%d" % entry_id


def _to_id(text: bytes) -> Id:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number or 0)
