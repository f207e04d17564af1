"""Rule 5 of a battle: what the winner takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.player.loot import stolen
from services.player.players import MOST_RESOURCES

BALANCES = st.integers(0, MOST_RESOURCES) | st.integers(0, 100) | st.integers(MOST_RESOURCES - 100, MOST_RESOURCES)
SHARES = st.integers(1000, 2000)


@given(loser=BALANCES, winner=BALANCES, share=SHARES)
def test_nothing_is_made_or_lost_and_nobody_leaves_the_range(loser: int, winner: int, share: int) -> None:
    loot = stolen(loser, winner, share)

    assert 0 <= loot <= loser
    assert 0 <= winner + loot <= MOST_RESOURCES


@given(loser=BALANCES, winner=st.integers(0, MOST_RESOURCES - MOST_RESOURCES // 5), share=SHARES)
def test_with_room_a_tenth_to_a_fifth_moves_wherever_a_whole_number_lies_between(
    loser: int, winner: int, share: int
) -> None:
    loot = stolen(loser, winner, share)

    if 1 <= loser <= 4:
        assert loot == 0
    else:
        assert loser <= 10 * loot
        assert 5 * loot <= loser


@given(loser=BALANCES, winner=BALANCES, share=SHARES)
def test_without_room_the_winner_is_filled_up(loser: int, winner: int, share: int) -> None:
    assert stolen(loser, winner, share) == min(stolen(loser, 0, share), MOST_RESOURCES - winner)


@pytest.mark.parametrize(
    ("loser", "share", "loot"),
    [
        (1000, 1000, 100),
        (1000, 1234, 123),
        (1000, 2000, 200),
        (9, 1999, 1),  # 1.79 down, and no more than a fifth
        (11, 1000, 2),  # 1.1 down is less than a tenth
        (5, 1000, 1),
        (4, 2000, 0),
        (0, 1500, 0),
        (1_000_000_000, 2000, 200_000_000),
    ],
)
def test_the_share_is_rounded_into_its_range(loser: int, share: int, loot: int) -> None:
    assert stolen(loser, 0, share) == loot
