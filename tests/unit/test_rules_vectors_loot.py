"""Settlement's loot against the published vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.player.loot import stolen

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "rules-vectors.json").read_text())
LIMIT = 1_000_000_000


@pytest.mark.parametrize(("balance", "share", "room", "moved"), VECTORS["loot"])
def test_loot_is_what_its_vector_says(balance: int, share: int, room: int, moved: int) -> None:
    assert stolen(loser=balance, winner=LIMIT - room, share=share) == moved
