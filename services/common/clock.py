"""Time and identities. Injected, so that tests and simulations decide about them."""

import os
import time

from google.protobuf.timestamp_pb2 import Timestamp


def now() -> int:
    """Returns the time in microseconds since 1970-01-01 UTC, the unit of every stored time."""
    return time.time_ns() // 1000


def to_timestamp(microseconds: int) -> Timestamp:
    """Returns a stored time as the contracts' type."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def from_timestamp(timestamp: Timestamp) -> int:
    """Returns the contracts' type as a stored time."""
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def uuid7() -> str:
    """Returns a new UUIDv7 (RFC 9562) as text: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
