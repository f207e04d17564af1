"""Time and identities. Injected, so that tests and simulations decide about them."""

import os
import time

from google.protobuf.timestamp_pb2 import Timestamp

_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""For two random bits, in one hexadecimal digit, the digit that says of them what kind of UUID it is."""


def now() -> int:
    """Returns the time in microseconds since 1970-01-01 UTC, the unit of every stored time."""
    return time.time_ns() // 1000


def fill(timestamp: Timestamp, microseconds: int) -> None:
    """Writes a stored time into a field of the contracts' type."""
    timestamp.seconds, rest = divmod(microseconds, 1_000_000)
    timestamp.nanos = rest * 1000


def from_timestamp(timestamp: Timestamp) -> int:
    """Returns the contracts' type as a stored time."""
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def uuid7() -> str:
    """Returns a new UUIDv7 (RFC 9562) as text: 48 bits of milliseconds, then 74 random bits."""
    moment, chance = f"{time.time_ns() // 1_000_000:012x}", os.urandom(10).hex()
    variant = _VARIANTS[chance[3]]
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
