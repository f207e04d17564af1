"""LeaderboardService: protobuf in, a call of the store, protobuf out."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing
from typing import Any, NamedTuple

import grpc

from services.common import pages
from services.common.errors import NotFound
from services.common.lookup import Lookup
from services.common.validation import Violations, is_uuid
from services.leaderboard import boards
from services.leaderboard.boards import Change, Entry
from services.leaderboard.live import LiveBoards
from services.leaderboard.store import LAST_SEQUENCE, Store
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

MOST_SCORES = 5000
MOST_IDS = 500
MOST_GOLD_AND_SILVER = 2_000_000_000
"""What a full purse holds, and so the most that one battle moves."""

_WON = leaderboard_pb2.Score.WON
_DELETED = leaderboard_pb2.Score.DELETED
_CHANGES = leaderboard_pb2.Score.Change.values()


class _WantedPage(NamedTuple):
    """A page of ListEntries: up to ``size`` entries after the first ``before`` ones."""

    scope: tuple[str, str]
    board: str
    before: int
    size: int


class LeaderboardServicer(leaderboard_pb2_grpc.LeaderboardServiceServicer):
    """Answers for the boards.

    Args:
        store: The boards.
        live: Follows them for those who watch.
        now: Gives the time in microseconds; today's board follows from it.
    """

    def __init__(self, store: Store, live: LiveBoards, now: Callable[[], int]) -> None:
        self._store = store
        self._live = live
        self._now = now
        self._lookup = Lookup(self._find)
        self._pages = Lookup(self._read_pages)

    async def ListEntries(
        self, request: leaderboard_pb2.ListEntriesRequest, context: Context
    ) -> leaderboard_pb2.ListEntriesResponse:
        # Pages that begin on today's board go on with it after midnight, hence its full name in the token.
        scope = ("ListEntries", request.board)
        with Violations() as wrong:
            board = self._resolve(wrong, request.board)
            size = wrong.page_size(request.page_size)
            cursor = wrong.page_token(scope, request.page_token)
        board, before = (str(cursor[0]), int(cursor[1])) if cursor else (board, 0)
        answer = await self._pages.get(_WantedPage(scope, board, before, size))
        assert answer is not None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def GetEntry(self, request: leaderboard_pb2.GetEntryRequest, context: Context) -> leaderboard_pb2.Entry:
        with Violations() as wrong:
            board = self._resolve(wrong, request.board)
            wrong.uuid("player_id", request.player_id)
        entry = await self._lookup.get((board, request.player_id))
        if entry is None:
            raise _not_found(board, request.player_id)
        message = leaderboard_pb2.Entry()
        _fill(message, entry)
        return message

    async def BatchGetEntries(
        self, request: leaderboard_pb2.BatchGetEntriesRequest, context: Context
    ) -> leaderboard_pb2.BatchGetEntriesResponse:
        player_ids = list(request.player_ids)
        with Violations() as wrong:
            board = self._resolve(wrong, request.board)
            wrong.uuids("player_ids", player_ids, MOST_IDS)
        entries = await self._store.find(board, player_ids)
        missing = [player_id for player_id, entry in zip(player_ids, entries, strict=True) if entry is None]
        answer = leaderboard_pb2.BatchGetEntriesResponse(missing_player_ids=missing)
        _add(answer.entries, filter(None, entries))
        return answer

    async def ListEntriesAround(
        self, request: leaderboard_pb2.ListEntriesAroundRequest, context: Context
    ) -> leaderboard_pb2.ListEntriesAroundResponse:
        with Violations() as wrong:
            board = self._resolve(wrong, request.board)
            wrong.uuid("player_id", request.player_id)
            count = wrong.page_size(request.count, default=11, field="count")
        page = await self._store.around(board, request.player_id, count)
        if page is None:
            raise _not_found(board, request.player_id)
        answer = leaderboard_pb2.ListEntriesAroundResponse(total_size=page.size)
        _add(answer.entries, page.entries)
        return answer

    async def WatchEntries(
        self, request: leaderboard_pb2.WatchEntriesRequest, context: Context
    ) -> AsyncIterator[leaderboard_pb2.WatchEntriesResponse]:
        with Violations() as wrong:
            self._resolve(wrong, request.board)
            count = wrong.page_size(request.page_size)
        async with aclosing(self._live.watch(request.board, count)) as pages_shown:
            async for page in pages_shown:
                answer = leaderboard_pb2.WatchEntriesResponse(total_size=page.size)
                _add(answer.entries, page.entries)
                yield answer

    async def RecordScores(
        self, request: leaderboard_pb2.RecordScoresRequest, context: Context
    ) -> leaderboard_pb2.RecordScoresResponse:
        count = len(request.scores)
        with Violations() as wrong:
            if wrong.check(0 < count <= MOST_SCORES, "scores", f"must hold 1 to {MOST_SCORES:,}, not {count:,}"):
                for index, score in enumerate(request.scores):
                    for field, problem in _problems(score):
                        wrong.add(f"scores[{index}].{field}", problem)
        recorded = await self._store.record(map(_to_change, request.scores))
        return leaderboard_pb2.RecordScoresResponse(recorded=recorded.new, watermark=recorded.watermark)

    async def _read_pages(
        self, wanted: Collection[_WantedPage]
    ) -> dict[_WantedPage, leaderboard_pb2.ListEntriesResponse | BaseException]:
        """Returns pages as answers, for all who ask for the same one. What fails is told to those who want it."""
        answers = await asyncio.gather(*map(self._read_page, wanted), return_exceptions=True)
        return dict(zip(wanted, answers, strict=True))

    async def _read_page(self, wanted: _WantedPage) -> leaderboard_pb2.ListEntriesResponse:
        page = await self._store.page(wanted.board, wanted.before, wanted.size)
        end = wanted.before + len(page.entries)
        answer = leaderboard_pb2.ListEntriesResponse(total_size=page.size)
        _add(answer.entries, page.entries)
        if page.entries and end < page.size:
            answer.next_page_token = pages.encode_token(wanted.scope, [wanted.board, end])
        return answer

    async def _find(self, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
        """Returns the entries that exist, by board and player."""
        players = defaultdict(list)
        for board, player_id in wanted:
            players[board].append(player_id)
        found: dict[tuple[str, str], Entry] = {}
        for board, player_ids in players.items():
            entries = await self._store.find(board, player_ids)
            found |= {(board, entry.player_id): entry for entry in entries if entry}
        return found

    def _resolve(self, wrong: Violations, board: str) -> str:
        try:
            return boards.resolve(board, self._now())
        except boards.UnknownBoard as error:
            wrong.add("board", str(error))
            return ""


def _problems(score: leaderboard_pb2.Score) -> Iterator[tuple[str, str]]:
    """Gives what is wrong with a score, each with its field."""
    if not 0 < score.settle_sequence <= LAST_SEQUENCE:
        yield "settle_sequence", f"must be 1 to {LAST_SEQUENCE:,}, not {score.settle_sequence:,}"
    if score.change not in _CHANGES:
        yield "change", "must be left out, WON or DELETED"
    if score.change in (_WON, _DELETED) and not is_uuid(score.player_id):
        yield "player_id", "must be a UUID in lower case, as the server gave it out"
    if not 0 <= score.amount <= MOST_GOLD_AND_SILVER:
        yield "amount", f"must be 0 to {MOST_GOLD_AND_SILVER:,}, not {score.amount:,}"
    if score.change == _WON and not score.HasField("settle_time"):
        yield "settle_time", "is required for WON"
    elif not 0 <= _day(score) <= boards.LAST_DAY:
        yield "settle_time", "must lie between 1970 and 9998"


def _day(score: leaderboard_pb2.Score) -> int:
    return score.settle_time.seconds // 86_400


def _to_change(score: leaderboard_pb2.Score) -> Change:
    if score.change == _WON:
        return Change(score.settle_sequence, score.player_id, score.amount, _day(score))
    if score.change == _DELETED:
        return Change(score.settle_sequence, score.player_id, deleted=True)
    return Change(score.settle_sequence)


def _add(messages: Any, entries: Iterable[Entry]) -> None:
    """Adds entries to a repeated field, built in their place: to copy them there costs three times as much."""
    for entry in entries:
        _fill(messages.add(), entry)


def _fill(message: leaderboard_pb2.Entry, entry: Entry) -> None:
    message.position, message.rank, message.player_id, message.score = entry


def _not_found(board: str, player_id: str) -> NotFound:
    return NotFound("entry", player_id, message=f"player {player_id} is not on the board {board}")
