"""BattleService: checks requests, asks the domain, answers messages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from redis.exceptions import RedisError

from services.battle import reports, rules, store
from services.battle.backlog import Backlog
from services.battle.battles import Battle, State, Submission
from services.battle.events import EVERYTHING, LOOK_INTERVAL, Hub
from services.battle.messages import fill, to_list, to_message
from services.battle.queue import Queue
from services.battle.submission import Submitter
from services.common import clock, pages
from services.common.database import Database
from services.common.errors import FailedPrecondition, InvalidArgument, NotFound, SkirmishError, Unavailable, to_status
from services.common.validation import Violations, is_request_id, is_uuid
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc

MOST_SUBMISSIONS = 500


class BattleServicer(battle_pb2_grpc.BattleServiceServicer):
    """The public service of battles."""

    def __init__(self, database: Database, queue: Queue, submitter: Submitter, backlog: Backlog, hub: Hub) -> None:
        self._database = database
        self._queue = queue
        self._submitter = submitter
        self._backlog = backlog
        self._hub = hub

    async def SubmitBattle(self, request: battle_pb2.SubmitBattleRequest, context: Any) -> battle_pb2.Battle:
        submission = _to_submission(request)
        result = _refusal(submission) or (await self._submitter.submit([submission]))[0]
        if isinstance(result, SkirmishError):
            raise result
        return to_message(result)

    async def SubmitBattles(
        self, request: battle_pb2.SubmitBattlesRequest, context: Any
    ) -> battle_pb2.SubmitBattlesResponse:
        with Violations() as wrong:
            count = len(request.requests)
            wrong.check(
                0 < count <= MOST_SUBMISSIONS, "requests", f"must hold 1 to {MOST_SUBMISSIONS} battles, not {count:,}"
            )
        submissions = [_to_submission(one) for one in request.requests]
        refusals = [_refusal(submission) for submission in submissions]
        right = [submission for submission, bad in zip(submissions, refusals, strict=True) if bad is None]
        submitted = iter(await self._submitter.submit(right) if right else ())
        answer = battle_pb2.SubmitBattlesResponse()
        for bad in refusals:
            result = bad or next(submitted)
            if isinstance(result, SkirmishError):
                answer.results.add(error=to_status(result))
            else:
                fill(answer.results.add().battle, result)
        return answer

    async def GetBattle(self, request: battle_pb2.GetBattleRequest, context: Any) -> battle_pb2.Battle:
        return to_message(await self._get(request.battle_id))

    async def GetBattleReport(
        self, request: battle_pb2.GetBattleReportRequest, context: Any
    ) -> battle_pb2.BattleReport:
        return (await self._get_with_report(request.battle_id))[1]

    async def ListBattles(self, request: battle_pb2.ListBattlesRequest, context: Any) -> battle_pb2.ListBattlesResponse:
        with Violations() as wrong:
            size = wrong.page_size(request.page_size)
            if request.player_id:
                wrong.uuid("player_id", request.player_id)
            known = request.state in battle_pb2.Battle.State.values()
            wrong.check(known, "state", "must be QUEUED, SETTLED or VOIDED, or left out for all")
        state = State(request.state) if request.state else None
        scope = ("ListBattles", "sequence", request.player_id, request.state)
        cursor = pages.decode_token(scope, request.page_token)
        before = int(cursor[0]) if cursor else None
        battles = await self._database.read(store.list_battles, request.player_id or None, state, before, size + 1)
        answer = to_list(battles[:size])
        if len(battles) > size:
            answer.next_page_token = pages.encode_token(scope, [battles[size - 1].sequence])
        return answer

    async def WatchBattle(
        self, request: battle_pb2.WatchBattleRequest, context: Any
    ) -> AsyncIterator[battle_pb2.Battle]:
        with self._hub.watch(request.battle_id) as watcher:  # first, so that nothing falls between look and watch
            message = to_message(await self._get(request.battle_id))
            yield message
            while message.state == battle_pb2.Battle.QUEUED:
                try:
                    async with asyncio.timeout(LOOK_INTERVAL):
                        announced = await watcher.next()
                except TimeoutError:
                    announced = to_message(await self._get(request.battle_id))
                if announced.state != message.state:
                    yield announced
                message = announced

    async def WatchBattles(
        self, request: battle_pb2.WatchBattlesRequest, context: Any
    ) -> AsyncIterator[battle_pb2.Battle]:
        if request.HasField("player_id"):
            with Violations() as wrong:
                wrong.uuid("player_id", request.player_id)
        with self._hub.watch(request.player_id or EVERYTHING) as watcher:
            await context.send_initial_metadata(())  # tells the caller that nothing is missed from now on
            while True:
                yield await watcher.next()

    async def GetQueueStatus(self, request: battle_pb2.GetQueueStatusRequest, context: Any) -> battle_pb2.QueueStatus:
        counts = await self._database.read(store.look_at_queue)
        try:
            length, consumers = await self._queue.look()
        except (RedisError, OSError) as error:
            raise Unavailable("Redis does not answer; battles are taken all the same, and wait") from error
        status = battle_pb2.QueueStatus(
            queued=counts.queued,
            blocked=counts.blocked,
            failing=counts.failing,
            voided=counts.voided,
            accepting=self._backlog.accepting,
            stream_length=length,
        )
        if counts.oldest_submit_time is not None:
            status.oldest_age.FromMicroseconds(max(0, clock.now() - counts.oldest_submit_time))
        for consumer in consumers:
            status.consumers.add(name=consumer.name, pending=consumer.pending).idle_time.FromMilliseconds(consumer.idle)
        return status

    async def VerifyBattle(
        self, request: battle_pb2.VerifyBattleRequest, context: Any
    ) -> battle_pb2.VerifyBattleResponse:
        battle, stored = await self._get_with_report(request.battle_id)
        if battle.rules_version not in rules.KNOWN_VERSIONS:
            raise FailedPrecondition(
                f"this server does not know the rules {battle.rules_version} of the battle", "RULES_UNKNOWN"
            )
        fight = rules.fight(battle.seed, battle.challenger, battle.opponent, battle.rules_version)
        replayed = reports.make_report(battle, fight, fight.outcome, stored.loot.gold, stored.loot.silver)
        differences = reports.differences(stored, replayed, battle)
        return battle_pb2.VerifyBattleResponse(
            matches=not differences, differences=differences, stored_report=stored, replayed_report=replayed
        )

    async def _get(self, battle_id: str) -> Battle:
        with Violations() as wrong:
            wrong.uuid("battle_id", battle_id)
        battle = await self._database.read(store.get, battle_id)
        if battle is None:
            raise NotFound("battle", battle_id)
        return battle

    async def _get_with_report(self, battle_id: str) -> tuple[Battle, battle_pb2.BattleReport]:
        battle = await self._get(battle_id)
        if battle.state is State.QUEUED:
            raise FailedPrecondition("the battle has not ended; watch it, or ask again", "BATTLE_NOT_ENDED")
        if battle.state is State.VOIDED:
            raise FailedPrecondition(f"the battle was voided: {battle.void_reason}", "BATTLE_VOIDED")
        report = await self._database.read(store.get_report, battle.sequence)
        if report is None:
            raise LookupError(f"settled battle {battle_id} has no report")
        return battle, battle_pb2.BattleReport.FromString(report)


def _refusal(submission: Submission) -> InvalidArgument | None:
    """Returns what is wrong with a submission, None when nothing is."""
    request_id, challenger_id, opponent_id = submission
    if is_request_id(request_id) and is_uuid(challenger_id) and is_uuid(opponent_id) and challenger_id != opponent_id:
        return None  # as thousands are every second
    wrong = Violations()
    wrong.request_id("request_id", request_id)
    named = wrong.uuid("challenger_id", challenger_id)
    if wrong.uuid("opponent_id", opponent_id) and named:
        wrong.check(challenger_id != opponent_id, "opponent_id", "must be somebody else than the challenger")
    return InvalidArgument(wrong.found)


def _to_submission(request: battle_pb2.SubmitBattleRequest) -> Submission:
    return Submission(request.request_id, request.challenger_id, request.opponent_id)
