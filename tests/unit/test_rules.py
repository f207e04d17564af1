"""The fight engine against the published vectors, and against what the rules promise of every fight."""

import json
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.battle.rules import KNOWN_VERSIONS, RULES_VERSION, Combatant, Fight, Outcome, Turn, fight
from skirmish.battle.v1 import battle_pb2
from tests import oracle

DOCS = Path(__file__).parents[2] / "docs"
VECTORS: dict[str, Any] = json.loads((DOCS / "rules-vectors.json").read_text())

seeds = st.integers(0, 2**64 - 1)
values = st.integers(1, 10_000) | st.integers(1, 200)
combatants = st.builds(Combatant, st.just("p"), values, values, st.integers(0, 90))


def draws(seed: int, count: int) -> list[int]:
    return list(islice(oracle.draws(seed), count))


@pytest.mark.parametrize("vector", VECTORS["fights"], ids=lambda vector: vector["name"])
def test_a_fight_goes_as_its_vector_says(vector: dict[str, Any]) -> None:
    challenger = Combatant("c", **vector["challenger"])
    opponent = Combatant("o", **vector["opponent"])
    assert fight(int(vector["seed"]), challenger, opponent, VECTORS["rules_version"]) == Fight(
        Outcome[vector["outcome"]], [Turn(*turn) for turn in vector["turns"]], vector["share_basis_points"]
    )


def test_the_vectors_are_written_in_the_columns_of_a_turn() -> None:
    assert VECTORS["turn_columns"] == list(Turn._fields)
    assert VECTORS["rules_version"] == RULES_VERSION


def test_the_vectors_hold_every_case_of_the_rules() -> None:
    fights = VECTORS["fights"]
    turns = [Turn(*turn) for vector in fights for turn in vector["turns"]]
    assert any(not turn.hit for turn in turns)
    assert any(turn.hit and turn.damage < turn.attack for turn in turns)
    assert any(vector["outcome"] == "DRAW" and len(vector["turns"]) == 1000 for vector in fights)
    assert any(vector["outcome"] != "DRAW" and len(vector["turns"]) == 1000 for vector in fights)
    assert {1000, 2000} <= {vector["share_basis_points"] for vector in fights}
    assert {0, 90} <= {vector[side]["luck"] for vector in fights for side in ("challenger", "opponent")}
    for stat in ("attack", "hit_points"):
        assert {1, 10_000} <= {vector[side][stat] for vector in fights for side in ("challenger", "opponent")}


@pytest.mark.parametrize("vector", VECTORS["splitmix64"], ids=lambda vector: vector["seed"])
def test_the_random_numbers_of_the_vectors_are_those_of_splitmix64(vector: dict[str, Any]) -> None:
    assert draws(int(vector["seed"]), 5) == [int(output) for output in vector["outputs"]]


def test_the_page_about_the_rules_shows_the_vectors_as_they_are() -> None:
    page = (DOCS / "rules.md").read_text()
    shown = [vector for vector in VECTORS["fights"] if f"### {vector['name']}\n" in page]
    assert len(shown) >= 3
    for vector in shown:
        section = page.split(f"### {vector['name']}\n")[1].split("\n#")[0]
        rows = [line for line in section.splitlines() if line.startswith("| ") and line[2].isdigit()]
        assert rows == [
            f"| {number} | {'challenger' if by_challenger else 'opponent'} | {attack:,} | {'hit' if hit else 'miss'} "
            f"| {damage:,} | {left:,} |"
            for number, (by_challenger, attack, hit, damage, left) in enumerate(vector["turns"], 1)
        ]
        assert f"Seed {int(vector['seed']):,}" in section
    for vector in VECTORS["splitmix64"]:
        cells = " | ".join(f"0x{int(output):016X}" for output in vector["outputs"][:3])
        assert f"| {int(vector['seed']):,} | {cells} |" in page
    table = page.split("### Loot\n")[1].split("\n#")[0].strip().splitlines()[2:]
    loot = [[int(cell.replace(",", "")) for cell in line.split("|")[1:5]] for line in table]
    assert loot
    assert all(row in VECTORS["loot"] for row in loot)


def test_outcomes_are_numbered_as_in_the_contract() -> None:
    for outcome in Outcome:
        assert battle_pb2.Battle.Outcome.Name(outcome) == outcome.name


def test_unknown_rules_are_refused() -> None:
    combatant = Combatant("p", 70, 100, 10)
    assert 2 not in KNOWN_VERSIONS
    with pytest.raises(ValueError, match="rules version 2 is unknown"):
        fight(1, combatant, combatant, rules_version=2)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_of_more_than_64_bits_is_refused(seed: int) -> None:
    combatant = Combatant("p", 70, 100, 10)
    with pytest.raises(ValueError, match="is not an unsigned number of 64 bits"):
        fight(seed, combatant, combatant)


@given(seeds, combatants, combatants)
def test_a_fight_is_the_same_every_time(seed: int, challenger: Combatant, opponent: Combatant) -> None:
    assert fight(seed, challenger, opponent) == fight(seed, challenger, opponent)


@given(seeds, combatants, combatants)
def test_attackers_take_turns_and_the_challenger_begins(seed: int, challenger: Combatant, opponent: Combatant) -> None:
    turns = fight(seed, challenger, opponent).turns
    assert [turn.by_challenger for turn in turns] == [index % 2 == 0 for index in range(len(turns))]


@given(seeds, combatants, combatants)
def test_a_fight_ends_at_zero_hit_points_or_after_a_thousand_turns(
    seed: int, challenger: Combatant, opponent: Combatant
) -> None:
    fought = fight(seed, challenger, opponent)
    *before, last = fought.turns
    assert all(turn.defender_hit_points > 0 for turn in before)
    if fought.outcome is Outcome.DRAW:
        assert len(fought.turns) == 1000
        assert last.defender_hit_points > 0
    else:
        assert len(fought.turns) <= 1000
        assert last.defender_hit_points == 0
        assert last.by_challenger == (fought.outcome is Outcome.CHALLENGER_WON)


@given(seeds, combatants, combatants)
def test_every_turn_follows_from_the_draws_and_the_wounds(
    seed: int, challenger: Combatant, opponent: Combatant
) -> None:
    turns = fight(seed, challenger, opponent).turns
    sides = {True: challenger, False: opponent}
    left = {True: challenger.hit_points, False: opponent.hit_points}
    for turn, draw in zip(turns, draws(seed, len(turns)), strict=True):
        attacker, defender = sides[turn.by_challenger], sides[not turn.by_challenger]
        wounds = Fraction(attacker.hit_points - left[turn.by_challenger], attacker.hit_points)
        assert turn.attack == max(ceil(Fraction(attacker.attack, 2)), attacker.attack - ceil(attacker.attack * wounds))
        assert turn.hit == (draw % 100 >= defender.luck)
        had = left[not turn.by_challenger]
        assert turn.damage == (min(turn.attack, had) if turn.hit else 0)
        assert turn.defender_hit_points == had - turn.damage >= 0
        left[not turn.by_challenger] = turn.defender_hit_points


@given(seeds, combatants, combatants)
def test_the_share_is_the_draw_after_the_last_attack(seed: int, challenger: Combatant, opponent: Combatant) -> None:
    fought = fight(seed, challenger, opponent)
    if fought.outcome is Outcome.DRAW:
        assert fought.share_basis_points == 0
    else:
        assert 1000 <= fought.share_basis_points <= 2000
        assert fought.share_basis_points == 1000 + draws(seed, len(fought.turns) + 1)[-1] % 1001
