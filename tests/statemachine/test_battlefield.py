"""Everything that clients and operators may do, in any order, against the real services on both databases."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.statemachine.arena import running_arena
from tests.statemachine.battlefield import Battlefield

EXAMPLES = int(os.environ.get("SKIRMISH_EXAMPLES", "0"))
"""How many random examples to try, each a different one every time; 0 for the few that are the same every time."""

SETTINGS = settings(
    max_examples=EXAMPLES or 30,
    stateful_step_count=20,
    derandomize=not EXAMPLES,
    print_blob=True,
    database=None,
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.generate,
    ],  # what goes wrong with real servers may not go wrong twice, so no shrinking
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(300 + 10 * EXAMPLES)
def test_whatever_clients_do_everything_adds_up(new_database: Callable[[], str], redis_server_url: str) -> None:
    with running_arena(new_database, redis_server_url) as arena:
        run_state_machine_as_test(lambda: Battlefield(arena), settings=SETTINGS)  # type: ignore[arg-type]
