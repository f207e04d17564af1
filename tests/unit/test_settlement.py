"""The fence: in order, once, and nothing made or lost."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.player.players import MOST_RESOURCES
from services.player.settlement import (
    PLAYER_DELETED,
    Account,
    AlreadyApplied,
    Change,
    Conflict,
    Effect,
    Entry,
    FoughtBattle,
    Settlement,
    Turn,
    Waiting,
    decide,
    recall,
)

MAKE: Callable[..., FoughtBattle] = FoughtBattle("battle", 1, "a", 1, "b", 1, Effect.CHALLENGER_WON, 1000, "")._replace


def accounts_of(*player_ids: str, gold: int = 1000, silver: int = 500) -> dict[str, Account]:
    return {player_id: Account(player_id, 0, gold, silver, 0, False) for player_id in player_ids}


def season(count: int, players: int, seed: int) -> list[FoughtBattle]:
    """Returns battles in the order of their sequence."""
    rng = random.Random(seed)
    numbers = dict.fromkeys(map(str, range(players)), 0)
    battles = []
    for sequence in range(1, count + 1):
        challenger, opponent = rng.sample(sorted(numbers), 2)
        numbers[challenger] += 1
        numbers[opponent] += 1
        effect = rng.choice([Effect.CHALLENGER_WON, Effect.OPPONENT_WON, Effect.DRAW, Effect.VOIDED])
        share = rng.randint(1000, 2000)
        numbered = challenger, numbers[challenger], opponent, numbers[opponent]
        battles.append(FoughtBattle(f"battle {sequence}", sequence, *numbered, effect, share, ""))
    return battles


def test_a_win_moves_the_share_and_enters_both_ledgers() -> None:
    accounts = accounts_of("a", "b")

    result = decide(accounts, [MAKE(share=1500)])

    change = Change("battle", Effect.CHALLENGER_WON, "a", 150, 75, "")
    assert result.decisions == result.changes == [change]
    assert result.entries == [Entry("a", 1, "battle", 150, 75, 1150, 575), Entry("b", 1, "battle", -150, -75, 850, 425)]
    assert accounts == {"a": Account("a", 1, 1150, 575, 225, False), "b": Account("b", 1, 850, 425, 0, False)}


def test_the_opponent_can_win() -> None:
    accounts = accounts_of("a", "b")

    result = decide(accounts, [MAKE(effect=Effect.OPPONENT_WON)])

    assert result.changes == [Change("battle", Effect.OPPONENT_WON, "b", 100, 50, "")]
    assert (accounts["a"].gold, accounts["b"].gold) == (900, 1100)


@pytest.mark.parametrize("effect", [Effect.DRAW, Effect.VOIDED])
def test_a_draw_and_a_void_move_nothing_but_use_their_numbers(effect: Effect) -> None:
    accounts = accounts_of("a", "b")

    result = decide(accounts, [MAKE(effect=effect, void_reason="why" if effect is Effect.VOIDED else "")])

    assert result.entries == [Entry("a", 1, "battle", 0, 0, 1000, 500), Entry("b", 1, "battle", 0, 0, 1000, 500)]
    assert {account.applied_number for account in accounts.values()} == {1}


@pytest.mark.parametrize("deleted", ["a", "b"])
def test_a_battle_of_a_deleted_player_is_void(deleted: str) -> None:
    accounts = accounts_of("a", "b")
    accounts[deleted].deleted = True

    result = decide(accounts, [MAKE()])

    assert result.changes == [Change("battle", Effect.VOIDED, None, 0, 0, PLAYER_DELETED)]
    assert {account.applied_number for account in accounts.values()} == {1}


def test_what_a_winner_has_no_room_for_stays_with_the_loser() -> None:
    accounts = accounts_of("a", "b", gold=MOST_RESOURCES - 7)

    decide(accounts, [MAKE()])

    assert (accounts["a"].gold, accounts["b"].gold) == (MOST_RESOURCES, MOST_RESOURCES - 14)


def test_battles_of_one_set_follow_each_other_whatever_order_they_come_in() -> None:
    battles = season(200, players=5, seed=1)
    in_order, shuffled = accounts_of(*"01234"), accounts_of(*"01234")
    mixed = random.Random(2).sample(battles, len(battles))

    expected = decide(in_order, battles)
    result = decide(shuffled, mixed)

    assert shuffled == in_order
    assert result.changes == expected.changes
    assert result.decisions == [expected.decisions[battle.sequence - 1] for battle in mixed]


@pytest.mark.parametrize(
    ("battle", "waiting"),
    [
        (MAKE(challenger_number=2), Waiting("a", 1)),
        (MAKE(opponent_number=3), Waiting("b", 1)),
        (MAKE(challenger_number=3, opponent_number=2), Waiting("a", 1)),
    ],
)
def test_a_battle_waits_for_the_next_one_of_a_player_that_is_behind(battle: FoughtBattle, waiting: Waiting) -> None:
    accounts = accounts_of("a", "b")

    result = decide(accounts, [battle])

    assert result.decisions == [waiting]
    assert not result.changes
    assert not result.entries
    assert accounts == accounts_of("a", "b")


@pytest.mark.parametrize(("challenger_number", "opponent_number"), [(1, 2), (2, 1), (1, 3), (3, 1)])
def test_a_battle_with_one_number_used_is_a_conflict(challenger_number: int, opponent_number: int) -> None:
    accounts = accounts_of("a", "b")
    decide(accounts, [MAKE()])

    result = decide(
        accounts, [MAKE(battle_id="other", challenger_number=challenger_number, opponent_number=opponent_number)]
    )

    assert isinstance(result.decisions[0], Conflict)
    assert not result.changes


def test_a_battle_of_somebody_unknown_is_a_conflict() -> None:
    assert decide(accounts_of("a"), [MAKE()]).decisions == [Conflict("there never was a player b")]
    assert decide(accounts_of("b"), [MAKE()]).decisions == [Conflict("there never was a player a")]


def test_a_battle_that_comes_twice_takes_effect_once() -> None:
    result = decide(accounts_of("a", "b"), [MAKE(), MAKE()])

    assert len(result.changes) == 1
    assert result.decisions == [result.changes[0], Turn.USED]


def test_a_battle_whose_numbers_are_its_own_is_recalled() -> None:
    settlement = Settlement(7, Change("battle", Effect.DRAW, None, 0, 0, ""), 0)

    recalled = recall(MAKE(), {("a", 1): "battle", ("b", 1): "battle"}, {"battle": settlement})

    assert recalled == AlreadyApplied(settlement)


@pytest.mark.parametrize("ledger", [{("a", 1): "battle", ("b", 1): "other"}, {("a", 1): "other", ("b", 1): "battle"}])
def test_a_battle_whose_number_is_anothers_is_a_conflict(ledger: dict[tuple[str, int], str]) -> None:
    settlement = Settlement(7, Change("battle", Effect.DRAW, None, 0, 0, ""), 0)

    assert isinstance(recall(MAKE(), ledger, {"battle": settlement}), Conflict)


@given(st.integers(0, 1 << 32), st.data())
def test_whatever_comes_in_whatever_parts_the_end_is_that_of_the_order(seed: int, data: st.DataObject) -> None:
    battles = season(30, players=4, seed=seed)
    expected = accounts_of(*"0123", gold=seed % 3000)
    decide(expected, battles)
    accounts = accounts_of(*"0123", gold=seed % 3000)
    settled: set[str | None] = set()

    for _ in range(100):
        part = data.draw(st.lists(st.sampled_from(battles), min_size=1, max_size=30))
        result = decide(accounts, part)
        now = [change.battle_id for change in result.changes]
        assert settled.isdisjoint(now)
        settled.update(now)
        assert sum(account.gold for account in accounts.values()) == 4 * (seed % 3000)
        if len(settled) == len(battles):
            break
    decide(accounts, battles)

    assert accounts == expected
