"""What an answer to bad input may look like."""

import json
import re
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

CLEAN = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""What bad input may be refused with. UNAVAILABLE is not among them: nothing is down."""
GRPC_ITSELF = ("received metadata size exceeds", "Method not found!", "Received message larger than max")
"""How gRPC begins what it refuses by itself, before it reaches a handler: without details, but in no words of ours."""
CLEAN_HTTP = {400, 404, 405, 406, 408, 409, 412, 413, 414, 415, 429, 431}

_ROOT = Path(__file__).resolve().parents[2]
_TELLTALES = re.compile(
    r"Traceback|sqlalchemy|psycopg|sqlite|redis\.|asyncio|uvicorn|starlette|httptools|grpc\._|google\.protobuf|DecodeError"
    r'|File "|\.py\b|<class|object at 0x|Exception|Error\(|Error:|sys\.|SELECT |INSERT |UPDATE player|internal error|'
    + re.escape(str(_ROOT))
)
"""What a text from inside would show. Nothing that is sent as input holds any of it, so that an echo is not one."""


def problem_of_status(status: status_pb2.Status) -> str:
    """Returns what is wrong with a refusal of ours, "" when nothing is."""
    codes = {code.value[0]: code for code in grpc.StatusCode}
    if codes.get(status.code) not in CLEAN:
        return f"code {status.code}: {status.message}"
    if _TELLTALES.search(status.message) or _TELLTALES.search(str(status.details)):
        return f"tells of the inside: {status}"
    info = error_details_pb2.ErrorInfo()
    if not status.message or not status.details or not status.details[0].Unpack(info) or info.domain != "skirmish":
        return f"has no ErrorInfo: {status}"
    return ""


def problem_of_call(error: grpc.aio.AioRpcError) -> str:
    """Returns what is wrong with the refusal of a call, "" when nothing is."""
    details = error.details() or ""
    if details.startswith(GRPC_ITSELF):
        return ""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError as mismatch:
        return f"{error.code()}: {details}: {mismatch}"
    if status is None:
        return f"{error.code()} without details: {details}"
    return problem_of_status(status)


def problem_of_answer(message: Message) -> str:
    """Returns what is wrong with refusals inside an answer, "" when nothing is."""
    for result in getattr(message, "results", ()):
        if "error" in result.DESCRIPTOR.fields_by_name and result.HasField("error"):
            return problem_of_status(result.error)
    return ""


def problem_of_noise(answer: bytes) -> str:
    """Returns what is wrong with what came back for noise: nothing, or refusals, is right."""
    shown = answer.decode("latin-1")
    if _TELLTALES.search(shown) or shown.startswith("HTTP/1.1 5"):
        return f"answers {answer[:500]!r}"
    return ""


def problem_of_http(status: int, content_type: str, body: bytes) -> str:
    """Returns what is wrong with the gateway's refusal, "" when nothing is."""
    if status not in CLEAN_HTTP:
        return f"HTTP {status}: {body[:500]!r}"
    try:
        error: Any = json.loads(body)["error"]
        info = error["details"][0]
        good = error["code"] == status and error["message"] and info["domain"] == "skirmish" and info["reason"]
    except (ValueError, LookupError, TypeError):
        good = False
    if not good or content_type != "application/json":
        return f"is not an error of the gateway's form: {content_type} {body[:500]!r}"
    if _TELLTALES.search(body.decode()):
        return f"tells of the inside: {body[:500]!r}"
    return ""
