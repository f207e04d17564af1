"""The errors that a caller may see, and how they travel.

Domain code raises these; the boundary interceptor turns them into gRPC statuses, once, at the edge.

    SkirmishError
        InvalidArgument       the request is wrong, whatever the state of the server; names every wrong field
        NotFound              no such thing
        AlreadyExists         its unique name or id is taken
        FailedPrecondition    right in itself, but not as things are now
        ResourceExhausted     a limit is reached; says when to try again
        Unavailable           something this server needs is out of reach; try again
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "skirmish"
"""The ``domain`` of every ErrorInfo."""
MOST_DETAILS = 50
"""How many wrong fields or missing things one status tells of. A status travels in HTTP/2 headers, of which clients by
default take no more than 8 KiB; beyond that they lose all of it and see RESOURCE_EXHAUSTED instead of its code."""
MOST_IN_MESSAGE = 10


@dataclass(frozen=True)
class Violation:
    """One wrong field: its path in the request, as the contract spells it, and a sentence that says how to mend it."""

    field: str
    description: str


class SkirmishError(Exception):
    """A failure that a caller may see.

    Args:
        message: A sentence for people.
        reason: What a program tells the failure by, in UPPER_SNAKE_CASE.
        metadata: Further facts for programs.
    """

    code = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, reason: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = metadata

    def details(self) -> list[Message]:
        """Returns the google.rpc details; the ErrorInfo comes first."""
        return [error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)]


class InvalidArgument(SkirmishError):
    """The request is wrong. Carries every violation that was found; of very many the first 50 are told."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, violations: Iterable[Violation], reason: str = "INVALID_FIELDS") -> None:
        self.violations = list(violations)
        super().__init__(_listed([f"{v.field}: {v.description}" for v in self.violations], "; "), reason)

    def details(self) -> list[Message]:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in self.violations[:MOST_DETAILS]
        ]
        return [*super().details(), error_details_pb2.BadRequest(field_violations=fields)]


class NotFound(SkirmishError):
    """There is no such thing.

    Args:
        resource_type: What was looked for, as "player".
        names: Every name that was looked for and not found. The first 50 are told.
    """

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, resource_type: str, *names: str, message: str = "") -> None:
        self.resource_type = resource_type
        self.names = names
        super().__init__(
            message or f"no such {resource_type}: {_listed(names, ', ')}", f"{resource_type.upper()}_NOT_FOUND"
        )

    def details(self) -> list[Message]:
        resources = [
            error_details_pb2.ResourceInfo(resource_type=self.resource_type, resource_name=name)
            for name in self.names[:MOST_DETAILS]
        ]
        return [*super().details(), *resources]


class AlreadyExists(SkirmishError):
    """Its unique name or id is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(SkirmishError):
    """The request is right in itself, but not as things are now."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class ResourceExhausted(SkirmishError):
    """A limit is reached.

    Args:
        retry_delay: Seconds after which another try makes sense.
    """

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, message: str, reason: str, retry_delay: float, **metadata: str) -> None:
        super().__init__(message, reason, **metadata)
        self.retry_delay = retry_delay

    def details(self) -> list[Message]:
        delay = Duration()
        delay.FromMilliseconds(int(self.retry_delay * 1000))
        return [*super().details(), error_details_pb2.RetryInfo(retry_delay=delay)]


class Unavailable(SkirmishError):
    """Something this server needs is out of reach. The same call may be sent again."""

    code = grpc.StatusCode.UNAVAILABLE

    def __init__(self, message: str, reason: str = "DEPENDENCY_UNAVAILABLE", **metadata: str) -> None:
        super().__init__(message, reason, **metadata)


def _listed(texts: Sequence[str], separator: str, most: int = 10) -> str:
    """Returns the texts as one, the last ones only as a number where they are many."""
    more = f"{separator}and {len(texts) - most:,} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def _sentence(parts: Sequence[str], separator: str) -> str:
    more = f"{separator}and {len(parts) - MOST_IN_MESSAGE} more" if len(parts) > MOST_IN_MESSAGE else ""
    return separator.join(parts[:MOST_IN_MESSAGE]) + more


def to_status(error: SkirmishError) -> status_pb2.Status:
    """Returns the error as a google.rpc.Status with its details."""
    status = status_pb2.Status(code=error.code.value[0], message=error.message)
    for detail in error.details():
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
