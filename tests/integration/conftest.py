"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import player, servers


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def player_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[player.PlayerService]:
    """A player service on either database, shared by the tests of a module: they use names and ids of their own."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("player")
        url = f"sqlite:///{folder}/player.db"
    else:
        url = servers.new_postgresql_database(request.getfixturevalue("postgresql_url"))
    await player.migrate(url)
    async with player.serving(url) as service:
        yield service
