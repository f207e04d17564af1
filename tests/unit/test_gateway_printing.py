"""Printers of messages as JSON, held against those of protobuf."""

import json

import pytest
from google.protobuf import any_pb2, json_format, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.struct_pb2 import Struct
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.printing import printer
from gateway.upstreams import SERVICES
from skirmish.battle.v1.battle_pb2 import Battle, SubmitBattleResult
from skirmish.player.v1.player_pb2 import CreatePlayerRequest, Player
from tests.messages import messages

RESPONSES = sorted({rpc.output_type for service in SERVICES.values() for rpc in service.methods}, key=lambda d: d.name)


@pytest.mark.parametrize("descriptor", RESPONSES, ids=lambda descriptor: descriptor.name)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_response_is_printed_as_protobuf_prints_it(descriptor: Descriptor, data: st.DataObject) -> None:
    message = data.draw(messages(descriptor))
    expected = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert json.loads(printer(descriptor)(message)) == expected


def test_fields_come_in_the_order_of_the_contract_by_its_names() -> None:
    player = Player(player_id="p", name="Änne", resources_stolen=1 << 40)
    player.create_time.FromJsonString("2026-11-21T10:00:00.25Z")
    assert printer(Player.DESCRIPTOR)(player) == (
        '{"player_id":"p","name":"Änne","description":"","gold":0,"silver":0,"attack":0,"hit_points":0,"luck":0,'
        '"resources_stolen":"1099511627776","create_time":"2026-11-21T10:00:00.250Z"}'
    )


def test_an_optional_field_is_printed_when_it_is_set_even_to_its_default() -> None:
    printed = printer(CreatePlayerRequest.DESCRIPTOR)(CreatePlayerRequest(gold=0))
    assert printed == '{"request_id":"","name":"","description":"","gold":0}'


def test_of_a_oneof_only_the_field_that_is_set_is_printed() -> None:
    printed = printer(SubmitBattleResult.DESCRIPTOR)(SubmitBattleResult(battle=Battle(state=Battle.QUEUED)))
    assert list(json.loads(printed)) == ["battle"]


def test_a_detail_of_an_unknown_type_is_printed_as_bytes() -> None:
    detail = any_pb2.Any(type_url="type.googleapis.com/nobody.Knows", value=b"\x01")
    printed = printer(any_pb2.Any.DESCRIPTOR)(detail)
    assert json.loads(printed) == {"@type": "type.googleapis.com/nobody.Knows", "value": "AQ=="}


@pytest.mark.parametrize(
    "descriptor",
    [
        error_details_pb2.ErrorInfo.DESCRIPTOR,  # a map
        wrappers_pb2.BytesValue.DESCRIPTOR,
        wrappers_pb2.DoubleValue.DESCRIPTOR,
        wrappers_pb2.Int32Value.DESCRIPTOR,
        Struct.DESCRIPTOR,
    ],
    ids=lambda descriptor: descriptor.name,
)
def test_a_type_that_the_contracts_do_not_use_is_refused_when_compiled(descriptor: Descriptor) -> None:
    with pytest.raises(ValueError, match=" not in the contracts"):
        printer(descriptor)
