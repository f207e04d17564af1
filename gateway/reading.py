"""Reads JSON and query parameters into protobuf messages, by readers compiled once from their descriptors.

The form is protobuf's JSON mapping, read strictly: field names as in the contract (``player_id``) or in lower camel
case (``playerId``), integers as numbers or as texts of digits, enums by name or number, times as RFC 3339, field masks
as paths with commas between, and null for a field that is not set. A field that is unknown, given twice or of the wrong
type is a violation; all of them are reported, each by its path in the request, as ``requests[3].opponent_id``.

A query parameter is a field's path with dots between, and its text. A repeated field is given by repeating it.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.common.validation import Violations

MOST_ELEMENTS = 10_000
"""How many elements a JSON array may have: more than any request of the contracts takes, and few enough to be read
without holding up other requests."""

MOST_DIGITS = 1000
"""How many digits an integer of JSON may have. No field takes as many, and Python refuses more in words of its own."""

Leaf = Callable[[Any], Any]
"""Turns a JSON value into a field's. Raises ValueError with what the value must be."""

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class JsonObject(list[tuple[str, Any]]):
    """A JSON object as it was written: its pairs in order, so that a key that comes twice is seen."""


def parse_json(text: bytes) -> Any:
    """Reads JSON, with objects as JsonObject.

    Raises:
        ValueError: It is not JSON in UTF-8; the message says what is wrong, and where.
    """
    try:
        return json.loads(
            text.decode(), object_pairs_hook=JsonObject, parse_constant=_refuse_constant, parse_int=_parse_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse_integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"an integer has more than {MOST_DIGITS:,} digits")
    return int(digits)


def percent_decode(text: str) -> str:
    """Decodes percent-encoded UTF-8, once.

    Raises:
        ValueError: It is not that.
    """
    if not text.isascii() or _BROKEN_ESCAPE.search(text):
        raise ValueError("must be percent-encoded: ASCII, with a % before two hexadecimal digits alone")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ValueError("must be percent-encoded UTF-8") from None


def parse_query(query: str, wrong: Violations) -> list[tuple[str, str]]:
    """Splits a query into names and texts, decoded, in order. A plus is a space."""
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, text = part.replace("+", " ").partition("=")
        try:
            name = percent_decode(name)
            pairs.append((name, percent_decode(text)))
        except ValueError as error:
            wrong.add(name, str(error))
    return pairs


class Reader:
    """Reads into messages of one type. Get it from ``reader``."""

    def __init__(self, descriptor: Descriptor) -> None:
        if any(len(oneof.fields) > 1 for oneof in descriptor.oneofs):
            raise ValueError(f"{descriptor.full_name}: requests with a oneof are not in the contracts")
        self._type = descriptor.name
        self._fields: dict[str, Field] = {}
        for field in descriptor.fields:
            self._fields[field.name] = self._fields[field.json_name] = Field(field)

    def field(self, name: str) -> "Field | None":
        """Returns a field by either of its names."""
        return self._fields.get(name)

    def read(self, target: Message, value: Any, path: str, wrong: Violations) -> None:
        """Reads a JSON value into a message, and notes what is wrong with it.

        Args:
            target: The message.
            value: As ``parse_json`` gives it.
            path: Where the message stands in the request, "" for the request itself.
            wrong: Takes the violations.
        """
        if not isinstance(value, JsonObject):
            wrong.add(path, "must be a JSON object")
            return
        seen: set[str] = set()
        for name, item in value:
            field = self._fields.get(name)
            known = field.name if field else name.encode(errors="backslashreplace").decode()  # half a surrogate pair
            at = ".".join(filter(None, (path, known)))
            if field is None:
                wrong.add(at, f"is not a field of {self._type}")
            elif field.name in seen:
                wrong.add(at, "is given twice")
            elif item is not None:
                field.read(target, item, at, wrong)
            if field:
                seen.add(field.name)

    def find(self, path: str) -> "list[Field] | None":
        """Returns the fields along a path with dots, None when there is no such field."""
        found: list[Field] = []
        reader: Reader | None = self
        for name in path.split("."):
            field = reader.field(name) if reader else None
            if field is None:
                return None
            found.append(field)
            reader = None if field.repeated else field.reader
        return found

    def read_texts(self, target: Message, pairs: Iterable[tuple[str, str]], wrong: Violations) -> None:
        """Reads query parameters into a message, and notes what is wrong with them."""
        seen: set[str] = set()
        for name, text in pairs:
            fields = self.find(name)
            if fields is None:
                wrong.add(name, f"is not a field of {self._type}")
                continue
            *parents, field = fields
            path = ".".join(each.name for each in fields)
            if path in seen and not field.repeated:
                wrong.add(path, "is given twice")
                continue
            seen.add(path)
            holder = target
            for parent in parents:
                holder = getattr(holder, parent.name)
            field.read_text(holder, text, path, wrong)


class Field:
    """Reads one field.

    Attributes:
        name: Its name in the contract.
        repeated: Whether it holds a list.
        reader: Reads its value, for a message that is not a well-known type.
    """

    def __init__(self, descriptor: FieldDescriptor) -> None:
        self.name = descriptor.name
        self.repeated = descriptor.is_repeated
        self._leaf, self._is_bool = _leaf(descriptor), _is_bool(descriptor)
        self._is_message = descriptor.message_type is not None
        self.reader = reader(descriptor.message_type) if self._leaf is None else None

    def read(self, target: Message, value: Any, path: str, wrong: Violations) -> None:
        """Reads a JSON value, which is not null, into the field of a message."""
        if not self.repeated:
            self._read_one(target, value, path, wrong)
        elif isinstance(value, list) and not isinstance(value, JsonObject):
            if len(value) > MOST_ELEMENTS:
                wrong.add(path, f"must hold at most {MOST_ELEMENTS:,} elements, not {len(value):,}")
                return
            for index, item in enumerate(value):
                self._read_one(target, item, f"{path}[{index}]", wrong)
        else:
            wrong.add(path, "must be a JSON array")

    def read_text(self, target: Message, text: str, path: str, wrong: Violations) -> None:
        """Reads a text of a URL into the field of a message; a repeated field gets one element more."""
        if self.reader:
            wrong.add(path, "must be given field by field")
        else:
            value: Any = {"true": True, "false": False}.get(text, text) if self._is_bool else text
            self._read_one(target, value, path, wrong)

    def _read_one(self, target: Message, value: Any, path: str, wrong: Violations) -> None:
        if self.reader:
            message = getattr(target, self.name)
            if self.repeated:
                message = message.add()
            message.SetInParent()
            self.reader.read(message, value, path, wrong)
            return
        assert self._leaf
        try:
            read = self._leaf(value)
        except ValueError as error:
            wrong.add(path, str(error))
            return
        if self.repeated:
            getattr(target, self.name).append(read)
        elif self._is_message:
            getattr(target, self.name).CopyFrom(read)
        else:
            setattr(target, self.name, read)


@cache
def reader(descriptor: Descriptor) -> Reader:
    """Compiles the reader of a message type.

    Raises:
        ValueError: It has a field of a type that requests of the contracts don't use: a map, bytes, a floating point
            number, a oneof.
    """
    return Reader(descriptor)


def _leaf(field: FieldDescriptor) -> Leaf | None:
    """Returns what reads a value of a field, None for a message that has a reader of its own."""
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.message_type is not None:
        if field.message_type.file.package == "google.protobuf":
            return _well_known(field.message_type)
        if not field.message_type.GetOptions().map_entry:
            return None
    elif field.cpp_type in _RANGES:
        return _integer(*_RANGES[field.cpp_type])
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _bool
    elif field.type == FieldDescriptor.TYPE_STRING:
        return _string
    raise ValueError(f"{field.full_name}: its type is not in the requests of the contracts, so it can't be read")


def _is_bool(field: FieldDescriptor) -> bool:
    message = field.message_type
    return (
        _is_bool(message.fields_by_name["value"]) if message and _is_wrapper(message) else field.type == field.TYPE_BOOL
    )


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not value.isascii() and re.search("[\ud800-\udfff]", value):
        raise ValueError("must be Unicode; it holds half of a surrogate pair")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _integer(low: int, high: int) -> Leaf:
    def read(value: Any) -> int:
        if (isinstance(value, str) and _DIGITS.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        if not low <= value <= high:
            raise ValueError(f"must be {low:,} to {high:,}")
        return value

    return read


def _enum(descriptor: EnumDescriptor) -> Leaf:
    numbers = {value.name: value.number for value in descriptor.values}
    number = _integer(*_RANGES[FieldDescriptor.CPPTYPE_INT32])

    def read(value: Any) -> int:
        if isinstance(value, str) and value in numbers:
            return numbers[value]
        try:
            found: int = number(value)
        except ValueError:
            found = -1
        if found not in numbers.values():
            raise ValueError(f"must be one of {', '.join(numbers)}, or the number of one")
        return found

    return read


def _is_wrapper(descriptor: Descriptor) -> bool:
    return descriptor.file.name == "google/protobuf/wrappers.proto"


def _well_known(descriptor: Descriptor) -> Leaf:
    new: Any = GetMessageClass(descriptor)
    if _is_wrapper(descriptor):
        inner = _leaf(descriptor.fields_by_name["value"])
        assert inner
        return lambda value: new(value=inner(value))
    if descriptor.full_name == field_mask_pb2.FieldMask.DESCRIPTOR.full_name:
        return _field_mask
    examples = {
        timestamp_pb2.Timestamp.DESCRIPTOR.full_name: 'a time, as "2026-11-21T10:00:00Z"',
        duration_pb2.Duration.DESCRIPTOR.full_name: 'a duration, as "1.5s"',
    }
    if descriptor.full_name not in examples:
        raise ValueError(f"{descriptor.full_name} is not in the requests of the contracts, so it can't be read")

    def read(value: Any) -> Any:
        message = new()
        try:
            message.FromJsonString(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"must be {examples[descriptor.full_name]}") from None
        return message

    return read


def _field_mask(value: Any) -> field_mask_pb2.FieldMask:
    """Reads paths with commas between, in either form of the names; whether there are such fields is the service's."""
    paths = [re.sub("[A-Z]", lambda upper: f"_{upper[0].lower()}", path) for path in _string(value).split(",") if path]
    return field_mask_pb2.FieldMask(paths=paths)
