"""Boards: their names, the windows of time they stand for, and how entries are ranked.

A window is a day, an ISO week (Monday to Sunday) or a month, in UTC. Days are counted from 1970-01-01, times are
microseconds since then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

DAY = 86_400_000_000
"""A day in microseconds."""

ALL = "all"
FORMS = (
    'must be "all", "daily", "weekly" or "monthly", '
    'or a past one as "daily@2026-11-21", "weekly@2026-W47" or "monthly@2026-11"'
)

_EPOCH = date(1970, 1, 1)

LAST_DAY = (date(9998, 12, 31) - _EPOCH).days
"""The last day that a change may have: all windows around it end within the calendar."""
_LABELS = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}
_FIRST_DAYS = {"daily": "", "weekly": "-1", "monthly": "-01"}
"""What makes a label the ISO date of the window's first day."""


class UnknownBoard(ValueError):
    """A text is not the name of a board; the message says what is."""


class Board(NamedTuple):
    """A board under its full name, and the time when it is dropped; None for never."""

    name: str
    expire_time: int | None


@dataclass(frozen=True)
class Retention:
    """How long boards are kept after their window has ended: in days, in weeks, and in months of 31 days."""

    daily: int
    weekly: int
    monthly: int


class Change(NamedTuple):
    """What happened to scores at one place of the settle sequence.

    Either a player won an amount on a day, or a player was deleted, or, with neither, the place is just taken.
    """

    sequence: int
    player_id: str = ""
    amount: int = 0
    day: int = 0
    deleted: bool = False


class Total(NamedTuple):
    """What a player won in a board's time, and the place in the settle sequence of the last of these wins."""

    score: int = 0
    reached: int = 0


class Entry(NamedTuple):
    """A player's place on a board, the rank that equal scores share, and the score."""

    position: int
    rank: int
    player_id: str
    score: int


def resolve(name: str, now: int) -> str:
    """Returns the full name of a board: "daily" becomes "daily@2026-11-22", a full name stays as it is.

    Raises:
        UnknownBoard: It is not the name of a board.
    """
    kind, at, label = name.partition("@")
    if kind in _LABELS and not at:
        return _name(kind, _EPOCH + timedelta(now // DAY))
    if kind in _LABELS:
        try:
            # ISO knows more ways to write a date than there are names, hence the way back.
            if name == _name(kind, date.fromisoformat(label + _FIRST_DAYS[kind])):
                return name
        except ValueError:
            pass
    elif name == ALL:
        return name
    raise UnknownBoard(FORMS)


@lru_cache(maxsize=1024)
def counting(day: int, retention: Retention) -> tuple[Board, ...]:
    """Returns the boards that a win of a day counts for, kept still or not."""
    on = _EPOCH + timedelta(day)
    month_end = (on.replace(day=1) + timedelta(31)).replace(day=1)
    windows = [
        ("daily", on + timedelta(1), timedelta(retention.daily)),
        ("weekly", on + timedelta(7 - on.weekday()), timedelta(7 * retention.weekly)),
        ("monthly", month_end, timedelta(31 * retention.monthly)),
    ]
    past = (Board(_name(kind, on), ((end - _EPOCH) + keep).days * DAY) for kind, end, keep in windows)
    return (Board(ALL, None), *past)


def kept(day: int, retention: Retention, now: int) -> list[Board]:
    """Returns the boards that a win of a day counts for, without those that are no longer kept."""
    return [board for board in counting(day, retention) if board.expire_time is None or board.expire_time > now]


def ranked(before: int, rank: int, scores: Sequence[tuple[str, int]]) -> list[Entry]:
    """Returns the entries of players that stand together.

    Args:
        before: How many stand before the first of them.
        rank: The rank of the first: its equals may begin before it.
        scores: Players with their scores, in order.
    """
    entries: list[Entry] = []
    last = scores[0][1] if scores else 0
    for position, (player_id, score) in enumerate(scores, before + 1):
        if score != last:
            rank, last = position, score
        entries.append(Entry(position, rank, player_id, score))
    return entries


def _name(kind: str, on: date) -> str:
    return f"{kind}@{on.strftime(_LABELS[kind])}"
