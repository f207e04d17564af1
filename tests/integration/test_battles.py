"""The battle service with its real neighbours, through its public door, on both databases."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from redis.asyncio import Redis

from services.battle import queue
from services.common import clock
from skirmish.battle.v1 import battle_pb2
from skirmish.leaderboard.v1 import leaderboard_pb2
from skirmish.player.v1 import player_pb2
from tests import checks
from tests.trio import Trio, running_trio

Battle = battle_pb2.Battle
NAMES = itertools.count()


@pytest.fixture
async def trio(new_database: Callable[[], str], redis_url: str) -> AsyncIterator[Trio]:
    async with running_trio(new_database, redis_url) as made:
        yield made


async def new_players(trio: Trio, count: int) -> list[str]:
    made = await asyncio.gather(
        *(
            trio.skirmish.players.CreatePlayer(
                player_pb2.CreatePlayerRequest(name=f"p{next(NAMES)}", attack=20 + number % 50, luck=number * 7 % 60)
            )
            for number in range(count)
        )
    )
    return [player.player_id for player in made]


def wish(challenger: str, opponent: str, request_id: str = "") -> battle_pb2.SubmitBattleRequest:
    return battle_pb2.SubmitBattleRequest(request_id=request_id, challenger_id=challenger, opponent_id=opponent)


async def submit(trio: Trio, *wishes: battle_pb2.SubmitBattleRequest) -> list[battle_pb2.Battle]:
    answer = await trio.skirmish.battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=wishes))
    return [result.battle for result in answer.results]


async def get(trio: Trio, battle_id: str) -> battle_pb2.Battle:
    return await trio.skirmish.battles.GetBattle(battle_pb2.GetBattleRequest(battle_id=battle_id))


async def all_is_right(trio: Trio, *acknowledged: battle_pb2.Battle) -> None:
    await checks.all_ended(trio.skirmish)
    await checks.boards_complete(trio.skirmish)
    await checks.check(trio.skirmish, [battle.battle_id for battle in acknowledged])


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    """Returns the fields that an error blames."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    for detail in status.details:
        wrong = error_details_pb2.BadRequest()
        if detail.Unpack(wrong):
            return [violation.field for violation in wrong.field_violations]
    return []


async def test_a_battle_is_fought_settled_and_told(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    battle = await trio.skirmish.battles.SubmitBattle(wish(one, two))
    assert (battle.sequence, battle.state, battle.rules_version) == (1, Battle.QUEUED, 1)
    await all_is_right(trio, battle)
    ended = await get(trio, battle.battle_id)
    assert ended.state == Battle.SETTLED
    assert ended.settle_time.ToMicroseconds() >= ended.submit_time.ToMicroseconds()
    verified = await trio.skirmish.battles.VerifyBattle(battle_pb2.VerifyBattleRequest(battle_id=battle.battle_id))
    assert verified.matches, verified.differences
    assert verified.stored_report == verified.replayed_report


async def test_a_list_of_500_takes_effect_in_its_order(trio: Trio) -> None:
    players = await new_players(trio, 6)
    pairs = itertools.islice(itertools.cycle(itertools.permutations(players, 2)), 500)
    battles = await submit(trio, *(wish(*pair) for pair in pairs))
    assert [battle.sequence for battle in battles] == list(range(1, 501))
    await all_is_right(trio, *battles)


async def test_one_player_attacked_in_every_battle_by_many_callers_at_once(trio: Trio) -> None:
    victim, *others = await new_players(trio, 9)
    await trio.start_worker()
    lists = await asyncio.gather(*(submit(trio, *[wish(other, victim)] * 60) for other in others))
    await all_is_right(trio, *itertools.chain(*lists))


async def test_a_repeated_request_gets_the_same_battle_also_at_once_and_after_its_end(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    same = await asyncio.gather(
        *(trio.skirmish.battles.SubmitBattle(wish(one, two, "r")) for _ in range(20)),
    )
    assert len({battle.battle_id for battle in same}) == 1
    await all_is_right(trio, same[0])
    (again,) = await submit(trio, wish(one, two, "r"))
    assert again.battle_id == same[0].battle_id
    assert again.state == Battle.SETTLED
    (other_side,) = await submit(trio, wish(two, one, "r"))
    assert other_side.sequence == 2


async def test_a_request_id_used_for_another_opponent_is_refused(trio: Trio) -> None:
    one, two, three = await new_players(trio, 3)
    await submit(trio, wish(one, two, "r"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trio.skirmish.battles.SubmitBattle(wish(one, three, "r"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refused.value) == ["request_id"]


async def test_each_submission_of_a_list_has_a_result_of_its_own(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    stranger = clock.uuid7()
    answer = await trio.skirmish.battles.SubmitBattles(
        battle_pb2.SubmitBattlesRequest(
            requests=[wish(one, two), wish(one, one), wish(one, stranger), wish("x", ""), wish(two, one)]
        )
    )
    codes = [result.error.code for result in answer.results]
    ok, invalid, not_found = 0, grpc.StatusCode.INVALID_ARGUMENT.value[0], grpc.StatusCode.NOT_FOUND.value[0]
    assert codes == [ok, invalid, not_found, invalid, ok]
    assert [answer.results[0].battle.sequence, answer.results[4].battle.sequence] == [1, 2]
    assert stranger in answer.results[2].error.message
    await all_is_right(trio, answer.results[0].battle, answer.results[4].battle)


A, B = clock.uuid7(), clock.uuid7()


@pytest.mark.parametrize(
    ("method", "request_", "code", "fields"),
    [
        ("SubmitBattle", wish("", ""), "INVALID_ARGUMENT", ["challenger_id", "opponent_id"]),
        ("SubmitBattle", wish("a", "b", "\n"), "INVALID_ARGUMENT", ["request_id", "challenger_id", "opponent_id"]),
        ("SubmitBattle", wish(A, A), "INVALID_ARGUMENT", ["opponent_id"]),
        ("SubmitBattle", wish(A, B.upper()), "INVALID_ARGUMENT", ["opponent_id"]),
        ("SubmitBattle", wish(A, B, "x" * 65), "INVALID_ARGUMENT", ["request_id"]),
        ("SubmitBattle", wish(A, B), "NOT_FOUND", []),
        ("SubmitBattles", battle_pb2.SubmitBattlesRequest(), "INVALID_ARGUMENT", ["requests"]),
        (
            "SubmitBattles",
            battle_pb2.SubmitBattlesRequest(requests=[wish(A, B)] * 501),
            "INVALID_ARGUMENT",
            ["requests"],
        ),
        ("GetBattle", battle_pb2.GetBattleRequest(), "INVALID_ARGUMENT", ["battle_id"]),
        ("GetBattle", battle_pb2.GetBattleRequest(battle_id="1"), "INVALID_ARGUMENT", ["battle_id"]),
        ("GetBattle", battle_pb2.GetBattleRequest(battle_id=A), "NOT_FOUND", []),
        ("GetBattleReport", battle_pb2.GetBattleReportRequest(battle_id=A), "NOT_FOUND", []),
        ("VerifyBattle", battle_pb2.VerifyBattleRequest(battle_id=A), "NOT_FOUND", []),
        (
            "ListBattles",
            battle_pb2.ListBattlesRequest(page_size=-1, player_id="x", state=9),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
            ["page_size", "player_id", "state"],
        ),
        ("ListBattles", battle_pb2.ListBattlesRequest(page_token="x"), "INVALID_ARGUMENT", ["page_token"]),
    ],
)
async def test_bad_input_gets_a_clear_error(
    trio: Trio, method: str, request_: object, code: str, fields: list[str]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(trio.skirmish.battles, method)(request_)
    assert refused.value.code().name == code
    assert violations(refused.value) == fields
    assert refused.value.details()


async def test_a_report_is_refused_until_the_battle_has_ended(trio: Trio) -> None:
    await trio.stop_workers()
    one, two = await new_players(trio, 2)
    battle = await trio.skirmish.battles.SubmitBattle(wish(one, two))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trio.skirmish.battles.GetBattleReport(battle_pb2.GetBattleReportRequest(battle_id=battle.battle_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_lists_have_pages_bound_to_their_filter(trio: Trio) -> None:
    one, two, three = await new_players(trio, 3)
    battles = await submit(trio, *[wish(one, two), wish(two, three), wish(three, one)] * 5)
    await all_is_right(trio, *battles)
    request = battle_pb2.ListBattlesRequest(player_id=one, page_size=4)
    seen = []
    while True:
        page = await trio.skirmish.battles.ListBattles(request)
        seen += [battle.sequence for battle in page.battles]
        if not page.next_page_token:
            break
        request.page_token = token = page.next_page_token
    assert seen == [b.sequence for b in reversed(battles) if one in (b.challenger_id, b.opponent_id)]
    for other in ({"player_id": two}, {"player_id": one, "state": Battle.SETTLED}, {}):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await trio.skirmish.battles.ListBattles(battle_pb2.ListBattlesRequest(page_token=token, **other))
        assert violations(refused.value) == ["page_token"]


async def test_a_watched_battle_is_told_until_its_end(trio: Trio) -> None:
    await trio.stop_workers()
    one, two = await new_players(trio, 2)
    battle = await trio.skirmish.battles.SubmitBattle(wish(one, two))
    stream = trio.skirmish.battles.WatchBattle(battle_pb2.WatchBattleRequest(battle_id=battle.battle_id), timeout=30)
    told = aiter(stream)
    assert (await anext(told)).state == Battle.QUEUED
    await trio.start_worker()
    assert [b.state async for b in told] == [Battle.SETTLED]
    again = trio.skirmish.battles.WatchBattle(battle_pb2.WatchBattleRequest(battle_id=battle.battle_id), timeout=30)
    assert [b.state async for b in again] == [Battle.SETTLED]
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await anext(aiter(trio.skirmish.battles.WatchBattle(battle_pb2.WatchBattleRequest(battle_id=A))))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watchers_of_a_player_are_told_of_its_battles_as_they_end(trio: Trio) -> None:
    one, two, three = await new_players(trio, 3)
    of_one = trio.skirmish.battles.WatchBattles(battle_pb2.WatchBattlesRequest(player_id=one), timeout=30)
    of_all = trio.skirmish.battles.WatchBattles(battle_pb2.WatchBattlesRequest(), timeout=30)
    for stream in (of_one, of_all):
        await stream.initial_metadata()
    battles = await submit(trio, wish(one, two), wish(two, three), wish(three, one))
    told = [await anext(aiter(of_one)) for _ in range(2)]
    assert {b.battle_id for b in told} == {battles[0].battle_id, battles[2].battle_id}
    assert {(await anext(aiter(of_all))).battle_id for _ in range(3)} == {b.battle_id for b in battles}
    of_one.cancel()
    of_all.cancel()


async def test_a_lost_redis_loses_no_battle_and_no_score(trio: Trio, redis_client: Redis) -> None:
    players = await new_players(trio, 5)
    before = await submit(trio, *(wish(*pair) for pair in itertools.permutations(players, 2)))
    await trio.stop_workers()
    queued = await submit(trio, *(wish(*pair) for pair in itertools.permutations(players, 2)))
    await redis_client.flushall()
    await trio.start_worker()
    await all_is_right(trio, *before, *queued)


async def test_a_redis_lost_under_a_waiting_worker_loses_nothing(trio: Trio, redis_client: Redis) -> None:
    players = await new_players(trio, 5)
    await redis_client.flushall()
    battles = await submit(trio, *(wish(*pair) for pair in itertools.permutations(players, 2)))
    await redis_client.flushall()
    await all_is_right(trio, *battles)


async def test_battles_that_a_dead_worker_held_are_taken_over(trio: Trio, redis_client: Redis) -> None:
    await trio.stop_workers()
    players = await new_players(trio, 3)
    battles = await submit(trio, *[wish(*pair) for pair in itertools.permutations(players, 2)])
    async with asyncio.timeout(10):
        while await redis_client.xlen(queue.WAITING) < len(battles):
            await asyncio.sleep(0.01)
    held: Any = await redis_client.xreadgroup(queue.GROUP, "dead", {queue.WAITING: ">"}, count=3)
    assert len(held[0][1]) == 3  # the first three, so that the rest has to wait for them
    await trio.start_worker()
    await all_is_right(trio, *battles)


async def test_an_entry_lost_from_the_stream_is_helped_on_by_its_successors(trio: Trio, redis_client: Redis) -> None:
    await trio.stop_workers()
    one, two, three = await new_players(trio, 3)
    battles = await submit(trio, *[wish(one, two), wish(two, three), wish(three, one)] * 10)
    async with asyncio.timeout(10):
        while await redis_client.xlen(queue.WAITING) < len(battles):
            await asyncio.sleep(0.01)
    entries: Any = await redis_client.xrange(queue.WAITING)
    await redis_client.xdel(queue.WAITING, *(entry_id for entry_id, _ in entries[:20]))
    engine = sa.create_engine(trio.battle_settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:  # no sweeper brings it
        connection.exec_driver_sql("UPDATE battle_queue SET next_publish_time = 9000000000000000")
    await trio.start_worker()
    await all_is_right(trio, *battles)


async def test_an_entry_that_nobody_can_read_is_put_aside(trio: Trio, redis_client: Redis) -> None:
    await redis_client.xadd(queue.WAITING, {queue.FIELD: b"nonsense"})
    one, two = await new_players(trio, 2)
    await all_is_right(trio, *await submit(trio, wish(one, two)))
    async with asyncio.timeout(10):
        while await redis_client.xlen(queue.WAITING):
            await asyncio.sleep(0.01)


async def test_battles_of_a_deleted_player_are_voided_and_later_ones_go_on(trio: Trio) -> None:
    await trio.stop_workers()
    gone, one, two = await new_players(trio, 3)
    battles = await submit(trio, wish(one, two), wish(one, gone), wish(gone, two), wish(two, one))
    await trio.skirmish.players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=gone))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trio.skirmish.battles.SubmitBattle(wish(one, gone))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await trio.start_worker()
    await all_is_right(trio, *battles)
    states = [(await get(trio, battle.battle_id)).state for battle in battles]
    assert states == [Battle.SETTLED, Battle.VOIDED, Battle.VOIDED, Battle.SETTLED]
    listed = await trio.skirmish.battles.ListBattles(battle_pb2.ListBattlesRequest(state=Battle.VOIDED))
    assert [battle.battle_id for battle in listed.battles] == [battles[2].battle_id, battles[1].battle_id]
    assert all("deleted" in battle.void_reason for battle in listed.battles)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trio.skirmish.battles.GetBattleReport(battle_pb2.GetBattleReportRequest(battle_id=battles[1].battle_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_battles_of_rules_that_this_code_does_not_know_are_left_alone(trio: Trio, redis_client: Redis) -> None:
    await trio.stop_workers()
    one, two, three, four = await new_players(trio, 4)
    battles = await submit(trio, wish(one, two), wish(three, four))
    engine = sa.create_engine(trio.battle_settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE battle SET rules_version = 99 WHERE sequence = 1")
    await redis_client.flushall()  # so that the stream is filled from the table
    await trio.start_worker()
    stream = trio.skirmish.battles.WatchBattle(
        battle_pb2.WatchBattleRequest(battle_id=battles[1].battle_id), timeout=30
    )
    assert [battle.state async for battle in stream][-1] == Battle.SETTLED
    assert (await get(trio, battles[0].battle_id)).state == Battle.QUEUED


async def test_what_waits_for_rules_that_this_code_does_not_know_holds_nobody_else_up(
    trio: Trio, redis_client: Redis
) -> None:
    await trio.stop_workers()
    trio.battle_settings = trio.battle_settings.model_copy(update={"batch_size": 1, "batches_at_once": 1})
    one, two, three, four, five, six = await new_players(trio, 6)
    battles = await submit(trio, wish(one, two), wish(one, three), wish(two, four), wish(three, one), wish(four, two))
    engine = sa.create_engine(trio.battle_settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE battle SET rules_version = 99 WHERE sequence = 1")
    await redis_client.flushall()  # so that the stream is filled from the table
    others = await submit(trio, wish(five, six), wish(six, five))
    await trio.start_worker()
    for battle in others:
        watch = battle_pb2.WatchBattleRequest(battle_id=battle.battle_id)
        stream = trio.skirmish.battles.WatchBattle(watch, timeout=60)
        assert [seen.state async for seen in stream][-1] == Battle.SETTLED
    for battle in battles:
        assert (await get(trio, battle.battle_id)).state == Battle.QUEUED


async def test_a_long_queue_that_is_published_anew_behind_its_newest_battles(trio: Trio, redis_client: Redis) -> None:
    await trio.stop_workers()
    players = await new_players(trio, 6)
    pairs = itertools.cycle(itertools.permutations(players, 2))
    older = [battle for _ in range(8) for battle in await submit(trio, *(wish(*next(pairs)) for _ in range(250)))]
    await redis_client.flushall()
    newer = [battle for _ in range(5) for battle in await submit(trio, *(wish(*next(pairs)) for _ in range(250)))]
    await trio.start_worker()  # it finds the newer ones in the stream, more than it takes at once
    await all_is_right(trio, *older, *newer)


async def test_a_stored_report_that_was_changed_is_found_out(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    (battle,) = await submit(trio, wish(one, two))
    await all_is_right(trio, battle)
    request = battle_pb2.GetBattleReportRequest(battle_id=battle.battle_id)
    report = await trio.skirmish.battles.GetBattleReport(request)
    report.turns[0].attack += 1
    engine = sa.create_engine(trio.battle_settings.database_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE battle_report SET report = :r"), {"r": report.SerializeToString()})
    verified = await trio.skirmish.battles.VerifyBattle(battle_pb2.VerifyBattleRequest(battle_id=battle.battle_id))
    assert not verified.matches
    assert len(verified.differences) == 1
    assert verified.differences[0].startswith("turns[0]")


async def test_too_many_waiting_battles_are_refused_with_a_delay(trio: Trio) -> None:
    await trio.stop_workers()
    one, two = await new_players(trio, 2)
    settings = trio.battle_settings.model_copy(update={"max_queued": 5})
    battles = await trio.another_battle_server(settings)
    await battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=[wish(one, two)] * 5))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await battles.SubmitBattle(wish(one, two))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    delay = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(delay) for detail in status.details)
    assert delay.retry_delay.ToMilliseconds() > 0


async def test_a_challenger_with_too_many_waiting_battles_is_refused_alone(trio: Trio) -> None:
    await trio.stop_workers()
    one, two, three = await new_players(trio, 3)
    battles = await trio.another_battle_server(trio.battle_settings.model_copy(update={"max_queued_per_challenger": 5}))
    await battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=[wish(one, two)] * 5))
    answer = await battles.SubmitBattles(
        battle_pb2.SubmitBattlesRequest(requests=[wish(one, two), wish(two, one), wish(one, three)])
    )
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert [result.error.code for result in answer.results] == [exhausted, 0, exhausted]
    await trio.start_worker()
    async with asyncio.timeout(20):
        while True:  # by itself, once the queue is shorter
            again = await battles.SubmitBattles(battle_pb2.SubmitBattlesRequest(requests=[wish(one, two)]))
            if again.results[0].HasField("battle"):
                break
            await asyncio.sleep(0.05)
    taken = [result.battle for result in (*answer.results, *again.results) if result.HasField("battle")]
    await all_is_right(trio, *taken)


async def test_the_queue_tells_how_it_is(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    status = await trio.skirmish.battles.GetQueueStatus(battle_pb2.GetQueueStatusRequest())
    assert (status.queued, status.stream_length, status.accepting) == (0, 0, True)
    assert not status.HasField("oldest_age")
    assert len(status.consumers) == 1
    await trio.stop_workers()
    await submit(trio, *[wish(one, two)] * 3)
    async with asyncio.timeout(10):
        while status.stream_length < 3:
            status = await trio.skirmish.battles.GetQueueStatus(battle_pb2.GetQueueStatusRequest())
    assert (status.queued, status.blocked, status.failing, status.voided) == (3, 0, 0, 0)
    assert status.oldest_age.ToMilliseconds() >= 0
    assert not status.consumers


async def test_watchers_of_one_replica_hear_of_battles_submitted_to_another(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    other = await trio.another_battle_server(trio.battle_settings)
    stream = other.WatchBattles(battle_pb2.WatchBattlesRequest(), timeout=30)
    await stream.initial_metadata()
    (battle,) = await submit(trio, wish(one, two))
    assert (await anext(aiter(stream))).battle_id == battle.battle_id
    stream.cancel()


async def test_a_deleted_player_leaves_the_boards(trio: Trio) -> None:
    one, two = await new_players(trio, 2)
    battles = await submit(trio, *[wish(one, two)] * 4)
    await all_is_right(trio, *battles)
    await trio.skirmish.players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=one))
    await trio.skirmish.players.DeletePlayer(player_pb2.DeletePlayerRequest(player_id=two))
    async with asyncio.timeout(10):
        request = leaderboard_pb2.ListEntriesRequest(board="all")
        while (await trio.skirmish.boards.ListEntries(request)).entries:
            await asyncio.sleep(0.05)
