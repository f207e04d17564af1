"""Reports: a fight and its loot as the contract tells them."""

from services.battle.battles import Battle
from services.battle.messages import OUTCOMES
from services.battle.rules import Combatant, Fight, Outcome
from skirmish.battle.v1 import battle_pb2


def make_report(battle: Battle, fight: Fight, outcome: Outcome, gold: int, silver: int) -> battle_pb2.BattleReport:
    """Returns the report of a battle.

    Args:
        outcome: The outcome that took effect; the fight's, unless something is badly wrong.
        gold: The gold that moved.
        silver: The silver that moved.
    """
    report = battle_pb2.BattleReport(
        battle_id=battle.battle_id, rules_version=battle.rules_version, seed=battle.seed, outcome=OUTCOMES[outcome]
    )
    _fill(report.challenger, battle.challenger)
    _fill(report.opponent, battle.opponent)
    challenger_id, opponent_id = battle.challenger.player_id, battle.opponent.player_id
    for by_challenger, attack, hit, damage, left in fight.turns:
        turn = report.turns.add()
        turn.attacker_id = challenger_id if by_challenger else opponent_id
        turn.attack = attack
        turn.hit = hit
        turn.damage = damage
        turn.defender_hit_points = left
    if outcome is not Outcome.DRAW:
        loot = report.loot
        loot.share_basis_points = fight.share_basis_points
        loot.gold = gold
        loot.silver = silver
    return report


def differences(stored: battle_pb2.BattleReport, replayed: battle_pb2.BattleReport, battle: Battle) -> list[str]:
    """Returns what differs between a stored report, the one that the rules give, and the battle's own record."""
    found = [
        f"{field.name}: stored {getattr(stored, field.name)!r}, replayed {getattr(replayed, field.name)!r}"
        for field in stored.DESCRIPTOR.fields
        if field.name != "turns" and getattr(stored, field.name) != getattr(replayed, field.name)
    ]
    if len(stored.turns) != len(replayed.turns):
        found.append(f"turns: stored {len(stored.turns)}, replayed {len(replayed.turns)}")
    for index, (ours, theirs) in enumerate(zip(stored.turns, replayed.turns, strict=False)):
        if ours != theirs:
            found.append(f"turns[{index}]: stored {ours!r}, replayed {theirs!r}")
    if stored.outcome != OUTCOMES[battle.outcome]:
        found.append(f"outcome: the report says {stored.outcome}, the battle {battle.outcome or 0:d}")
    if (stored.loot.gold, stored.loot.silver) != (battle.gold_stolen, battle.silver_stolen):
        found.append("loot: the report and the battle do not tell the same")
    return found


def _fill(message: battle_pb2.Combatant, combatant: Combatant) -> None:
    message.player_id, message.attack, message.hit_points, message.luck = combatant
