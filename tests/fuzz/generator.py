"""Random requests that look right to the descriptors, and mutations of them that do not."""

import random
import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

TEXTS = [
    "",
    "a",
    "\0",
    "a\0b",
    "\n",
    "\r\nset-cookie: a=b",
    " leading",
    "\u202eright to left",
    "\u200b",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\U0010ffff",
    "é",
    "e\u0301",
    "e" + "\u0301" * 200,
    "ﷺ" * 20,
    "😀" * 21,
    "x" * 5_000,
    "'; DROP TABLE player; --",
    '"',
    "\\",
    "%",
    "%00",
    "%s%n",
    "{0.__class__}",
    "../../etc/passwd",
    "NaN",
    "-1",
    "9" * 400,
    "null",
    "all",
    "daily",
    "weekly",
    "monthly",
    "daily@2026-11-21",
    "daily@0001-01-01",
    "daily@9999-12-31",
    "daily@2026-W47-6",
    "weekly@2026-W47",
    "weekly@9999-W53",
    "weekly@0001-W01",
    "monthly@2026-11",
    "monthly@0000-00",
    "daily@",
    "@",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "{00000000-0000-0000-0000-000000000000}",
    "*",
    "luck",
    "description",
    "player_id",
    "gold.luck",
]
NUMBERS = [0, 1, -1, 2, 50, 90, 91, 100, 1000, 2000, 10_000, 10_001, 1_000_000_000, 1_000_000_001, 2**53, 2**53 - 1]
BOARDS = ["all", "daily", "weekly", "monthly", "daily@2026-11-21", "weekly@2026-W47", "monthly@2026-11"]
LENGTHS = [0, 1, 1, 1, 2, 2, 3, 3, 10]
LONG_LENGTHS = [500, 501, 1000, 1001, 5001]
_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Generator:
    """Makes requests.

    Args:
        rng: Decides everything.
        ids: Ids of things that there are.
        tokens: Page tokens that were given out.
    """

    def __init__(self, rng: random.Random, ids: list[str], tokens: list[str]) -> None:
        self.rng = rng
        self._ids = ids
        self._tokens = tokens

    def message(self, descriptor: Descriptor, sane: float) -> Message:
        """Makes a message of a type.

        Args:
            sane: How probable it is that a field has a value that makes sense, from 0 to 1.
        """
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            self._fill(message, field, sane)
        return message

    def request(self, descriptor: Descriptor) -> Message:
        """Makes a request: wild, half wild, or one in which everything makes sense but a single field.

        The last kind is what reaches deepest, since a request is refused for any field that is wrong.
        """
        sane = self.rng.choice([0.0, 0.7, 1.0, 1.0])
        message = self.message(descriptor, sane)
        if sane == 1.0 and descriptor.fields:
            field = self.rng.choice(descriptor.fields)
            message.ClearField(field.name)
            self._fill(message, field, self.rng.choice([0.0, 0.9]))
        return message

    def _fill(self, message: Message, field: FieldDescriptor, sane: float) -> None:
        rng = self.rng
        if field.is_repeated:
            length = rng.choice(LENGTHS)
            if rng.random() < 0.01 * (1 - sane):
                length = rng.choice(LONG_LENGTHS)
            if field.message_type:
                getattr(message, field.name).extend([self.message(field.message_type, sane) for _ in range(length)])
            else:
                getattr(message, field.name).extend([self._leaf(field, sane) for _ in range(length)])
        elif rng.random() < 0.15 * (1 - sane):
            return
        elif field.message_type:
            getattr(message, field.name).CopyFrom(self.message(field.message_type, sane))
        else:
            setattr(message, field.name, self._leaf(field, sane))

    def _leaf(self, field: FieldDescriptor, sane: float) -> Any:
        rng = self.rng
        makes_sense = rng.random() < sane
        if field.enum_type:
            return rng.choice(
                [value.number for value in field.enum_type.values] + [99, -1, 2**31 - 1] * (not makes_sense)
            )
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return rng.random() < 0.5
        if field.cpp_type in _BITS:
            low, high = _BITS[field.cpp_type]
            if makes_sense and field.name == "share_basis_points":
                return rng.randint(1000, 2000)
            if makes_sense:
                return rng.randint(1, 80)
            return min(max(rng.choice([*NUMBERS, low, high, high - 1, rng.randint(low, high)]), low), high)
        return self._sensible_text(field.name) if makes_sense else self.text()

    def _sensible_text(self, field: str) -> str:
        rng = self.rng
        if field.endswith(("_id", "_ids")) and field != "request_id":
            return rng.choice(self._ids)
        if field == "page_token":
            return rng.choice([*self._tokens, ""])
        if field == "board":
            return rng.choice(BOARDS)
        if field == "paths":
            return rng.choice(["luck", "attack", "description", "*"])
        return f"{field[:4]}{rng.randrange(10**9)}"

    def text(self) -> str:
        """Makes a text of any kind; not half a surrogate pair, which protobuf has none of."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.6:
            return rng.choice(TEXTS)
        if kind < 0.7:
            return str(uuid.UUID(int=rng.getrandbits(128)))
        if kind < 0.8:
            return rng.choice([*self._ids, *self._tokens]) + rng.choice(TEXTS)
        return "".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(8))

    def mutated(self, encoded: bytes) -> bytes:
        """Mutates the bytes of a message."""
        data = bytearray(encoded)
        mutations: list[Callable[[bytearray], None]] = [
            self._flip,
            self._cut,
            self._insert,
            self._huge_varint,
            self._wrong_wire_type,
            self._huge_length,
            self._twice,
            self._groups,
            self._garbage,
        ]
        for _ in range(self.rng.choice([1, 1, 2, 5])):
            self.rng.choice(mutations)(data)
        return bytes(data)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)

    def _cut(self, data: bytearray) -> None:
        del data[self.rng.randrange(len(data) + 1) :]

    def _insert(self, data: bytearray) -> None:
        at = self.rng.randrange(len(data) + 1)
        data[at:at] = self.rng.randbytes(self.rng.randrange(1, 20))

    def _huge_varint(self, data: bytearray) -> None:
        tag = self.rng.randrange(1, 16) << 3
        data += bytes([tag]) + b"\xff" * self.rng.choice([4, 8, 9, 10, 11, 30]) + b"\x01"

    def _wrong_wire_type(self, data: bytearray) -> None:
        if data:
            data[0] = data[0] & 0xF8 | self.rng.randrange(8)

    def _huge_length(self, data: bytearray) -> None:
        data += bytes([self.rng.randrange(1, 16) << 3 | 2]) + b"\xff\xff\xff\xff\x07"

    def _twice(self, data: bytearray) -> None:
        data += bytes(data)

    def _groups(self, data: bytearray) -> None:
        data += b"\x0b" * self.rng.choice([1, 50, 99, 101, 5_000])

    def _garbage(self, data: bytearray) -> None:
        data[:] = self.rng.randbytes(self.rng.choice([1, 10, 100, 10_000]))
