"""The leaderboard service through its own door: recording, reading, refusing."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from redis.asyncio import Redis

from services.common import pages
from services.leaderboard import store
from skirmish.leaderboard.v1 import leaderboard_pb2
from tests.leaderboards import Clock, Service, at, leaderboard, model, player, rows, violations
from tests.settlement_source import SettlementSource, pushed

NOON = at("2026-11-22 12:00")


@pytest.fixture
def clock() -> Clock:
    """Noon, a Sunday."""
    return Clock()


@pytest.fixture
def source() -> SettlementSource:
    """The settle sequence. The service sees it, but its feed leaves it alone after the start."""
    return SettlementSource()


@pytest.fixture
async def service(redis_url: str, source: SettlementSource, clock: Clock) -> AsyncIterator[Service]:
    """A service with empty boards."""
    async with source.serving() as port, leaderboard(redis_url, port, clock) as service:
        yield service


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_equal_scores_stand_in_the_order_they_were_reached_and_share_a_rank(
    service: Service, source: SettlementSource
) -> None:
    wins = [(5, 10), (1, 4), (2, 7), (3, 7), (1, 3), (4, 7), (6, 1)]
    answer = await service.record([source.win(player(number), amount, NOON) for number, amount in wins])

    assert (answer.recorded, answer.watermark) == (7, 7)
    assert await service.rows() == [
        (1, 1, player(5), 10),
        (2, 2, player(2), 7),
        (3, 2, player(3), 7),
        (4, 2, player(1), 7),  # came to 7 with its second win
        (5, 2, player(4), 7),
        (6, 6, player(6), 1),
    ]


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 100])
async def test_ranks_and_places_go_on_across_pages(service: Service, source: SettlementSource, page_size: int) -> None:
    amounts = [9, 7, 7, 5, 5, 5, 5, 3, 1, 1]
    await service.record([source.win(player(number), amount, NOON) for number, amount in enumerate(amounts)])

    listed = await service.rows(page_size=page_size)

    assert [position for position, *_ in listed] == list(range(1, 11))
    assert [rank for _, rank, *_ in listed] == [1, 2, 2, 4, 4, 4, 4, 8, 9, 9]
    assert [score for *_, score in listed] == amounts


async def test_a_page_holds_50_entries_unless_told_otherwise_and_never_more_than_100(
    service: Service, source: SettlementSource
) -> None:
    await service.record([source.win(player(number), 5, NOON) for number in range(120)])
    for asked, given in ((0, 50), (7, 7), (100, 100), (101, 100), (2**31 - 1, 100)):
        page = await service.boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board="all", page_size=asked))
        assert (len(page.entries), page.total_size) == (given, 120)


async def test_a_board_without_anybody_is_an_empty_page(service: Service) -> None:
    for board in ("all", "daily", "weekly", "monthly", "daily@2019-01-01", "weekly@2020-W53", "monthly@2031-12"):
        page = await service.boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board=board))
        assert page == leaderboard_pb2.ListEntriesResponse()


async def test_a_win_counts_for_the_boards_of_its_day_week_and_month_in_utc(
    service: Service, source: SettlementSource, clock: Clock
) -> None:
    await service.record(
        [
            source.win(player(1), 1, at("2026-12-27 23:59:59.999999")),
            source.win(player(1), 2, at("2026-12-28 00:00")),
            source.win(player(1), 4, at("2026-12-31 23:59:59.999999")),
            source.win(player(1), 8, at("2027-01-01 00:00")),
            source.win(player(1), 16, at("2027-01-03 23:59:59.999999")),
            source.win(player(1), 32, at("2027-01-04 00:00")),
        ]
    )
    shown = {
        "all": 63,
        "daily@2026-12-27": 1,
        "daily@2026-12-28": 2,
        "daily@2026-12-31": 4,
        "daily@2027-01-01": 8,
        "daily@2027-01-03": 16,
        "daily@2027-01-04": 32,
        "weekly@2026-W52": 1,
        "weekly@2026-W53": 2 + 4 + 8 + 16,
        "weekly@2027-W01": 32,
        "monthly@2026-12": 1 + 2 + 4,
        "monthly@2027-01": 8 + 16 + 32,
    }
    for board, score in shown.items():
        assert await service.rows(board) == [(1, 1, player(1), score)], board
    assert set(shown) == set(model(source.changes))

    for now, daily, weekly, monthly in (
        ("2026-12-27 23:59:59.999", 1, 1, 7),
        ("2026-12-28 00:00", 2, 30, 7),
        ("2026-12-31 23:59:59.999", 4, 30, 7),
        ("2027-01-01 00:00", 8, 30, 56),
        ("2027-01-04 00:00", 32, 32, 56),
    ):
        clock.set(now)
        for board, score in (("daily", daily), ("weekly", weekly), ("monthly", monthly)):
            assert await service.rows(board) == [(1, 1, player(1), score)], f"{board} at {now}"


def story(source: SettlementSource, chance: random.Random, length: int = 240) -> None:
    """Writes a settle sequence around a turn of the year: many ties, draws, empty purses and deletions."""
    alive = list(range(1, 16))
    second = at("2026-12-27 20:00").timestamp()
    for _ in range(length):
        second += chance.choice([0, 1, 600, 7200])
        time = at("1970-01-01 00:00").fromtimestamp(second, NOON.tzinfo)
        what = chance.random()
        if what < 0.1:
            source.draw(time)
        elif what < 0.13 and len(alive) > 3:
            source.delete(player(alive.pop(chance.randrange(len(alive)))), time)
        else:
            source.win(player(chance.choice(alive)), chance.choice([0, 1, 1, 2, 3]), time)


@pytest.mark.parametrize("seed", range(12))
async def test_pushes_that_come_twice_late_and_in_any_order_give_what_a_replay_in_order_gives(
    service: Service, source: SettlementSource, seed: int
) -> None:
    chance = random.Random(seed)
    story(source, chance)
    pushes = [pushed(change) for change in source.changes]
    pushes += chance.sample(pushes, 60)
    near = [(index + chance.gauss(0, 40), score) for index, score in enumerate(pushes)]
    pushes = [score for _, score in sorted(near, key=lambda one: one[0])]
    recorded = 0
    while pushes:
        count = chance.choice([1, 3, 20, 70])
        batch, pushes = pushes[:count], pushes[count:]
        answers = await asyncio.gather(service.record(batch), service.record(chance.sample(batch, len(batch))))
        recorded += sum(answer.recorded for answer in answers)

    assert recorded == len(source.changes)
    expected = model(source.changes)
    assert len(expected) > 8
    for board, listed in expected.items():
        assert await service.rows(board, page_size=7) == listed, board


async def test_the_watermark_waits_for_what_is_missing(
    service: Service, source: SettlementSource, redis_client: Redis
) -> None:
    scores = [source.win(player(1), 1, NOON) for _ in range(9)]

    async def record(*numbers: int) -> tuple[int, int]:
        answer = await service.record([scores[number - 1] for number in numbers])
        return answer.recorded, answer.watermark

    assert await record(1, 2, 5, 6) == (4, 2)
    assert await record(6, 8, 2) == (1, 2)
    assert await record(3) == (1, 3)
    assert await record(4, 4) == (1, 6)
    assert await record(9, 7) == (2, 9)
    assert await redis_client.exists(store.AHEAD) == 0
    assert await service.rows() == [(1, 1, player(1), 9)]


async def test_a_full_request_is_recorded_whole(service: Service, source: SettlementSource) -> None:
    scores = [source.win(player(number % 700), 1 + number % 5, NOON) for number in range(5000)]
    answer = await service.record(reversed(scores))
    assert (answer.recorded, answer.watermark) == (5000, 5000)
    assert await service.rows() == model(source.changes)["all"]


async def test_large_scores_and_places_stay_exact(service: Service, redis_client: Redis) -> None:
    await redis_client.set(store.WATERMARK, 2**53 - 5)
    scores = [
        leaderboard_pb2.Score(
            settle_sequence=2**53 - 4 + place,
            change=leaderboard_pb2.Score.WON,
            player_id=player(place),
            amount=2_000_000_000 - place,
            settle_time={"seconds": int(NOON.timestamp())},
        )
        for place in range(4)
    ]
    assert (await service.record(scores[2:])).watermark == 2**53 - 5
    assert (await service.record(scores)).watermark == 2**53 - 1
    assert await service.rows() == [(1 + n, 1 + n, player(n), 2_000_000_000 - n) for n in range(4)]


async def test_a_deleted_player_leaves_every_board_and_no_late_win_brings_it_back(
    service: Service, source: SettlementSource, redis_client: Redis
) -> None:
    late = source.win(player(1), 3, NOON)
    await service.record(
        [
            source.win(player(1), 5, at("2026-10-31 12:00")),
            source.win(player(1), 5, NOON),
            source.win(player(2), 4, NOON),
        ]
    )
    assert (1, 1, player(1), 10) in await service.rows()

    await service.record([source.delete(player(1), NOON)])
    await service.record([late])

    expected = model(source.changes)
    assert expected["all"] == [(1, 1, player(2), 4)]
    for board in ("all", "daily", "weekly", "monthly", "daily@2026-10-31", "monthly@2026-10"):
        name = {"daily": "daily@2026-11-22", "weekly": "weekly@2026-W47", "monthly": "monthly@2026-11"}.get(
            board, board
        )
        assert await service.rows(board) == expected[name]
    places = await redis_client.hkeys("{board}:all:reached")
    assert len(places) == 1


async def test_a_win_and_a_deletion_in_one_request_end_in_deletion(service: Service, source: SettlementSource) -> None:
    await service.record([source.win(player(1), 5, NOON), source.delete(player(1), NOON)])
    assert await service.rows() == []


async def test_an_entry_is_found_by_its_player(service: Service, source: SettlementSource) -> None:
    await service.record([source.win(player(number), amount, NOON) for number, amount in enumerate([9, 7, 7, 5])])
    for number, (position, rank, score) in enumerate([(1, 1, 9), (2, 2, 7), (3, 2, 7), (4, 4, 5)]):
        request = leaderboard_pb2.GetEntryRequest(board="daily", player_id=player(number))
        assert rows([await service.boards.GetEntry(request)]) == [(position, rank, player(number), score)]

    for board in ("all", "daily@2026-11-21"):
        request = leaderboard_pb2.GetEntryRequest(board=board, player_id=player(77))
        error = await refused(service.boards.GetEntry(request))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert error.details() == f"player {player(77)} is not on the board {board}"


async def test_friends_come_in_the_order_asked_each_ranked_among_all(
    service: Service, source: SettlementSource
) -> None:
    await service.record([source.win(player(number), amount, NOON) for number, amount in enumerate([9, 7, 7, 5])])
    asked = [player(3), player(50), player(2), player(0), player(2), player(60)]
    answer = await service.boards.BatchGetEntries(leaderboard_pb2.BatchGetEntriesRequest(board="all", player_ids=asked))
    assert rows(answer.entries) == [
        (4, 4, player(3), 5),
        (3, 2, player(2), 7),
        (1, 1, player(0), 9),
        (3, 2, player(2), 7),
    ]
    assert answer.missing_player_ids == [player(50), player(60)]


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 30])
async def test_a_window_around_a_player_is_moved_at_the_ends_and_not_cut(
    service: Service, source: SettlementSource, size: int
) -> None:
    await service.record([source.win(player(number), 40 - number // 3, NOON) for number in range(size)])
    listed = await service.rows()
    for number in range(size):
        for count in (0, 1, 2, 4, 5, 11, 100, 5000):
            request = leaderboard_pb2.ListEntriesAroundRequest(board="all", player_id=player(number), count=count)
            answer = await service.boards.ListEntriesAround(request)
            shown, width = rows(answer.entries), min(size, count or 11, 100)
            first = listed.index(shown[0])
            assert shown == listed[first : first + width]
            assert len(shown) == width
            assert answer.total_size == size
            above, below = number - first, first + width - 1 - number
            assert above >= 0 <= below
            if abs(above - below) > 1:  # then it stands at an end
                assert first == 0 if above < below else first + width == size


async def test_nobody_is_around_a_player_that_is_not_on_the_board(service: Service) -> None:
    request = leaderboard_pb2.ListEntriesAroundRequest(board="all", player_id=player(1))
    assert (await refused(service.boards.ListEntriesAround(request))).code() is grpc.StatusCode.NOT_FOUND


async def test_pages_begun_before_midnight_go_on_with_the_board_of_their_day(
    service: Service, source: SettlementSource, clock: Clock
) -> None:
    clock.set("2026-11-22 23:59:59")
    await service.record([source.win(player(number), 9 - number, clock.time) for number in range(4)])
    request = leaderboard_pb2.ListEntriesRequest(board="daily", page_size=3)
    request.page_token = (await service.boards.ListEntries(request)).next_page_token

    clock.set("2026-11-23 00:00:01")
    await service.record([source.win(player(8), 1, clock.time)])

    assert rows((await service.boards.ListEntries(request)).entries) == [(4, 4, player(3), 6)]
    assert await service.rows("daily") == [(1, 1, player(8), 1)]


async def test_a_page_token_belongs_to_its_board(service: Service, source: SettlementSource) -> None:
    await service.record([source.win(player(number), 5, NOON) for number in range(4)])
    token = (
        await service.boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board="daily", page_size=2))
    ).next_page_token
    for board in ("all", "weekly", "daily@2026-11-21"):
        request = leaderboard_pb2.ListEntriesRequest(board=board, page_token=token)
        assert violations(await refused(service.boards.ListEntries(request))) == ["page_token"]


async def test_a_board_expires_some_time_after_its_window(
    service: Service, source: SettlementSource, clock: Clock, redis_client: Redis
) -> None:
    day = 86_400
    await service.record([source.win(player(1), 5, NOON)])

    async def left(board: str) -> int:
        times = {await redis_client.ttl("{board}:" + board + end) for end in ("", ":reached")}
        assert max(times) - min(times) <= 1
        return int(max(times))

    for board, seconds in (
        ("daily@2026-11-22", 35 * day + day // 2),
        ("weekly@2026-W47", 26 * 7 * day + day // 2),
        ("monthly@2026-11", 24 * 31 * day + 8 * day + day // 2),
    ):
        assert seconds - 60 <= await left(board) <= seconds
    assert await left("all") == -1


async def test_a_win_older_than_retention_makes_no_board(
    service: Service, source: SettlementSource, redis_client: Redis
) -> None:
    await service.record([source.win(player(1), 5, at("2026-09-30 12:00"))])
    boards = await redis_client.zrange(store.BOARDS, 0, -1)
    assert boards == [b"{board}:weekly@2026-W40", b"{board}:monthly@2026-09", b"{board}:all"]
    assert await service.rows("daily@2026-09-30") == []


SOME = player(1)
WIN = {"settle_sequence": 1, "change": "WON", "player_id": SOME, "amount": 5, "settle_time": NOON}


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("ListEntries", {}, ["board"]),
        ("ListEntries", {"board": "yearly", "page_size": -1}, ["board", "page_size"]),
        ("ListEntries", {"board": "all", "page_token": "nonsense"}, ["page_token"]),
        ("ListEntries", {"board": "daily@2026-02-30", "page_token": "ü"}, ["board", "page_token"]),
        ("GetEntry", {"board": "all"}, ["player_id"]),
        ("GetEntry", {"board": "All", "player_id": SOME[:-1] + "A"}, ["board", "player_id"]),
        ("BatchGetEntries", {"board": "all"}, ["player_ids"]),
        ("BatchGetEntries", {"board": "all", "player_ids": [SOME] * 501}, ["player_ids"]),
        ("BatchGetEntries", {"board": "", "player_ids": [SOME, "x", ""]}, ["board", "player_ids[1]", "player_ids[2]"]),
        ("ListEntriesAround", {"board": "x", "count": -1}, ["board", "player_id", "count"]),
        ("RecordScores", {}, ["scores"]),
        ("RecordScores", {"scores": [{"settle_sequence": n + 1} for n in range(5001)]}, ["scores"]),
        ("RecordScores", {"scores": [{}]}, ["scores[0].settle_sequence"]),
        ("RecordScores", {"scores": [{"settle_sequence": 2**53}]}, ["scores[0].settle_sequence"]),
        ("RecordScores", {"scores": [{"settle_sequence": 1, "change": 7}]}, ["scores[0].change"]),
        ("RecordScores", {"scores": [{"settle_sequence": 1, "change": "DELETED"}]}, ["scores[0].player_id"]),
        ("RecordScores", {"scores": [WIN, WIN | {"amount": -1}]}, ["scores[1].amount"]),
        ("RecordScores", {"scores": [WIN | {"amount": 2_000_000_001}]}, ["scores[0].amount"]),
        ("RecordScores", {"scores": [WIN | {"settle_time": None}]}, ["scores[0].settle_time"]),
        ("RecordScores", {"scores": [WIN | {"settle_time": {"seconds": -1}}]}, ["scores[0].settle_time"]),
        ("RecordScores", {"scores": [WIN | {"settle_time": {"seconds": 2**50}}]}, ["scores[0].settle_time"]),
        (
            "RecordScores",
            {"scores": [WIN, {"change": "WON", "player_id": "x", "amount": -5}]},
            ["scores[1].settle_sequence", "scores[1].player_id", "scores[1].amount", "scores[1].settle_time"],
        ),
    ],
)
async def test_a_wrong_request_is_told_everything_that_is_wrong_with_it(
    service: Service, method: str, request_: dict[str, Any], fields: list[str]
) -> None:
    request = getattr(leaderboard_pb2, f"{method}Request")(**request_)
    assert violations(await refused(getattr(service.boards, method)(request))) == fields
    assert await service.rows() == []


async def test_a_wrong_board_is_told_the_names_there_are(service: Service) -> None:
    error = await refused(service.boards.ListEntries(leaderboard_pb2.ListEntriesRequest(board="yearly")))
    assert error.details() == (
        'board: must be "all", "daily", "weekly" or "monthly", '
        'or a past one as "daily@2026-11-21", "weekly@2026-W47" or "monthly@2026-11"'
    )


async def test_many_wrong_ids_are_still_an_answer(service: Service) -> None:
    request = leaderboard_pb2.BatchGetEntriesRequest(board="all", player_ids=["x" * 40] * 500)
    assert "player_ids[0]" in violations(await refused(service.boards.BatchGetEntries(request)))


async def test_many_callers_at_once_all_get_their_answer(service: Service, source: SettlementSource) -> None:
    await service.record([source.win(player(1), 5, NOON)])
    request = leaderboard_pb2.GetEntryRequest(board="all", player_id=player(1))
    answers = await asyncio.gather(*(service.boards.GetEntry(request) for _ in range(400)))
    assert {answer.score for answer in answers} == {5}


async def test_pages_asked_for_at_the_same_time_are_each_callers_own(
    service: Service, source: SettlementSource
) -> None:
    on_board = {"all": list(range(100, 0, -1)), "daily": list(range(60, 0, -1))}
    for amount in on_board["all"]:
        won = NOON if amount in on_board["daily"] else at("2026-10-01 12:00")
        await service.record([source.win(player(amount), amount, won)])

    async def first_page(board: str, size: int) -> list[int]:
        request = leaderboard_pb2.ListEntriesRequest(board=board, page_size=size)
        return [entry.score for entry in (await service.boards.ListEntries(request)).entries]

    asked = [(board, size) for board in on_board for size in range(1, 51)] * 3
    listed = await asyncio.gather(*(first_page(*one) for one in asked))
    assert listed == [on_board[board][:size] for board, size in asked]


async def test_a_token_that_cannot_be_read_costs_nobody_else_a_page(service: Service, source: SettlementSource) -> None:
    await service.record([source.win(player(1), 5, NOON)])
    forged = pages.encode_token(("ListEntries", "all"), ["all", 10**30])
    wrong = leaderboard_pb2.ListEntriesRequest(board="all", page_token=forged)
    right = leaderboard_pb2.ListEntriesRequest(board="all")
    answers: list[Any] = await asyncio.gather(
        *(service.boards.ListEntries(wrong if number % 10 == 5 else right) for number in range(100)),
        return_exceptions=True,
    )
    for number, answer in enumerate(answers):
        if number % 10 == 5:
            assert isinstance(answer, grpc.aio.AioRpcError)
        else:
            assert answer.total_size == 1


async def test_a_page_shows_what_was_recorded_before_it_was_asked_for(
    service: Service, source: SettlementSource
) -> None:
    request = leaderboard_pb2.ListEntriesRequest(board="all", page_size=1)

    async def read_on(recorded: int) -> None:
        answer = await service.boards.ListEntries(request)
        assert answer.entries[0].score >= recorded

    async with asyncio.TaskGroup() as readers:
        for amount in range(1, 200):
            await service.record([source.win(player(1), 1, NOON)])
            for _ in range(3):
                readers.create_task(read_on(amount))


async def test_calls_that_are_given_up_neither_cost_a_connection_nor_mix_up_answers(
    service: Service, source: SettlementSource
) -> None:
    await service.record([source.win(player(number), 100 + number, NOON) for number in range(50)])

    async def ask(number: int, timeout: float) -> int:
        request = leaderboard_pb2.GetEntryRequest(board="all", player_id=player(number))
        return (await service.boards.GetEntry(request, timeout=timeout)).score

    given_up = await asyncio.gather(
        *(ask(number % 50, 0.001 * (number % 60)) for number in range(600)), return_exceptions=True
    )
    assert sum(isinstance(answer, grpc.aio.AioRpcError) for answer in given_up) >= 10
    for number, answer in enumerate(await asyncio.gather(*(ask(number % 50, 30) for number in range(400)))):
        assert answer == 100 + number % 50
