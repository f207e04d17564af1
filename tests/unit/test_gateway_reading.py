"""Readers of JSON and of query parameters, held against those of protobuf."""

import json
from typing import Any

import pytest
from google.protobuf import json_format, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.rpc import error_details_pb2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.reading import parse_json, parse_query, reader
from gateway.upstreams import SERVICES
from services.common.validation import Violations
from skirmish.battle.v1.battle_pb2 import SubmitBattleResult
from tests.messages import EVERYTHING, messages

REQUESTS = [rpc.input_type for service in SERVICES.values() for rpc in service.methods if rpc.name != "RecordScores"]
Everything: Any = GetMessageClass(EVERYTHING)


def read(descriptor: Descriptor, text: str) -> tuple[Any, dict[str, str]]:
    """Reads JSON, and returns the message and what was wrong, by field."""
    message, wrong = GetMessageClass(descriptor)(), Violations()
    reader(descriptor).read(message, parse_json(text.encode()), "", wrong)
    return message, {violation.field: violation.description for violation in wrong.found}


def read_query(query: str) -> tuple[Any, dict[str, str]]:
    """Reads query parameters, and returns the message and what was wrong, by field."""
    message, wrong = Everything(), Violations()
    reader(EVERYTHING).read_texts(message, parse_query(query, wrong), wrong)
    return message, {violation.field: violation.description for violation in wrong.found}


@pytest.mark.parametrize("by_contract", [True, False], ids=["snake_case", "camelCase"])
@pytest.mark.parametrize("descriptor", REQUESTS, ids=lambda descriptor: descriptor.name)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_what_protobuf_prints_is_read_back(descriptor: Descriptor, by_contract: bool, data: st.DataObject) -> None:
    message = data.draw(messages(descriptor, known_enums=True))
    text = json_format.MessageToJson(message, preserving_proto_field_name=by_contract)
    assert read(descriptor, text) == (message, {})


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]+)?", fullmatch=True),
    st.sampled_from(["NONE", "BIG", "7", "2026-11-21T10:00:00Z", "1.5s", "true", ""]),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from(["string", "int64", "no"]), st.integers(0, 9), max_size=2),
)


@pytest.mark.parametrize("field", list(EVERYTHING.fields), ids=lambda field: field.name)
@given(value=VALUES)
@example(1 << 63)
@example(-(1 << 63))
@example(1e3)
@settings(max_examples=80, deadline=None)
def test_whatever_is_read_protobuf_reads_the_same(field: Any, value: Any) -> None:
    if field.name == "mask":  # read in either form of its names, unlike there
        return
    text = json.dumps({field.name: value})
    message, wrong = read(EVERYTHING, text)
    if not wrong:
        assert message == json_format.Parse(text, Everything())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ('{"string": null, "strings": null, "child": null, "int64": null}', {}),
        ('{"string": "\\u0000é🎲"}', {"string": "\0é🎲"}),
        ('{"int64": "-9223372036854775808"}', {"int64": -(1 << 63)}),
        ('{"int64": 12.0, "uint32": 1e3}', {"int64": 12, "uint32": 1000}),
        ('{"fixed64": 18446744073709551615}', {"fixed64": (1 << 64) - 1}),
        ('{"kind": "BIG", "kinds": [7, "NONE"]}', {"kind": 7, "kinds": [7, 0]}),
        ('{"size": 0, "sure": false}', {"size": {"value": 0}, "sure": {"value": False}}),
        ('{"time": "2026-11-21T12:00:00.5+02:00"}', {"time": {"seconds": 1795255200, "nanos": 500_000_000}}),
        ('{"wait": "1.5s"}', {"wait": {"seconds": 1, "nanos": 500_000_000}}),
        ('{"mask": "hit_points,hitPoints,a.bC,*"}', {"mask": {"paths": ["hit_points", "hit_points", "a.b_c", "*"]}}),
        ('{"mask": ""}', {"mask": {}}),
        ('{"child": {}}', {"child": {}}),
        ('{"children": [{}, {"bool": true}]}', {"children": [{}, {"bool": True}]}),
    ],
)
def test_json_is_read(text: str, expected: dict[str, Any]) -> None:
    assert read(EVERYTHING, text) == (Everything(**expected), {})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"nope": 1}', {"nope": "is not a field of Everything"}),
        ('{"child": {"nope": 1}}', {"child.nope": "is not a field of Child"}),
        ('{"string": 1}', {"string": "must be a string"}),
        ('{"string": ["a"]}', {"string": "must be a string"}),
        ('{"string": "\\ud800"}', {"string": "must be Unicode; it holds half of a surrogate pair"}),
        ('{"bool": "true"}', {"bool": "must be true or false"}),
        ('{"bool": 1}', {"bool": "must be true or false"}),
        ('{"int64": true}', {"int64": "must be a whole number"}),
        ('{"int64": 1.5}', {"int64": "must be a whole number"}),
        ('{"int64": "1 "}', {"int64": "must be a whole number"}),
        ('{"int64": "1_0"}', {"int64": "must be a whole number"}),
        ('{"int64": "\\u0661"}', {"int64": "must be a whole number"}),
        ('{"int64": ""}', {"int64": "must be a whole number"}),
        ('{"int64": 1e400}', {"int64": "must be a whole number"}),
        ('{"fixed64": 18446744073709551616}', {"fixed64": "must be 0 to 18,446,744,073,709,551,615"}),
        ('{"uint32": -1}', {"uint32": "must be 0 to 4,294,967,295"}),
        ('{"kind": "SMALL"}', {"kind": "must be one of NONE, BIG, or the number of one"}),
        ('{"kind": 5}', {"kind": "must be one of NONE, BIG, or the number of one"}),
        ('{"kind": 99999999999}', {"kind": "must be one of NONE, BIG, or the number of one"}),
        ('{"kind": true}', {"kind": "must be one of NONE, BIG, or the number of one"}),
        ('{"time": "yesterday"}', {"time": 'must be a time, as "2026-11-21T10:00:00Z"'}),
        ('{"time": 5}', {"time": 'must be a time, as "2026-11-21T10:00:00Z"'}),
        ('{"time": {"seconds": 5}}', {"time": 'must be a time, as "2026-11-21T10:00:00Z"'}),
        ('{"time": "0000-01-01T00:00:00Z"}', {"time": 'must be a time, as "2026-11-21T10:00:00Z"'}),
        ('{"wait": "5"}', {"wait": 'must be a duration, as "1.5s"'}),
        ('{"mask": ["a"]}', {"mask": "must be a string"}),
        ('{"size": "x"}', {"size": "must be a whole number"}),
        ('{"sure": 0}', {"sure": "must be true or false"}),
        ('{"strings": "a"}', {"strings": "must be a JSON array"}),
        ('{"strings": {}}', {"strings": "must be a JSON array"}),
        ('{"strings": ["a", null, 1]}', {"strings[1]": "must be a string", "strings[2]": "must be a string"}),
        ('{"child": []}', {"child": "must be a JSON object"}),
        ('{"children": [{}, 1, {"int64": "x"}]}', {
            "children[1]": "must be a JSON object",
            "children[2].int64": "must be a whole number",
        }),
        ('{"string": "a", "string": "b"}', {"string": "is given twice"}),
        ('{"string": "a", "string": null}', {"string": "is given twice"}),
        ('{"nope": 1, "string": 2, "bool": 3}', {
            "nope": "is not a field of Everything",
            "string": "must be a string",
            "bool": "must be true or false",
        }),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_json_is_told_by_field(text: str, wrong: dict[str, str]) -> None:
    assert read(EVERYTHING, text)[1] == wrong


def test_an_array_without_end_is_not_read() -> None:
    text = json.dumps({"children": [{}] * 10_001, "strings": ["a"] * 10_000})
    message, wrong = read(EVERYTHING, text)
    assert wrong == {"children": "must hold at most 10,000 elements, not 10,001"}
    assert not message.children


def test_both_forms_of_a_name_are_one_field() -> None:
    text = '{"request_id": "a", "requestId": "b"}'
    assert read(SERVICES["player"].methods_by_name["CreatePlayer"].input_type, text)[1] == {
        "request_id": "is given twice"
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": 1,}', "property name"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a": "\n"}', "control character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "integer"),
    ],
)
def test_what_is_not_json_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("&&", {}),
        ("string=a%20b+c%2Bd", {"string": "a b c+d"}),
        ("string=%2520", {"string": "%20"}),
        ("string=%C3%A9=1", {"string": "é=1"}),
        ("string", {"string": ""}),
        ("string=null", {"string": "null"}),
        ("bool=true", {"bool": True}),
        ("bool=false&sure=false", {"sure": {"value": False}}),
        ("int64=-5&uint32=7", {"int64": -5, "uint32": 7}),
        ("kind=BIG&kinds=7&kinds=NONE", {"kind": 7, "kinds": [7, 0]}),
        ("strings=a&strings=b&strings=", {"strings": ["a", "b", ""]}),
        ("sizes=1&sizes=2", {"sizes": [1, 2]}),
        ("size=5", {"size": {"value": 5}}),
        ("time=2026-11-21T10:00:00Z", {"time": {"seconds": 1795255200}}),
        ("mask=hitPoints,luck", {"mask": {"paths": ["hit_points", "luck"]}}),
        ("child.string=a&child.int64=5", {"child": {"string": "a", "int64": 5}}),
        ("child.strings=a&child.strings=b", {"child": {"strings": ["a", "b"]}}),
    ],
)
def test_query_parameters_are_read(query: str, expected: dict[str, Any]) -> None:
    assert read_query(query) == (Everything(**expected), {})


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("nope=1", {"nope": "is not a field of Everything"}),
        ("=1", {"": "is not a field of Everything"}),
        ("child.nope=1", {"child.nope": "is not a field of Everything"}),
        ("string.a=1", {"string.a": "is not a field of Everything"}),
        ("child.=1", {"child.": "is not a field of Everything"}),
        ("time.seconds=1", {"time.seconds": "is not a field of Everything"}),
        ("children.string=a", {"children.string": "is not a field of Everything"}),
        ("child=a", {"child": "must be given field by field"}),
        ("children=a", {"children": "must be given field by field"}),
        ("string=a&string=a", {"string": "is given twice"}),
        ("child.string=a&child.string=a", {"child.string": "is given twice"}),
        ("int64=x", {"int64": "must be a whole number"}),
        ("int64=", {"int64": "must be a whole number"}),
        ("int64=true", {"int64": "must be a whole number"}),
        ("sizes=1&sizes=4294967296", {"sizes": "must be -2,147,483,648 to 2,147,483,647"}),
        ("bool=1", {"bool": "must be true or false"}),
        ("bool=True", {"bool": "must be true or false"}),
        ("kind=SMALL", {"kind": "must be one of NONE, BIG, or the number of one"}),
        ("time=now", {"time": 'must be a time, as "2026-11-21T10:00:00Z"'}),
        ("string=%ff", {"string": "must be percent-encoded UTF-8"}),
        ("string=%zz", {"string": "must be percent-encoded: ASCII, with a % before two hexadecimal digits alone"}),
        ("string=é", {"string": "must be percent-encoded: ASCII, with a % before two hexadecimal digits alone"}),
        ("string=%2", {"string": "must be percent-encoded: ASCII, with a % before two hexadecimal digits alone"}),
        ("nope=1&int64=x", {"nope": "is not a field of Everything", "int64": "must be a whole number"}),
    ],
)
def test_all_that_is_wrong_with_query_parameters_is_told_by_field(query: str, wrong: dict[str, str]) -> None:
    assert read_query(query)[1] == wrong


@pytest.mark.parametrize(
    "message",
    [
        error_details_pb2.ErrorInfo(),  # a map
        wrappers_pb2.BytesValue(),
        wrappers_pb2.DoubleValue(),
        Struct(),
        SubmitBattleResult(),  # a oneof
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_type_that_requests_do_not_use_is_refused_when_compiled(message: Message) -> None:
    with pytest.raises(ValueError, match="not in the"):
        reader(message.DESCRIPTOR)
