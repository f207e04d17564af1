"""Bad input for every RPC and route, on both databases: clean errors, no word from inside, no growth of memory."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests import servers
from tests.e2e.stack import Stack
from tests.fuzz.campaign import METHODS, ROUTES, Campaign
from tests.fuzz.memory import megabytes

pytestmark = pytest.mark.timeout(300)  # with the start of a whole set of processes

SEED = 1
GRPC_SHOTS = 6_000
HTTP_SHOTS = 1_000
GROWTH = 20
"""MiB that a process may grow by once it is warm: each gets some 2,500 calls, so a leak of 8 KiB a call is seen."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings: dict[str, str] = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        settings = {f"{name}_DATABASE_URL": servers.new_postgresql_database(url) for name in ("PLAYER", "BATTLE")}
    with Stack(tmp_path_factory.mktemp("fuzz"), 1, **settings).running() as running:
        yield running


@pytest.fixture
async def campaign(stack: Stack) -> AsyncIterator[Campaign]:
    addresses = {"player": stack.player, "battle": stack.battle, "leaderboard": stack.leaderboard}
    async with Campaign(addresses, stack.url, SEED) as made:
        yield made


async def test_odd_bodies_and_noise_are_refused(campaign: Campaign) -> None:
    await campaign.shoot_odd_bodies()
    assert not campaign.problems, "\n".join(campaign.problems)
    await campaign.check_well()


async def test_bad_input_gets_clean_errors_and_leaves_nothing_in_memory(campaign: Campaign, stack: Stack) -> None:
    await campaign.shoot_grpc(GRPC_SHOTS // 4)
    await campaign.shoot_http(HTTP_SHOTS // 4)
    warm = megabytes(stack)
    await campaign.shoot_grpc(GRPC_SHOTS)
    await campaign.shoot_http(HTTP_SHOTS)
    assert not campaign.problems, "\n".join(campaign.problems)
    await campaign.check_well()
    grown = {name: now - warm[name] for name, now in megabytes(stack).items()}
    assert all(growth <= GROWTH for growth in grown.values()), grown
    reached = {outcome.split()[0] for outcome in campaign.outcomes if outcome.endswith((" OK", " 200"))}
    assert reached >= {method.name for method in METHODS} - {"WatchBattle", "WatchEntries"}, "some only ever refused"
    assert len({outcome.split()[0] for outcome in campaign.outcomes}) >= len(ROUTES)
    for name in ("player", "battle", "leaderboard", "gateway", "worker-1"):
        assert "unexpected error" not in stack.log(name), name
