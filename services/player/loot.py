"""What a winner takes: rule 5 of the rules of a battle, in integers."""

from services.player.players import MOST_RESOURCES


def stolen(loser: int, winner: int, share: int) -> int:
    """Returns how much of one resource moves from the loser to the winner.

    The share of what the loser owns, rounded down, but no less than a tenth and no more than a fifth of it; nothing
    where no whole number lies between the two. What the winner has no room for stays with the loser.

    Args:
        loser: What the loser owns of it.
        winner: What the winner owns of it.
        share: In basis points: 1,000 to 2,000.
    """
    least, most = -(-loser // 10), loser // 5
    if least > most:
        return 0
    wanted = min(max(loser * share // 10_000, least), most)
    return min(wanted, MOST_RESOURCES - winner)
