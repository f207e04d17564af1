"""Routes: templates, what they match, and what the contracts' annotations say."""

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.routes import Resource, Template, bindings, resources
from gateway.upstreams import SERVICES


async def endpoint(_: Request) -> Response:
    return Response()


def match(table: dict[str, Resource], path: str) -> tuple[str, tuple[str, ...]] | None:
    for shape, resource in table.items():
        values = resource.match(path)
        if values is not None:
            return shape, values
    return None


@pytest.fixture(scope="module")
def contracts() -> dict[str, Resource]:
    shapes = {binding.template.shape for service in SERVICES.values() for binding in bindings(service)}
    return {shape: Resource(shape, {"GET": endpoint}) for shape in shapes}


@pytest.mark.parametrize(
    ("text", "shape", "variables"),
    [
        ("/v1/players", "/v1/players", ()),
        ("/v1/players/{player_id}", "/v1/players/{}", ("player_id",)),
        ("/v1/players/{player.player_id}", "/v1/players/{}", ("player.player_id",)),
        ("/v1/players:batchGet", "/v1/players:batchGet", ()),
        ("/v1/a/{b}/c/{d}:verb", "/v1/a/{}/c/{}:verb", ("b", "d")),
    ],
)
def test_a_template_is_read(text: str, shape: str, variables: tuple[str, ...]) -> None:
    assert Template.parse(text) == Template(text, shape, variables)


@pytest.mark.parametrize(
    "text",
    [
        "v1/players",
        "/v1/players/",
        "/v1//players",
        "/v1/*",
        "/v1/**",
        "/v1/{name=shelves/*}",
        "/v1/{}",
        "/v1/{a}{b}",
        "/v1/x{a}",
        "/v1:a:b",
        "/v1:a/b",
        "/v1/{a",
        "",
    ],
)
def test_a_template_beyond_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="want literal segments"):
        Template.parse(text)


@pytest.mark.parametrize(
    ("path", "shape", "values"),
    [
        ("/v1/players", "/v1/players", ()),
        ("/v1/players:batchGet", "/v1/players:batchGet", ()),
        ("/v1/players/p", "/v1/players/{}", ("p",)),
        ("/v1/players/batchGet", "/v1/players/{}", ("batchGet",)),
        ("/v1/players/p:grantResources", "/v1/players/{}:grantResources", ("p",)),
        ("/v1/players/p/ledgerEntries", "/v1/players/{}/ledgerEntries", ("p",)),
        ("/v1/battles:submitBatch", "/v1/battles:submitBatch", ()),
        ("/v1/battles:watch", "/v1/battles:watch", ()),
        ("/v1/battles/b:watch", "/v1/battles/{}:watch", ("b",)),
        ("/v1/battles/b:verify", "/v1/battles/{}:verify", ("b",)),
        ("/v1/battles/b/report", "/v1/battles/{}/report", ("b",)),
        ("/v1/leaderboards/daily@2026-11-21/entries", "/v1/leaderboards/{}/entries", ("daily@2026-11-21",)),
        ("/v1/leaderboards/all/entries:batchGet", "/v1/leaderboards/{}/entries:batchGet", ("all",)),
        ("/v1/leaderboards/all/entries/p", "/v1/leaderboards/{}/entries/{}", ("all", "p")),
        ("/v1/leaderboards/all/entries/p:around", "/v1/leaderboards/{}/entries/{}:around", ("all", "p")),
        ("/v1/leaderboards/a%2Fb/entries", "/v1/leaderboards/{}/entries", ("a%2Fb",)),
        ("/v1/players/a%3Ab", "/v1/players/{}", ("a%3Ab",)),
    ],
)
def test_a_path_finds_its_route_and_no_other(
    contracts: dict[str, Resource], path: str, shape: str, values: tuple[str, ...]
) -> None:
    assert match(contracts, path) == (shape, values)
    others = {other: resource for other, resource in contracts.items() if other != shape}
    assert match(others, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/players/",
        "/v1/players/p/",
        "/v1/players//ledgerEntries",
        "/v1/players:batchget",
        "/v1/players/p:batchGet",
        "/v1/players/a:b",
        "/v1/players/:grantResources",
        "/v1/players%3AbatchGet",
        "/V1/players",
        "/v1/players/p/ledgerEntries/x",
        "//v1/players",
        "/v1/players\n",
    ],
)
def test_another_path_finds_no_route(contracts: dict[str, Resource], path: str) -> None:
    assert match(contracts, path) is None


def test_a_literal_segment_goes_before_a_variable() -> None:
    table = resources({("/v1/{}/x", "GET"): endpoint, ("/v1/me/x", "GET"): endpoint, ("/v1/{}", "GET"): endpoint})
    found = [resource for resource in table if resource.match("/v1/me/x") is not None]
    assert len(found) == 2
    assert found[0].match("/v1/other/x") is None


def test_the_contracts_give_public_rpcs_their_routes_and_the_internal_one_none() -> None:
    routes = {
        binding.rpc.name: (binding.method, binding.template.text, binding.body)
        for service in SERVICES.values()
        for binding in bindings(service)
    }
    assert "RecordScores" not in routes
    assert (
        routes.items()
        >= {
            "CreatePlayer": ("POST", "/v1/players", "*"),
            "GetPlayer": ("GET", "/v1/players/{player_id}", ""),
            "BatchGetPlayers": ("GET", "/v1/players:batchGet", ""),
            "ListPlayers": ("GET", "/v1/players", ""),
            "UpdatePlayer": ("PATCH", "/v1/players/{player.player_id}", "player"),
            "DeletePlayer": ("DELETE", "/v1/players/{player_id}", ""),
            "GrantResources": ("POST", "/v1/players/{player_id}:grantResources", "*"),
            "ListLedgerEntries": ("GET", "/v1/players/{player_id}/ledgerEntries", ""),
            "SubmitBattle": ("POST", "/v1/battles", "*"),
            "SubmitBattles": ("POST", "/v1/battles:submitBatch", "*"),
            "GetBattle": ("GET", "/v1/battles/{battle_id}", ""),
            "GetBattleReport": ("GET", "/v1/battles/{battle_id}/report", ""),
            "ListBattles": ("GET", "/v1/battles", ""),
            "WatchBattle": ("GET", "/v1/battles/{battle_id}:watch", ""),
            "WatchBattles": ("GET", "/v1/battles:watch", ""),
            "VerifyBattle": ("GET", "/v1/battles/{battle_id}:verify", ""),
            "ListEntries": ("GET", "/v1/leaderboards/{board}/entries", ""),
            "GetEntry": ("GET", "/v1/leaderboards/{board}/entries/{player_id}", ""),
            "BatchGetEntries": ("GET", "/v1/leaderboards/{board}/entries:batchGet", ""),
            "ListEntriesAround": ("GET", "/v1/leaderboards/{board}/entries/{player_id}:around", ""),
        }.items()
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"custom": {"kind": "FETCH", "path": "/v1/x"}},
        {"get": "/v1/x", "response_body": "name"},
        {"get": "/v1/x", "additional_bindings": [{"get": "/v1/y"}]},
        {"get": "/v1/{x=**}"},
    ],
    ids=str,
)
def test_an_annotation_that_the_gateway_does_not_know_is_refused(rule: dict[str, object]) -> None:
    pool = descriptor_pool.DescriptorPool()
    empty = descriptor_pb2.FileDescriptorProto()
    empty_pb2.DESCRIPTOR.CopyToProto(empty)
    pool.Add(empty)
    file = descriptor_pb2.FileDescriptorProto(name="odd.proto", package="odd", dependency=[empty.name])
    method = file.service.add(name="Odd").method.add(name="Odd")
    method.input_type = method.output_type = ".google.protobuf.Empty"
    method.options.Extensions[annotations_pb2.http].CopyFrom(http_pb2.HttpRule(**rule))
    pool.Add(file)
    with pytest.raises(ValueError, match=r"odd\.Odd\.Odd: want one route|want literal segments"):
        list(bindings(pool.FindServiceByName("odd.Odd")))
