"""Errors in the form that HTTP clients see."""

import json
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import code_pb2, error_details_pb2, status_pb2
from structlog.testing import capture_logs

from gateway.errors import HTTP_STATUS, HttpError, UpstreamError, to_response
from services.common.errors import InvalidArgument, NotFound, ResourceExhausted, Violation


def told(error: Exception) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(to_response(error).body))
    assert list(body) == ["error"]
    told: dict[str, Any] = body["error"]
    return told


def test_an_error_is_told_as_aip_193_says() -> None:
    response = to_response(NotFound("player", "p"))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert told(NotFound("player", "p")) == {
        "code": 404,
        "message": "no such player: p",
        "status": "NOT_FOUND",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "PLAYER_NOT_FOUND",
                "domain": "skirmish",
                "metadata": {},
            },
            {
                "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                "resource_type": "player",
                "resource_name": "p",
                "owner": "",
                "description": "",
            },
        ],
    }


def test_every_violation_is_told() -> None:
    details = told(InvalidArgument([Violation("name", "is required"), Violation("luck", "is too high")]))["details"]
    violations = [(each["field"], each["description"]) for each in details[1]["field_violations"]]
    assert violations == [("name", "is required"), ("luck", "is too high")]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_has_its_http_status(code: grpc.StatusCode) -> None:
    status = status_pb2.Status(code=code.value[0], message="sorry")
    assert to_response(UpstreamError(status)).status_code == HTTP_STATUS[code]
    assert told(UpstreamError(status))["status"] == code.name == code_pb2.Code.Name(code.value[0])


@pytest.mark.parametrize(("delay", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (30.0, "30")])
def test_a_retry_delay_is_a_header_too_in_whole_seconds(delay: float, header: str) -> None:
    response = to_response(ResourceExhausted("too many", "BUSY", delay))
    assert (response.status_code, response.headers["retry-after"]) == (429, header)


def test_an_error_without_a_retry_delay_has_no_such_header() -> None:
    assert "retry-after" not in to_response(NotFound("player", "p")).headers


def test_a_refusal_of_http_has_its_own_status_and_headers() -> None:
    error = HttpError(405, grpc.StatusCode.UNIMPLEMENTED, "no", "METHOD_NOT_ALLOWED", {"allow": "GET"})
    response = to_response(error)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert (told(error)["code"], told(error)["status"]) == (405, "UNIMPLEMENTED")


def test_a_detail_of_an_unknown_type_does_not_hide_the_error() -> None:
    status = status_pb2.Status(code=5, message="gone", details=[Packed(type_url="x.y/nobody.Knows", value=b"\x01")])
    assert told(UpstreamError(status))["details"] == [{"@type": "x.y/nobody.Knows", "value": "AQ=="}]


def test_an_unexpected_error_is_masked_with_an_incident_that_the_log_knows() -> None:
    with capture_logs() as logs:
        error = told(RuntimeError("the password is hunter2"))
    (line,) = logs
    assert (error["code"], error["status"]) == (500, "INTERNAL")
    assert "hunter2" not in json.dumps(error)
    assert error["details"][0]["metadata"]["incident"] == line["incident"]
    assert line["incident"] in error["message"]
    assert "hunter2" in str(line["exc_info"])


def test_the_first_retry_delay_of_several_details_is_found() -> None:
    status = status_pb2.Status(code=8)
    for detail in (error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(retry_delay={"seconds": 3})):
        status.details.add().Pack(detail)
    assert to_response(UpstreamError(status)).headers["retry-after"] == "3"
