"""The OpenAPI document, the reference and the collection, all made from the contracts."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway.collection import collect
from gateway.errors import to_response
from gateway.openapi import document
from gateway.printing import printer
from gateway.reference import render
from gateway.routes import Binding, Resource, bindings
from gateway.upstreams import SERVICES
from services.common import errors
from tests.messages import messages

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
BINDINGS = [binding for service in SERVICES.values() for binding in bindings(service)]
OPERATIONS = {
    operation["operationId"]: (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def operation(name: str) -> dict[str, Any]:
    found: dict[str, Any] = OPERATIONS[name][2]
    return found


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


def answered(name: str) -> dict[str, Any]:
    """Returns the schema of what an RPC answers, or of each message of a stream."""
    ((kind, media),) = operation(name)["responses"]["200"]["content"].items()
    schema: dict[str, Any] = media["schema"]
    if kind == "text/event-stream":
        schema = schema["anyOf"][0]["properties"]["data"]["contentSchema"]
    return schema


# The document


def test_it_is_a_valid_document() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_route_of_the_contracts_is_told_and_nothing_else_but_the_heartbeat() -> None:
    told = {name: (method.upper(), path) for name, (path, method, _) in OPERATIONS.items()}
    assert told.pop("Heartbeat") == ("GET", "/heartbeat")
    routes = {b.rpc.name: (b.method, re.sub(r"\{\w+\.", "{", b.template.text)) for b in BINDINGS}
    assert told == routes
    assert told["UpdatePlayer"] == ("PATCH", "/v1/players/{player_id}")


def test_no_two_paths_are_told_apart_by_the_names_of_their_variables_alone() -> None:
    shapes = [re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(shapes) == len(set(shapes))


def test_the_words_are_the_contracts_own() -> None:
    told = operation("CreatePlayer")["description"]
    assert told.startswith("Creates a player.\n\nAnswers ALREADY_EXISTS when")
    assert operation("CreatePlayer")["summary"] == "Creates a player"
    assert SCHEMAS["Battle"]["description"] == "A fight between two players."
    assert SCHEMAS["Battle"]["properties"]["sequence"]["description"].startswith("Its place in the order of all")
    assert "- `QUEUED`: It waits for its turn." in SCHEMAS["Battle.State"]["description"]
    (page_size,) = [each for each in operation("ListPlayers")["parameters"] if each["name"] == "page_size"]
    assert page_size["description"] == "How many players at most: 50 when 0, and never more than 100."


def test_everything_is_explained() -> None:
    for name, (_, _, told) in OPERATIONS.items():
        assert told["description"], name
        for parameter in told.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
    of_google = {"Status", "Empty", "ErrorInfo", "BadRequest", "ResourceInfo", "RetryInfo", "LocalizedMessage"}
    for name, schema in SCHEMAS.items():
        if name.split(".")[0] in of_google:
            continue
        assert schema["description"], name
        for field, told in schema.get("properties", {}).items():
            assert told.get("description") or "$ref" in told or field == "error", (name, field)


def test_what_is_referred_to_is_there_and_what_is_there_is_referred_to() -> None:
    used = set(re.findall(r'"#/components/([^"]+)"', json.dumps(DOCUMENT)))
    there = {f"{kind}/{name}" for kind, each in DOCUMENT["components"].items() for name in each}
    assert used == there


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("CreatePlayer", "200 400 408 409 413 415 429 500 503 504"),
        ("GetPlayer", "200 400 404 429 500 503 504"),
        ("ListPlayers", "200 400 429 500 503 504"),
        ("BatchGetPlayers", "200 400 404 429 500 503 504"),
        ("GrantResources", "200 400 404 408 413 415 429 500 503 504"),
        ("GetBattleReport", "200 304 400 404 429 500 503 504"),
        ("ListEntries", "200 304 400 429 500 503 504"),
        ("WatchBattle", "200 400 404 406 429 500 503 504"),
        ("Heartbeat", "200 503"),
    ],
)
def test_an_operation_tells_how_it_may_fail(name: str, statuses: str) -> None:
    assert " ".join(operation(name)["responses"]) == statuses


def test_parameters_are_what_neither_path_nor_body_holds() -> None:
    def places(name: str) -> dict[str, str]:
        return {each["name"]: each["in"] for each in operation(name).get("parameters", ())}

    assert places("GetEntry") == {"board": "path", "player_id": "path"}
    assert places("UpdatePlayer") == {"player_id": "path", "update_mask": "query"}
    assert places("GrantResources") == {"player_id": "path"}
    assert places("CreatePlayer") == {}
    assert "player_id" not in SCHEMAS["GrantResourcesRequest"]["properties"]


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda binding: binding.rpc.name)
@given(data=st.data())
def test_every_response_that_can_be_printed_fits_its_schema(binding: Binding, data: st.DataObject) -> None:
    response: Message = data.draw(messages(binding.rpc.output_type, known_enums=True))
    printed = json.loads(printer(binding.rpc.output_type)(response))
    validator(answered(binding.rpc.name)).validate(printed)


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArgument([errors.Violation("name", "is required")]),
        errors.NotFound("player", "p"),
        errors.ResourceExhausted("too many", "BUSY", 2.5),
        errors.Unavailable("no", service="battle"),
        RuntimeError("a secret"),
    ],
)
def test_every_error_fits_the_schema_of_errors(error: Exception) -> None:
    fits = validator({"$ref": "#/components/schemas/Error"})
    told = json.loads(bytes(to_response(error).body))
    fits.validate(told)
    for broken in ({}, {"error": {**told["error"], "details": [{}]}}, {"error": {**told["error"], "status": "NO"}}):
        assert not fits.is_valid(broken)


def test_a_response_that_lacks_a_field_or_has_another_type_does_not_fit() -> None:
    fits = validator(answered("GetPlayer"))
    player = dict.fromkeys(SCHEMAS["Player"]["required"], 0)
    texts = {"player_id": "p", "name": "A", "description": "", "resources_stolen": "7"}
    assert fits.is_valid({**player, **texts})
    for broken in (player, {**player, **texts, "resources_stolen": 7}, {**player, **texts, "create_time": "now"}):
        assert not fits.is_valid(broken)
    assert not fits.is_valid({name: value for name, value in {**player, **texts}.items() if name != "luck"})


# The reference


class Page(HTMLParser):
    """Reads HTML strictly: everything that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            assert value is not None
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "src"):
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_reference_needs_neither_scripts_nor_anybody_else() -> None:
    page = Page(render(DOCUMENT))
    assert not page.tags & {"script", "style", "iframe", "img"}
    assert "style" not in page.attributes
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(link.startswith(("#", "/")) for link in page.links)


def test_every_link_of_the_reference_leads_somewhere() -> None:
    page = Page(render(DOCUMENT))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert set(OPERATIONS) | set(SCHEMAS) <= set(page.ids)


def test_the_reference_tells_the_words_of_the_contracts() -> None:
    page = Page(render(DOCUMENT))
    for binding in BINDINGS:
        assert operation(binding.rpc.name)["summary"] in page.text
    for schema in SCHEMAS.values():
        for field in schema.get("properties", {}).values():
            assert field.get("description", "").replace("`", "") in page.text


def test_words_are_never_taken_for_markup() -> None:
    told = json.loads(json.dumps(DOCUMENT).replace("Creates a player", "Creates <b>& a `<i>`"))
    page = Page(render(told))
    assert "Creates <b>& a <i>." in page.text


# The collection


def requests() -> dict[str, dict[str, Any]]:
    return {item["name"]: item["request"] for folder in collect(DOCUMENT)["item"] for item in folder["item"]}


def test_the_collection_has_every_operation() -> None:
    assert set(requests()) == set(OPERATIONS)
    assert {name: request["method"] for name, request in requests().items()} == {
        name: method.upper() for name, (_, method, _) in OPERATIONS.items()
    }


def test_every_variable_of_the_collection_is_listed_and_used() -> None:
    made = collect(DOCUMENT)
    listed = {variable["key"]: variable["value"] for variable in made["variable"]}
    assert set(listed) == set(re.findall(r"\{\{(\w+)\}\}", json.dumps(made["item"])))
    assert listed["base_url"].startswith("http://")


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda binding: binding.rpc.name)
def test_every_address_of_the_collection_is_that_of_the_route(binding: Binding) -> None:
    url = requests()[binding.rpc.name]["url"]
    assert url["raw"] == "{{base_url}}/" + "/".join(url["path"])
    path = re.sub(r"\{\{\w+\}\}", "x", "/" + "/".join(url["path"]))
    assert Resource(binding.template.shape, {}).match(path) is not None


def test_bodies_of_the_collection_are_examples_of_their_schemas() -> None:
    for name, request in requests().items():
        body = operation(name).get("requestBody")
        assert ("body" in request) == bool(body)
        if body:
            example = json.loads(request["body"]["raw"])
            assert example
            validator(body["content"]["application/json"]["schema"]).validate(example)
