"""The state machine: whatever clients and operators may do, in any order, and what must be answered to it."""

from __future__ import annotations  # the stubs' types exist for the type checker alone

import itertools
from typing import Any

import grpc
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from services.common import clock
from skirmish.battle.v1 import battle_pb2
from skirmish.player.v1 import player_pb2
from tests import oracle
from tests.statemachine.arena import Arena
from tests.statemachine.referee import Battle, Fighter, Grant, Referee

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
OUT_OF_RANGE = grpc.StatusCode.FAILED_PRECONDITION

STRANGER = clock.uuid7()
"""The id of a player that never was."""
NAMES = itertools.count()
"""Players stay for good, so each example takes new names."""

_MOST = oracle.LIMIT
BALANCES = st.sampled_from([0, 1, 4, 10, 1000, _MOST - 1, _MOST]) | st.integers(0, _MOST)
POINTS = st.sampled_from([1, 2, 100, 9_999, 10_000]) | st.integers(1, 10_000)
LUCK = st.sampled_from([0, 50, 90]) | st.integers(0, 90)
AMOUNTS = st.sampled_from([-_MOST, -1000, -1, 0, 1, 1000, _MOST, -(2**31), 2**31 - 1]) | st.integers(-_MOST, _MOST)
STATS = st.builds(oracle.Stats, POINTS, POINTS, LUCK)


class Battlefield(RuleBasedStateMachine):
    """One example: new players on a Skirmish that has seen many.

    It calls one after the other, so what must be answered is known; the worker works beside it all the time.

    Args:
        arena: The Skirmish.
    """

    players: Bundle[str] = Bundle("players")
    anybody = players | st.just(STRANGER)
    pairs = st.tuples(anybody, anybody)

    def __init__(self, arena: Arena) -> None:
        super().__init__()
        self.arena = arena
        self.fighters: dict[str, Fighter] = {}
        self.creations: list[player_pb2.CreatePlayerRequest] = []
        self.battles: dict[str, Battle] = {}
        self.requests: dict[tuple[str, str], str] = {}
        self.ids = itertools.count()
        self.referee = Referee(arena, self.fighters, self.battles)

    @initialize(target=players, one=STATS, two=STATS, gold=BALANCES, silver=BALANCES)
    def begin(self, one: oracle.Stats, two: oracle.Stats, gold: int, silver: int) -> MultipleResults[str]:
        return multiple(self._create(one, gold, silver), self._create(two, silver, gold))

    @rule(target=players, stats=STATS, gold=BALANCES, silver=BALANCES)
    def create(self, stats: oracle.Stats, gold: int, silver: int) -> str:
        return self._create(stats, gold, silver)

    def _create(self, stats: oracle.Stats, gold: int, silver: int) -> str:
        name = f"p{next(NAMES)}"
        request = player_pb2.CreatePlayerRequest(
            request_id=name, name=name, gold=gold, silver=silver, **stats._asdict()
        )
        player = self.arena.call(self.arena.skirmish.players.CreatePlayer, request)
        assert (player.name, player.gold, player.silver, player.resources_stolen) == (name, gold, silver, 0)
        self.fighters[player.player_id] = Fighter(player.player_id, stats, (gold, silver))
        self.creations.append(request)
        return str(player.player_id)

    @rule(data=st.data(), altered=st.booleans())
    def create_again(self, data: st.DataObject, altered: bool) -> None:
        index = data.draw(st.integers(0, len(self.creations) - 1))
        request = player_pb2.CreatePlayerRequest()
        request.CopyFrom(self.creations[index])
        if altered:
            request.description = "somebody else"
        answer = self.arena.call(self.arena.skirmish.players.CreatePlayer, request)
        first = list(self.fighters.values())[index]
        if altered:
            assert answer is INVALID
        elif first.deleted:
            assert answer is NOT_FOUND
        else:
            assert answer.player_id == first.player_id

    @rule(player_id=anybody, stats=STATS)
    def update(self, player_id: str, stats: oracle.Stats) -> None:
        values = player_pb2.Player(player_id=player_id, **stats._asdict())
        request = player_pb2.UpdatePlayerRequest(player=values)
        request.update_mask.paths.extend(stats._fields)
        answer = self.arena.call(self.arena.skirmish.players.UpdatePlayer, request)
        if not self._lives(player_id):
            assert answer is NOT_FOUND
            return
        assert oracle.Stats(answer.attack, answer.hit_points, answer.luck) == stats
        self.fighters[player_id].stats = stats

    @rule(player_id=anybody, gold=AMOUNTS, silver=AMOUNTS, altered=st.booleans())
    def grant(self, player_id: str, gold: int, silver: int, altered: bool) -> None:
        request_id = f"{player_id}/{next(self.ids)}"
        request = player_pb2.GrantResourcesRequest(
            request_id=request_id, player_id=player_id, gold=gold, silver=silver, reason=request_id
        )
        grant = self.arena.skirmish.players.GrantResources
        answer = self.arena.call(grant, request)
        if not (gold or silver):
            assert answer is INVALID
        elif not self._lives(player_id):
            assert answer is NOT_FOUND
        elif answer is not OUT_OF_RANGE:  # whether it is, depends on battles that may take effect at this moment
            self.fighters[player_id].grants.append(Grant((gold, silver), request_id))
            again = self.arena.call(grant, request)
            assert again.player_id == player_id
            if altered:
                request.silver = silver - 1 if silver > 0 else silver + 1
                request.gold = request.gold or 1
                assert self.arena.call(grant, request) is INVALID

    @rule(pair=pairs, named=st.booleans())
    def submit(self, pair: tuple[str, str], named: bool) -> None:
        wish = self._wish(pair, f"r{next(self.ids)}" if named else "")
        answer = self.arena.call(self.arena.skirmish.battles.SubmitBattle, wish)
        self._acknowledge(wish, answer)

    @rule(wishes=st.lists(pairs, min_size=1, max_size=20), times=st.sampled_from([1, 1, 3]))
    def submit_list(self, wishes: list[tuple[str, str]], times: int) -> None:
        requests = [self._wish(pair, f"r{next(self.ids)}") for pair in wishes]
        self._submit(requests, times)

    @rule(data=st.data(), opponents=st.lists(anybody, max_size=3))
    def submit_again(self, data: st.DataObject, opponents: list[str]) -> None:
        """Repeats some submissions as they were, and some against other opponents, all in one list."""
        if not self.requests:
            return
        known = list(self.requests)
        again = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=5))
        same = [self._wish((who, self.battles[self.requests[who, r]].opponent_id), r) for who, r in again]
        altered = [self._wish((who, other), r) for (who, r), other in zip(again, opponents, strict=False)]
        self._submit([*same, *altered], 1)

    def _submit(self, requests: list[battle_pb2.SubmitBattleRequest], times: int) -> None:
        submit = self.arena.skirmish.battles.SubmitBattles
        answers = self.arena.call_at_once(submit, battle_pb2.SubmitBattlesRequest(requests=requests), times)
        for answer in answers:
            assert len(answer.results) == len(requests)
            # The first answer read may be that of any of the calls, so that here the others look like repetitions.
            for request, result in zip(requests, answer.results, strict=True):
                self._acknowledge(request, result.battle if result.HasField("battle") else _code(result.error.code))

    def _acknowledge(self, wish: battle_pb2.SubmitBattleRequest, answer: Any) -> None:
        earlier = self.requests.get((wish.challenger_id, wish.request_id))
        reused = earlier and self.battles[earlier].opponent_id != wish.opponent_id
        if wish.challenger_id == wish.opponent_id or reused:
            assert answer is INVALID
        elif earlier:
            assert answer.battle_id == earlier
        elif not (self._lives(wish.challenger_id) and self._lives(wish.opponent_id)):
            assert answer is NOT_FOUND
        else:
            assert isinstance(answer, battle_pb2.Battle), answer
            assert (answer.challenger_id, answer.opponent_id) == (wish.challenger_id, wish.opponent_id)
            assert answer.battle_id not in self.battles
            assert answer.sequence == self.referee.first_sequence + len(self.battles), "a place is missing or doubled"
            stats = self.fighters[wish.challenger_id].stats, self.fighters[wish.opponent_id].stats
            self.battles[answer.battle_id] = Battle(answer.sequence, wish.challenger_id, wish.opponent_id, *stats)
            if wish.request_id:
                self.requests[wish.challenger_id, wish.request_id] = answer.battle_id

    @rule(player_id=anybody)
    def delete(self, player_id: str) -> None:
        answer = self.arena.call(
            self.arena.skirmish.players.DeletePlayer, player_pb2.DeletePlayerRequest(player_id=player_id)
        )
        if not self._lives(player_id):
            assert answer is NOT_FOUND
            return
        assert not isinstance(answer, grpc.StatusCode)
        self.fighters[player_id].deleted = True

    @rule()
    def stop_workers(self) -> None:
        self.arena.run(self.arena.trio.stop_workers())

    @rule()
    def start_worker(self) -> None:
        if len(self.arena.trio.workers) < 2:
            self.arena.run(self.arena.trio.start_worker())

    @rule()
    def lose_redis(self) -> None:
        self.arena.flush_redis()

    @rule()
    def let_battles_end(self) -> None:
        if self.arena.trio.workers:
            self.referee.wait()

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        self.referee.check_balances()

    def teardown(self) -> None:
        """Judges the example, and leaves an empty field to the next one."""
        try:
            if not self.arena.trio.workers:
                self.arena.run(self.arena.trio.start_worker())
            self.referee.wait()
            note(f"{len(self.battles)} battles of {len(self.fighters)} players")
            self.referee.check()
        finally:
            for player_id, fighter in self.fighters.items():
                if not fighter.deleted:
                    self.arena.call(
                        self.arena.skirmish.players.DeletePlayer, player_pb2.DeletePlayerRequest(player_id=player_id)
                    )

    def _lives(self, player_id: str) -> bool:
        return player_id in self.fighters and not self.fighters[player_id].deleted

    @staticmethod
    def _wish(pair: tuple[str, str], request_id: str) -> battle_pb2.SubmitBattleRequest:
        return battle_pb2.SubmitBattleRequest(request_id=request_id, challenger_id=pair[0], opponent_id=pair[1])


def _code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)
