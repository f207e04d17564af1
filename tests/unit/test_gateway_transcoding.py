"""Plans of RPCs: where a request's fields come from."""

from typing import Any

import pytest

from gateway.errors import HttpError
from gateway.routes import Binding, Template, bindings
from gateway.transcoding import Transcoder
from gateway.upstreams import SERVICES
from services.common.errors import InvalidArgument
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2

BINDINGS = {binding.rpc.name: binding for service in SERVICES.values() for binding in bindings(service)}


def request(rpc: str, *path_values: str, query: str = "", body: str = "") -> Any:
    return Transcoder(BINDINGS[rpc]).request(path_values, query, body.encode())


def wrong(rpc: str, *path_values: str, query: str = "", body: str = "") -> dict[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        request(rpc, *path_values, query=query, body=body)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_a_path_binds_a_field() -> None:
    assert request("GetPlayer", "p") == player_pb2.GetPlayerRequest(player_id="p")


def test_a_path_binds_a_field_of_a_field() -> None:
    made = request("UpdatePlayer", "p", body='{"attack": 5}')
    assert made == player_pb2.UpdatePlayerRequest(player={"player_id": "p", "attack": 5})


def test_a_path_binds_several_fields_in_its_order() -> None:
    made = request("GetEntry", "daily@2026-11-21", "p")
    assert made == leaderboard_pb2.GetEntryRequest(board="daily@2026-11-21", player_id="p")


@pytest.mark.parametrize(
    ("text", "decoded"), [("a%2Fb", "a/b"), ("a%3Ab", "a:b"), ("a+b", "a+b"), ("%2520", "%20"), ("%C3%A9", "é")]
)
def test_a_path_is_percent_decoded_once(text: str, decoded: str) -> None:
    assert request("GetPlayer", text).player_id == decoded


@pytest.mark.parametrize("text", ["%ff", "%", "%2", "a%zz"])
def test_a_path_that_is_wrongly_encoded_is_refused(text: str) -> None:
    assert "percent-encoded" in wrong("GetPlayer", text)["player_id"]


def test_the_query_holds_what_the_path_does_not_bind() -> None:
    made = request("ListLedgerEntries", "p", query="page_size=5&pageToken=t")
    assert made == player_pb2.ListLedgerEntriesRequest(player_id="p", page_size=5, page_token="t")


def test_the_query_holds_what_a_body_field_does_not() -> None:
    made = request("UpdatePlayer", "p", query="update_mask=luck", body='{"luck": 3}')
    assert list(made.update_mask.paths) == ["luck"]


def test_the_body_holds_the_whole_request_less_what_the_path_binds() -> None:
    made = request("GrantResources", "p", body='{"gold": -5, "requestId": "r", "reason": "a fine"}')
    assert made == player_pb2.GrantResourcesRequest(player_id="p", gold=-5, request_id="r", reason="a fine")


def test_an_empty_body_is_an_empty_object() -> None:
    assert request("GrantResources", "p").player_id == "p"


def test_a_resource_can_be_sent_back_as_it_was_got() -> None:
    transcoder = Transcoder(BINDINGS["GetPlayer"])
    player = player_pb2.Player(player_id="p", name="A", gold=5, resources_stolen=7)
    player.create_time.FromJsonString("2026-11-21T10:00:00Z")
    made = request("UpdatePlayer", "p", body=transcoder.response(player))
    assert made.player == player


@pytest.mark.parametrize("body", ['{"player_id": "q"}', '{"playerId": "q", "gold": 1}'])
def test_the_body_can_not_say_otherwise_than_the_path(body: str) -> None:
    assert wrong("GrantResources", "p", body=body) == {"player_id": "must be the same as in the path, or be left out"}


def test_a_body_field_can_not_say_otherwise_than_the_path() -> None:
    assert list(wrong("UpdatePlayer", "p", body='{"player_id": "q"}')) == ["player.player_id"]


def test_the_query_can_not_say_otherwise_than_the_path() -> None:
    assert list(wrong("GetPlayer", "p", query="player_id=q")) == ["player_id"]
    assert request("GetPlayer", "p", query="player_id=p").player_id == "p"


@pytest.mark.parametrize(
    ("rpc", "values", "query", "field"),
    [
        ("CreatePlayer", (), "name=A", "name"),
        ("CreatePlayer", (), "nope=A", "nope"),
        ("UpdatePlayer", ("p",), "player.luck=3", "player.luck"),
        ("UpdatePlayer", ("p",), "player=x", "player"),
    ],
)
def test_what_belongs_into_the_body_is_not_taken_from_the_query(
    rpc: str, values: tuple[str, ...], query: str, field: str
) -> None:
    assert wrong(rpc, *values, query=query, body="{}") == {field: "belongs into the body, not into the query"}


def test_all_that_is_wrong_is_told_wherever_it_stands() -> None:
    assert set(wrong("UpdatePlayer", "%ff", query="x=1", body='{"luck": "x", "y": 2}')) == {
        "x",
        "player.luck",
        "player.y",
        "player.player_id",
    }


def test_a_violation_in_a_list_has_its_index() -> None:
    body = '{"requests": [{}, {"opponent_id": 5}]}'
    assert wrong("SubmitBattles", body=body) == {"requests[1].opponent_id": "must be a string"}


@pytest.mark.parametrize("body", ["[]", "null", '"x"', "5"])
def test_a_body_must_be_an_object(body: str) -> None:
    with pytest.raises(HttpError, match="must be a JSON object"):
        request("CreatePlayer", body=body)


@pytest.mark.parametrize("body", ["[]", '"x"', "null"])
def test_a_body_that_is_a_field_must_be_an_object(body: str) -> None:
    assert wrong("UpdatePlayer", "p", body=body) == {"player": "must be a JSON object"}


def test_a_call_without_a_request_id_gets_one_since_it_may_be_sent_twice() -> None:
    made = [request("CreatePlayer", body="{}").request_id for _ in range(2)]
    assert made[0]
    assert made[1]
    assert made[0] != made[1]
    assert request("CreatePlayer", body='{"request_id": "mine"}').request_id == "mine"


def test_every_call_of_a_batch_gets_a_request_id() -> None:
    made = request("SubmitBattles", body='{"requests": [{"request_id": "mine"}, {}, {}]}')
    ids = [each.request_id for each in made.requests]
    assert ids[0] == "mine"
    assert len(set(ids)) == 3
    assert all(ids)


def test_the_response_is_printed_as_json() -> None:
    response = battle_pb2.VerifyBattleResponse(matches=True)
    assert Transcoder(BINDINGS["VerifyBattle"]).response(response) == '{"matches":true,"differences":[]}'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/{nope}", ""),
        ("/v1/{player}", ""),
        ("/v1/{player.nope}", ""),
        ("/v1/{player.player_id.x}", ""),
        ("/v1/x", "nope"),
        ("/v1/x", "update_mask"),
    ],
)
def test_a_route_that_does_not_fit_its_request_is_refused_at_the_start(path: str, body: str) -> None:
    rpc = SERVICES["player"].methods_by_name["UpdatePlayer"]
    with pytest.raises(ValueError, match="UpdatePlayer"):
        Transcoder(Binding(rpc, "PATCH", Template.parse(path), body))
