"""Places in the order of battles."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.battle.battles import Battle, Submission
from services.battle.rules import Combatant
from services.battle.sequencing import Key, Places, place
from services.common.errors import InvalidArgument, NotFound, SkirmishError

PLAYERS = {name: Combatant(name, 70, 100, 10) for name in "abcd"}


def run(
    submissions: list[Submission], places: Places, known: dict[Key, Battle] | None = None
) -> tuple[list[Battle | SkirmishError], list[Battle]]:
    ids = (f"id{number}" for number in itertools.count())
    return place(submissions, PLAYERS, known or {}, places, 1, lambda: next(ids), lambda: 7)


def test_the_order_of_the_list_is_the_order_of_the_places() -> None:
    places = Places(10, {"a": 3})
    results, new = run([Submission("", "a", "b"), Submission("", "b", "c"), Submission("", "c", "a")], places)
    assert results == new
    assert [(b.sequence, b.challenger_number, b.opponent_number) for b in new] == [(11, 4, 1), (12, 2, 1), (13, 2, 5)]
    assert places == Places(13, {"a": 5, "b": 2, "c": 2})


def test_a_repeated_request_gets_the_battle_it_got_and_takes_no_number() -> None:
    places = Places(0, {})
    (first, again, other), new = run(
        [Submission("r", "a", "b"), Submission("r", "a", "b"), Submission("r", "b", "a")], places
    )
    assert first is again
    assert len(new) == 2
    assert isinstance(first, Battle)
    (stored,), new = run([Submission("r", "a", "b")], places, {("a", "r"): first})
    assert stored is first
    assert not new
    assert places == Places(2, {"a": 2, "b": 2})
    assert isinstance(other, Battle)


def test_a_request_id_used_again_for_another_opponent_is_refused_and_takes_no_number() -> None:
    places = Places(0, {})
    (_, refused), new = run([Submission("r", "a", "b"), Submission("r", "a", "c")], places)
    assert isinstance(refused, InvalidArgument)
    assert refused.violations[0].field == "request_id"
    assert len(new) == 1
    assert places == Places(1, {"a": 1, "b": 1})


def test_unknown_players_are_refused_by_name_and_take_no_number() -> None:
    places = Places(0, {})
    (refused, both, taken), _ = run(
        [Submission("", "a", "x"), Submission("", "y", "x"), Submission("", "a", "b")], places
    )
    assert isinstance(refused, NotFound)
    assert refused.names == ("x",)
    assert isinstance(both, NotFound)
    assert both.names == ("y", "x")
    assert isinstance(taken, Battle)
    assert taken.sequence == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "", "r", "s"]), st.sampled_from("abcdx"), st.sampled_from("abcdx")).filter(
            lambda s: s[1] != s[2]
        ),
        max_size=40,
    )
)
def test_no_sequence_ever_has_a_gap(wishes: list[tuple[str, str, str]]) -> None:
    _, new = run([Submission(*wish) for wish in wishes], Places(0, {}))
    assert [battle.sequence for battle in new] == list(range(1, len(new) + 1))
    for player in PLAYERS:
        numbers = [
            battle.challenger_number if battle.challenger.player_id == player else battle.opponent_number
            for battle in new
            if player in (battle.challenger.player_id, battle.opponent.player_id)
        ]
        assert numbers == list(range(1, len(numbers) + 1))
