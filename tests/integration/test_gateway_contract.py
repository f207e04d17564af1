"""The real gateway in front of the real services, held against its own OpenAPI document by schemathesis."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from gateway.openapi import document
from services.common import redis
from skirmish.battle.v1 import battle_pb2
from skirmish.player.v1 import player_pb2
from tests import checks
from tests.trio import running_trio
from tests.upstreams import gateway_client

OPERATIONS = {
    operation["operationId"]: operation for methods in document()["paths"].values() for operation in methods.values()
}
SCHEMA = schemathesis.openapi.from_dict(document())
UNCONDITIONAL = ("GetQueueStatus", "Heartbeat")
"""Operations that are asked for nothing, so that nothing can be wrong."""
NOT_TOLD: list[Any] = [
    positive_data_acceptance,  # what a value must be beyond its type, the contracts tell in words
    negative_data_rejection,  # more is taken than the canonical form: null for what is not set, numbers for enums
]
EXAMPLES = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
"""Of each kind of requests, for each operation."""


NOBODY = "01900000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Gateway:
    """A running gateway, and ids of what its services know."""

    url: str
    player_ids: list[str]
    battle_ids: list[str]

    def about_what_there_is(self, operation: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        """Makes parameters and bodies about what there is, or might be."""
        player = st.sampled_from([*self.player_ids, NOBODY])
        players = st.lists(player, min_size=1, max_size=3)
        fight = {"challenger_id": player, "opponent_id": player}
        few = st.integers(-1, 90)
        in_path: dict[str, st.SearchStrategy[Any]] = {
            "player_id": player,
            "battle_id": st.sampled_from([*self.battle_ids[:3], NOBODY]),
            "board": st.sampled_from(["all", "daily", "weekly", "monthly", "daily@2026-11-21"]),
        }
        named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
        in_path = {name: in_path[name] for name in named}
        more: dict[str, dict[str, dict[str, st.SearchStrategy[Any]]]] = {
            "BatchGetPlayers": {"query": {"player_ids": players}},
            "BatchGetEntries": {"query": {"player_ids": players}},
            "ListBattles": {"query": {"player_id": player, "page_size": few}},
            "WatchBattles": {"query": {"player_id": player}},
            "CreatePlayer": {"body": {"name": st.text("abc Äé🎲", min_size=1, max_size=20), "luck": few}},
            "UpdatePlayer": {"body": {"luck": few, "description": st.text(max_size=5)}},
            "GrantResources": {"body": {"gold": few, "silver": few}},
            "SubmitBattle": {"body": fight},
            "SubmitBattles": {"body": {"requests": st.lists(st.fixed_dictionaries(fight), max_size=3)}},
        }
        places = {"path_parameters": in_path, **more.get(operation["operationId"], {})}
        return st.fixed_dictionaries({place: st.fixed_dictionaries(fields) for place, fields in places.items()})


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, redis_server_url: str) -> AsyncIterator[Gateway]:
    """A gateway whose streams end soon, in front of services with a few players and battles."""
    client = redis.connect(redis_server_url)
    await client.flushall()
    await client.aclose()
    folder: Path = tmp_path_factory.mktemp("contract")
    numbers = itertools.count()
    async with running_trio(lambda: f"sqlite:///{folder}/{next(numbers)}.db", redis_server_url) as trio:
        made = [
            await trio.skirmish.players.CreatePlayer(player_pb2.CreatePlayerRequest(name=f"Player {number}"))
            for number in range(4)
        ]
        ids = [player.player_id for player in made]
        fights = [
            battle_pb2.SubmitBattleRequest(challenger_id=one, opponent_id=other)
            for one, other in itertools.permutations(ids, 2)
        ]
        submitted = await trio.skirmish.battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=fights))
        await checks.all_ended(trio.skirmish)
        await checks.boards_complete(trio.skirmish)
        async with gateway_client(**trio.addresses, stream_lifetime=1) as http:
            yield Gateway(str(http.base_url), ids, [result.battle.battle_id for result in submitted.results])


# The services, in this process too, may well use it while a request is made up.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("name", sorted(OPERATIONS, key="DeletePlayer".__eq__))
async def test_no_answer_is_a_server_error_or_other_than_the_document_says(gateway: Gateway, name: str) -> None:
    operation: Any = SCHEMA.find_operation_by_id(name)
    told = OPERATIONS[name]
    kinds = [
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        gateway.about_what_there_is(told).flatmap(lambda given: operation.as_strategy(**given)),
    ]
    if "requestBody" in told or any(each["in"] == "query" for each in told.get("parameters", ())):
        kinds.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    # A stream that has no end takes its lifetime.
    examples: Any = settings(EXAMPLES, max_examples=4) if "text/event-stream" in str(told["responses"]) else EXAMPLES
    answered: Counter[int] = Counter()

    def send(case: "Case[Any]") -> None:
        answered[case.call_and_validate(base_url=gateway.url, excluded_checks=NOT_TOLD).status_code] += 1

    for cases in kinds:
        tried: Any = given(cases)
        await asyncio.to_thread(examples(tried(send)))
    assert answered[200]
    assert (answered[400] == 0) == (name in UNCONDITIONAL)
