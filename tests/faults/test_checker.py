"""The checker sees what it is there to see: tables and histories that are right, then broken in one place each."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import checker, history, tables
from tests.faults.tables import Row

ADA, EVE = "ada", "eve"


def written(folder: Path, *lines: tuple[float, int, str, Any, Any]) -> history.History:
    """Returns the history of some lines: time, operation, type, kind, and what was asked or told."""
    path = folder / "history.jsonl"
    with path.open("w") as file:
        for time, operation, happened, kind, content in lines:
            name = "asked" if happened == "invoke" else "told"
            line = {"time": time, "operation": operation, "type": happened, "client": 0, "kind": kind, name: content}
            file.write(json.dumps(line) + "\n")
    return history.read(path)


def submit(request_id: str) -> list[Any]:
    return [[[ADA, request_id], EVE]]


def battle(sequence: int, request_id: str) -> Row:
    return SimpleNamespace(
        sequence=sequence, battle_id=f"b{sequence}", challenger_id=ADA, opponent_id=EVE, request_id=request_id
    )


def problems(told: history.History, *battles: Row) -> list[str]:
    verdict = checker.Verdict()
    checker.check_submissions(told, battles, verdict)
    checker.check_real_time(told.wishes["submit"], battles, verdict)
    return verdict.wrong


SENT = (1.0, 1, "invoke", "submit", submit("r1"))
ACKNOWLEDGED = (2.0, 1, "ok", "submit", [["b1", 1]])


def test_an_acknowledged_battle_that_is_there_is_right_and_one_that_is_lost_is_not(tmp_path: Path) -> None:
    told = written(tmp_path, SENT, ACKNOWLEDGED)
    assert problems(told, battle(1, "r1")) == []
    assert problems(told) == ["battle ('ada', 'r1') was acknowledged and is lost"]


def test_a_battle_may_be_there_or_not_when_that_is_unknown_but_never_twice(tmp_path: Path) -> None:
    told = written(tmp_path, SENT, (2.0, 1, "unknown", "submit", ["UNAVAILABLE", "", None]))
    assert problems(told) == []
    assert problems(told, battle(1, "r1")) == []
    assert problems(told, battle(1, "r1"), battle(2, "r1")) == ["request ('ada', 'r1') made two battles"]


def test_a_refused_battle_must_not_be_there(tmp_path: Path) -> None:
    told = written(tmp_path, SENT, (2.0, 1, "fail", "submit", ["NOT_FOUND", "", None]))
    assert problems(told) == []
    assert problems(told, battle(1, "r1")) == ["battle ('ada', 'r1') was refused and done all the same"]


def test_an_operation_without_an_end_is_unknown(tmp_path: Path) -> None:
    told = written(tmp_path, SENT)
    assert problems(told, battle(1, "r1")) == problems(told) == []


def test_a_battle_told_as_two_different_ones_is_wrong(tmp_path: Path) -> None:
    again = [(3.0, 2, "invoke", "submit", submit("r1")), (4.0, 2, "ok", "submit", [["b2", 2]])]
    (problem,) = problems(written(tmp_path, SENT, ACKNOWLEDGED, *again), battle(1, "r1"))
    assert problem.startswith("battle ('ada', 'r1') was acknowledged as")


def test_a_battle_that_nobody_asked_for_is_wrong(tmp_path: Path) -> None:
    assert problems(written(tmp_path), battle(1, "r1")) == ["there is a battle that nobody asked for"]


def test_a_request_id_taken_for_another_opponent_is_wrong(tmp_path: Path) -> None:
    other = [[[ADA, "r1"], "bob"]]
    impostor = [(3.0, 2, "invoke", "submit", other), (4.0, 2, "ok", "submit", [["b1", 1]])]
    (problem,) = problems(written(tmp_path, SENT, ACKNOWLEDGED, *impostor), battle(1, "r1"))
    assert problem.endswith("was taken under a request id that was used before")


def test_what_was_acknowledged_before_another_was_sent_must_come_first(tmp_path: Path) -> None:
    second = [(3.0, 2, "invoke", "submit", submit("r2")), (4.0, 2, "ok", "submit", [["b1", 1]])]
    first = (2.0, 1, "ok", "submit", [["b2", 2]])
    told = written(tmp_path, SENT, first, *second)
    assert problems(told, battle(1, "r2"), battle(2, "r1")) == ["battle 1 was sent after a later one was acknowledged"]


def test_two_that_were_under_way_at_once_may_come_in_any_order(tmp_path: Path) -> None:
    second = [(1.5, 2, "invoke", "submit", submit("r2")), (4.0, 2, "ok", "submit", [["b1", 1]])]
    told = written(tmp_path, SENT, second[0], (2.0, 1, "ok", "submit", [["b2", 2]]), second[1])
    assert problems(told, battle(1, "r2"), battle(2, "r1")) == []


def ledger_entry(player_id: str, place: tuple[int, int], kind: int, gold: int, balance: int, **more: Any) -> Row:
    given = {"battle_id": None, "reason": None, "silver_change": 0, "silver_balance": 0, **more}
    number, adjustment = place
    return SimpleNamespace(
        player_id=player_id,
        battle_number=number,
        adjustment_number=adjustment,
        kind=kind,
        gold_change=gold,
        gold_balance=balance,
        **given,
    )


LEDGER = [
    ledger_entry(ADA, (0, 0), tables.OPENING, 100, 100),
    ledger_entry(ADA, (0, 1), tables.GRANT, 20, 120, reason="r1"),
    ledger_entry(ADA, (0, 2), tables.GRANT, -5, 115, reason="r2"),
]
PLAYER = SimpleNamespace(player_id=ADA, gold=115, silver=0, applied_number=0, delete_time=None, name="Ada")
TABLES = tables.Tables(0, [], 0, {}, {ADA: PLAYER}, LEDGER, 0, [])


def ledger_problems(stored: tables.Tables) -> list[str]:
    verdict = checker.Verdict()
    checker.check_ledger(stored, verdict)
    return verdict.wrong


def changed(index: int, **values: Any) -> list[Row]:
    entry = SimpleNamespace(**(vars(LEDGER[index]) | values))
    return [*LEDGER[:index], entry, *LEDGER[index + 1 :]]


def test_a_ledger_that_adds_up_is_right() -> None:
    assert ledger_problems(TABLES) == []


@pytest.mark.parametrize(
    ("broken", "sign"),
    [
        (lambda: replace(TABLES, ledger=LEDGER[:2]), "is not what the ledger says"),
        (lambda: replace(TABLES, ledger=[LEDGER[0], LEDGER[2]]), "where (0, 1) must be"),
        (lambda: replace(TABLES, ledger=changed(1, gold_balance=121)), "does not add up"),
        (lambda: replace(TABLES, ledger=changed(2, gold_change=-200)), "a balance of ada is -80 gold"),
        (lambda: replace(TABLES, players={}), "not every player has a ledger"),
    ],
)
def test_a_ledger_that_is_broken_is_seen(broken: Callable[[], tables.Tables], sign: str) -> None:
    assert any(sign in problem for problem in ledger_problems(broken())), ledger_problems(broken())


def test_a_grant_that_was_acknowledged_must_be_in_the_ledger_once(tmp_path: Path) -> None:
    asked = [[["r1"], ADA, 20, 0]]
    told = written(tmp_path, (1.0, 1, "invoke", "grant", asked), (2.0, 1, "ok", "grant", [True]))
    for ledger, expected in (
        (LEDGER[:2], []),
        (LEDGER[:1], ["grant ('r1',) was acknowledged and is lost"]),
        ([*LEDGER[:2], LEDGER[1]], ["grant ('r1',) was given 2 times"]),
        (LEDGER, ["there is a grant that nobody asked for"]),
    ):
        verdict = checker.Verdict()
        checker.check_grants(told, replace(TABLES, ledger=ledger), verdict)
        assert verdict.wrong == expected
