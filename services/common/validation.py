"""Checks of request fields that more than one service needs. Each finds every violation, not the first."""

import re

from services.common import pages
from services.common.errors import InvalidArgument, Violation

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_REQUEST_ID = re.compile(r"[!-~]{1,64}")


def is_uuid(value: str) -> bool:
    """Tells whether a text is a UUID in its canonical form: 36 characters, lower case."""
    return _UUID.fullmatch(value) is not None


def is_request_id(value: str) -> bool:
    """Tells whether a text is a request id, or empty: there need be none."""
    return not value or _REQUEST_ID.fullmatch(value) is not None


class Violations:
    """Collects what is wrong with a request, to be told all at once.

    >>> with Violations() as wrong:
    ...     wrong.check(count <= 500, "requests", "at most 500 in one call")

    Leaving the block raises InvalidArgument when anything was collected.
    """

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def __enter__(self) -> "Violations":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.found:
            raise InvalidArgument(self.found)

    def add(self, field: str, description: str) -> None:
        """Notes a violation of a field."""
        self.found.append(Violation(field, description))

    def check(self, right: bool, field: str, description: str) -> bool:
        """Notes a violation unless the field is right. Returns whether it is."""
        if not right:
            self.add(field, description)
        return right

    def uuid(self, field: str, value: str) -> bool:
        """Wants a canonical UUID."""
        if not value:
            return self.check(False, field, "is required: a UUID as the server gave it out")
        return self.check(is_uuid(value), field, "must be a UUID in lower case, as the server gave it out")

    def uuids(self, field: str, values: list[str], limit: int) -> None:
        """Wants 1 to ``limit`` canonical UUIDs."""
        if self.check(0 < len(values) <= limit, field, f"must hold 1 to {limit:,} ids, not {len(values):,}"):
            for index, value in enumerate(values):
                self.uuid(f"{field}[{index}]", value)

    def request_id(self, field: str, value: str) -> bool:
        """Wants no request id, or 1 to 64 visible ASCII characters."""
        return self.check(is_request_id(value), field, "must be 1 to 64 visible ASCII characters, a UUID for example")

    def between(self, field: str, value: int, low: int, high: int) -> bool:
        """Wants a number of a range."""
        return self.check(low <= value <= high, field, f"must be {low:,} to {high:,}, not {value:,}")

    def page_size(self, value: int, default: int = 50, limit: int = 100, field: str = "page_size") -> int:
        """Wants a page size and returns the one to use: the default for 0, the limit for anything above it."""
        self.check(value >= 0, field, f"must not be negative; leave it out for {default}")
        return min(value, limit) if value > 0 else default

    def page_token(self, scope: tuple[object, ...], token: str) -> pages.Cursor | None:
        """Wants a token of this list and filter, or none. Returns its cursor; see ``pages.decode_token``."""
        try:
            return pages.decode_token(scope, token)
        except InvalidArgument as error:
            self.found += error.violations
            return None
