"""Boards and their windows, without Redis."""

from datetime import UTC, datetime, timedelta

import pytest

from services.leaderboard import boards
from services.leaderboard.boards import DAY, Retention

RETENTION = Retention(daily=35, weekly=26, monthly=24)


def time(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def names(day: str) -> list[str]:
    return [board.name for board in boards.counting(time(day) // DAY, RETENTION)]


@pytest.mark.parametrize(
    ("day", "week", "month"),
    [
        ("2026-11-22", "2026-W47", "2026-11"),
        ("2026-11-23", "2026-W48", "2026-11"),
        ("2026-12-31", "2026-W53", "2026-12"),
        ("2027-01-01", "2026-W53", "2027-01"),
        ("2027-01-03", "2026-W53", "2027-01"),
        ("2027-01-04", "2027-W01", "2027-01"),
        ("2024-12-30", "2025-W01", "2024-12"),
        ("2024-02-29", "2024-W09", "2024-02"),
        ("1970-01-01", "1970-W01", "1970-01"),
    ],
)
def test_a_win_counts_for_its_day_its_iso_week_and_its_month(day: str, week: str, month: str) -> None:
    assert names(day) == ["all", f"daily@{day}", f"weekly@{week}", f"monthly@{month}"]


@pytest.mark.parametrize(
    ("now", "daily", "weekly", "monthly"),
    [
        ("2026-11-22 23:59:59.999999", "daily@2026-11-22", "weekly@2026-W47", "monthly@2026-11"),
        ("2026-11-23 00:00:00", "daily@2026-11-23", "weekly@2026-W48", "monthly@2026-11"),
        ("2026-12-31 23:59:59.999999", "daily@2026-12-31", "weekly@2026-W53", "monthly@2026-12"),
        ("2027-01-01 00:00:00", "daily@2027-01-01", "weekly@2026-W53", "monthly@2027-01"),
        ("2027-01-04 00:00:00", "daily@2027-01-04", "weekly@2027-W01", "monthly@2027-01"),
    ],
)
def test_the_current_boards_change_at_midnight_utc(now: str, daily: str, weekly: str, monthly: str) -> None:
    second, _, microseconds = now.partition(".")
    moment = time(second) + int(microseconds or 0)
    assert boards.resolve("daily", moment) == daily
    assert boards.resolve("weekly", moment) == weekly
    assert boards.resolve("monthly", moment) == monthly
    assert boards.resolve("all", moment) == "all"


def test_every_board_that_a_win_counts_for_is_found_by_its_full_name() -> None:
    for offset in range(0, 4000, 3):
        day = time("2024-01-01") // DAY + offset
        for board in boards.counting(day, RETENTION):
            assert boards.resolve(board.name, 0) == board.name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "yearly",
        "ALL",
        "all@2026",
        "all@",
        "daily@",
        "daily@2026-11",
        "daily@2026-02-29",
        "daily@20261121",
        "daily@2026-W47-1",
        "daily@2026-11-21 ",
        "daily@2026-11-2\u0661",
        "weekly@2026-47",
        "weekly@2026-W54",
        "weekly@2027-W53",
        "weekly@2026-W00",
        "weekly@2026W47",
        "monthly@2026-13",
        "monthly@2026-1",
        "monthly@2026-11-01",
        "monthly@2026-W47",
        "daily@2026-11-21:reached",
    ],
)
def test_a_name_that_is_no_board_is_refused_with_the_names_that_are(name: str) -> None:
    with pytest.raises(boards.UnknownBoard, match=r'"all", "daily", .* "weekly@2026-W47" or "monthly@2026-11"'):
        boards.resolve(name, 0)


def test_a_board_is_kept_for_its_time_after_its_window_has_ended() -> None:
    everlasting, daily, weekly, monthly = boards.counting(time("2026-11-18") // DAY, RETENTION)
    assert everlasting.expire_time is None
    assert daily.expire_time == time("2026-11-19") + 35 * DAY
    assert weekly.expire_time == time("2026-11-23") + 26 * 7 * DAY
    assert monthly.expire_time == time("2026-12-01") + 24 * 31 * DAY


def test_every_day_of_a_window_gives_it_the_same_end() -> None:
    ends: dict[str, set[int | None]] = {}
    for offset in range(800):
        for board in boards.counting(time("2025-12-01") // DAY + offset, RETENTION):
            ends.setdefault(board.name, set()).add(board.expire_time)
    assert all(len(times) == 1 for times in ends.values())


def test_a_win_older_than_retention_counts_for_what_is_left() -> None:
    day, retention = time("2026-11-18") // DAY, Retention(daily=1, weekly=0, monthly=0)
    end = time("2026-11-20")

    def left(now: int) -> list[str]:
        return [board.name for board in boards.kept(day, retention, now)]

    assert left(end - 1) == ["all", "daily@2026-11-18", "weekly@2026-W47", "monthly@2026-11"]
    assert left(end) == ["all", "weekly@2026-W47", "monthly@2026-11"]
    assert left(time("2026-11-23")) == ["all", "monthly@2026-11"]
    assert left(time("2026-12-01")) == ["all"]


def test_the_last_day_has_windows_too() -> None:
    assert (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(boards.LAST_DAY)).year == 9998
    assert len(boards.counting(boards.LAST_DAY, RETENTION)) == 4


def test_equal_scores_share_the_best_rank() -> None:
    entries = boards.ranked(0, 1, [("a", 9), ("b", 7), ("c", 7), ("d", 5)])
    assert [(entry.position, entry.rank) for entry in entries] == [(1, 1), (2, 2), (3, 2), (4, 4)]


def test_a_rank_may_begin_before_the_page() -> None:
    entries = boards.ranked(10, 8, [("a", 7), ("b", 7), ("c", 5)])
    assert [(entry.position, entry.rank) for entry in entries] == [(11, 8), (12, 8), (13, 13)]
