"""Backpressure."""

from services.battle.backlog import Limit


def test_a_limit_once_reached_relaxes_only_well_below() -> None:
    limit = Limit(100)
    assert [limit.look(count) for count in (99, 100, 90, 81, 80, 79, 99, 100)] == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
        True,
    ]
