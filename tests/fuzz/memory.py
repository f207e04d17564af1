"""How much memory the processes of a set use."""

from pathlib import Path

from tests.e2e.stack import Stack

SERVERS = ("player", "battle", "leaderboard", "gateway", "worker-1")


def megabytes(stack: Stack) -> dict[str, int]:
    """Returns the resident memory of each server of a set, in MiB, by its name."""
    pids = stack.pids()
    return {name: _resident(pids[name]) >> 10 for name in SERVERS}


def _resident(pid: int) -> int:
    """Returns the resident memory of a process in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
