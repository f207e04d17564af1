"""The oracle against the published vectors, worked examples and the fight engine."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.battle import rules
from tests import oracle
from tests.oracle import Battle, Entry, Result, Stats

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "rules-vectors.json").read_text())

STRONG = Stats(10_000, 1, 0)
WEAK = Stats(1, 1, 0)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

seeds = st.integers(0, 2**64 - 1)
values = st.integers(1, 10_000) | st.integers(1, 200)
stats = st.builds(Stats, values, values, st.integers(0, 90))


def battle(sequence: int, challenger: str, opponent: str, **rest: Any) -> Battle:
    """A battle that the challenger wins with its first attack, taking the share of the sequence as its seed."""
    return Battle(sequence, f"b{sequence}", challenger, opponent, sequence, STRONG, WEAK, **rest)


@pytest.mark.parametrize("vector", VECTORS["fights"], ids=lambda vector: vector["name"])
def test_the_oracle_fights_as_the_vectors_say(vector: dict[str, Any]) -> None:
    assert oracle.fight(int(vector["seed"]), Stats(**vector["challenger"]), Stats(**vector["opponent"])) == (
        vector["outcome"],
        [tuple(turn) for turn in vector["turns"]],
        vector["share_basis_points"],
    )


@pytest.mark.parametrize("vector", VECTORS["splitmix64"], ids=lambda vector: vector["seed"])
def test_the_oracle_draws_as_the_vectors_say(vector: dict[str, Any]) -> None:
    assert [output for output, _ in zip(oracle.draws(int(vector["seed"])), range(5), strict=False)] == [
        int(output) for output in vector["outputs"]
    ]


@pytest.mark.parametrize(("balance", "share", "room", "moved"), VECTORS["loot"])
def test_the_oracle_takes_loot_as_the_vectors_say(balance: int, share: int, room: int, moved: int) -> None:
    assert oracle.loot(balance, share, room) == moved


@given(seeds, stats, stats)
def test_the_oracle_and_the_engine_fight_alike(seed: int, challenger: Stats, opponent: Stats) -> None:
    fought = rules.fight(seed, rules.Combatant("c", *challenger), rules.Combatant("o", *opponent))
    assert oracle.fight(seed, challenger, opponent) == (
        fought.outcome.name,
        [tuple(turn) for turn in fought.turns],
        fought.share_basis_points,
    )


def test_battles_take_effect_by_sequence_however_they_come() -> None:
    players = {"a": (1000, 1000), "b": (1000, 1000)}
    # Shares of seeds 1 and 2, from the second draw.
    first, second = (oracle.fight(seed, STRONG, WEAK)[2] for seed in (1, 2))
    stolen = 1000 * first // 10_000
    back = (1000 + stolen) * second // 10_000
    world = oracle.replay(players, [battle(2, "b", "a"), battle(1, "a", "b")])
    assert world.results == {
        "b1": Result("CHALLENGER_WON", "a", stolen, stolen, first),
        "b2": Result("CHALLENGER_WON", "b", back, back, second),
    }
    assert world.balances == {"a": (1000 + stolen - back,) * 2, "b": (1000 - stolen + back,) * 2}


def test_a_draw_and_a_void_move_nothing() -> None:
    players = {"a": (1000, 1000), "b": (1000, 1000)}
    long = Stats(1, 10_000, 0)
    draw = Battle(1, "draw", "a", "b", 1, long, long, settle_time=NOON, settle_sequence=1)
    world = oracle.replay(players, [draw, battle(2, "a", "b", voided=True, settle_time=NOON, settle_sequence=2)])
    assert world.results == {"draw": Result("DRAW"), "b2": Result("VOIDED")}
    assert world.balances == players
    assert world.boards == {}


def test_what_the_winner_has_no_room_for_stays_with_the_loser() -> None:
    world = oracle.replay({"a": (10**9 - 5, 0), "b": (1000, 4)}, [battle(1, "a", "b")])
    assert world.balances == {"a": (10**9, 0), "b": (995, 4)}


def test_boards_follow_from_the_settle_time_in_utc() -> None:
    new_year = datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=3)))  # 2026-12-31 23:00 UTC, a Thursday
    players = {"a": (0, 0), "b": (5, 0)}
    world = oracle.replay(players, [battle(1, "a", "b", settle_time=new_year, settle_sequence=1)])
    boards = {"all", "daily@2026-12-31", "weekly@2026-W53", "monthly@2026-12"}
    assert world.boards == {board: [Entry(1, "a", 1)] for board in boards}


def test_equal_scores_share_a_rank_and_stand_in_the_order_in_which_they_were_reached() -> None:
    players = dict.fromkeys(["a", "b", "c", "d"], (0, 0)) | dict.fromkeys(["1", "2", "3", "4", "5"], (5, 0))
    world = oracle.replay(
        players,
        [
            battle(1, "d", "1", settle_time=NOON, settle_sequence=5),  # reached last, though submitted first
            battle(2, "b", "2", settle_time=NOON, settle_sequence=2),
            battle(3, "c", "3", settle_time=NOON, settle_sequence=3),
            battle(4, "a", "4", settle_time=NOON, settle_sequence=1),
            battle(5, "a", "5", settle_time=NOON + timedelta(days=1), settle_sequence=6),
            battle(6, "c", "a", settle_time=NOON, settle_sequence=7),  # an empty purse reaches nothing
        ],
    )
    assert world.boards["all"] == [Entry(1, "a", 2), Entry(2, "b", 1), Entry(2, "c", 1), Entry(2, "d", 1)]
    assert [entry.player_id for entry in world.boards["daily@2026-11-21"]] == ["a", "b", "c", "d"]
    assert world.boards["daily@2026-11-22"] == [Entry(1, "a", 1)]


@given(
    st.lists(st.tuples(st.permutations("abcd"), seeds, stats, stats, st.booleans()), max_size=20),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=4, max_size=4),
)
def test_nothing_is_made_or_lost(fights: list[Any], balances: list[tuple[int, int]]) -> None:
    players = dict(zip("abcd", balances, strict=True))
    battles = [
        Battle(number, f"b{number}", pair[0], pair[1], seed, one, two, voided)
        for number, (pair, seed, one, two, voided) in enumerate(fights)
    ]
    world = oracle.replay(players, battles)
    for before, after in zip(zip(*balances, strict=True), zip(*world.balances.values(), strict=True), strict=True):
        assert sum(before) == sum(after)
        assert all(0 <= balance <= 10**9 for balance in after)
