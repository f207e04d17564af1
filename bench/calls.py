"""Single calls, against a call that does nothing on the same server."""

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from bench.figures import Samples, at_least
from bench.replicas import Replica, rate, replica, taking_turns
from bench.run import Run
from bench.sets import TIMEOUT, Skirmish, both
from bench.shapes import SHAPES
from skirmish.battle.v1 import battle_pb2, battle_pb2_grpc
from skirmish.leaderboard.v1 import leaderboard_pb2, leaderboard_pb2_grpc
from skirmish.player.v1 import player_pb2, player_pb2_grpc

GROUP = "Single calls"
CONCURRENCY = 64
PAGE = 100
GOALS = {"GetPlayer": at_least(0.8), "SubmitBattle": at_least(0.5), "GetEntry": at_least(0.8)}

Calls = dict[str, Callable[[], Awaitable[object]]]


async def measure(run: Run) -> None:
    """Keeps 64 calls under way, of one kind at a time, each kind next to the empty call of its own server.

    The workers rest meanwhile, so that a SubmitBattle costs what submitting costs; what was submitted is fought at the
    end.
    """
    seconds = run.size(2, 1)
    run.begin(GROUP, run.rounds * 11)
    samples = Samples()
    run.say("starting")
    async with both(run, workers=1) as (sets, _), AsyncExitStack() as stack:
        servers = []
        for skirmish in sets:
            chance = random.Random(0)
            await skirmish.fight(skirmish.requests(SHAPES["uniform"](skirmish.player_ids, 2000, chance)))
            await skirmish.set_workers(0)
            # The boards are the same with either database.
            for name in ("player", "battle", "leaderboard") if skirmish is sets[0] else ("player", "battle"):
                log = run.folder / "replicas.log"
                one = await stack.enter_async_context(replica(name, skirmish.stack.environment, log))
                servers.append((f"{skirmish.name}, {name}", {"Empty": one.empty, **await _calls(name, one, skirmish)}))
        for _ in range(run.rounds):
            for server, calls in servers:
                for method, call in calls.items():
                    with run.leg(f"{server}: {method}"):
                        samples.add(f"{server}: {method}", await rate(call, CONCURRENCY, seconds))
        for skirmish in sets:
            await skirmish.set_workers(1)
            await skirmish.until_quiet()
    for name, values in samples.of.items():
        run.add(name, "calls/s", values)
    for name in samples.of:
        server, method = name.split(": ")
        if method != "Empty":
            run.add(f"{name} to Empty", "", samples.ratios(name, f"{server}: Empty"), GOALS.get(method))


async def _calls(name: str, server: Replica, skirmish: Skirmish) -> Calls:
    ids = skirmish.player_ids
    method: Any
    if name == "player":
        method = player_pb2_grpc.PlayerServiceStub(server.channel).GetPlayer
        return {"GetPlayer": taking_turns([player_pb2.GetPlayerRequest(player_id=i) for i in ids], method)}
    if name == "battle":
        method = battle_pb2_grpc.BattleServiceStub(server.channel).SubmitBattle
        pairs = SHAPES["uniform"](ids, 5000, random.Random(1))
        submissions = [battle_pb2.SubmitBattleRequest(challenger_id=a, opponent_id=b) for a, b in pairs]
        return {"SubmitBattle": taking_turns(submissions, method)}
    boards = leaderboard_pb2_grpc.LeaderboardServiceStub(server.channel)
    found = await skirmish.boards.BatchGetEntries(
        leaderboard_pb2.BatchGetEntriesRequest(board="all", player_ids=ids[:500]), timeout=TIMEOUT
    )
    get = [leaderboard_pb2.GetEntryRequest(board="all", player_id=entry.player_id) for entry in found.entries]
    page = [leaderboard_pb2.ListEntriesRequest(board="all", page_size=PAGE)]
    return {
        "GetEntry": taking_turns(get, boards.GetEntry),
        f"ListEntries({PAGE})": taking_turns(page, boards.ListEntries),
    }
