"""What the figures were measured on, and how busy it was with other things."""

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from bench.figures import percentile
from local.settings import ROOT

PACKAGES = ("grpcio", "protobuf", "redis", "sqlalchemy", "psycopg", "dramatiq", "celery", "rq")
SYNCS = 100


def describe(folder: Path) -> dict[str, Any]:
    """Returns the machine: hardware, versions, and how long the disk takes to make 4 KiB durable."""
    import sqlite3

    syncs = [1000 * seconds for seconds in _syncs(folder)]
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "fsync_ms": {"median": percentile(syncs, 50), "p99": percentile(syncs, 99)},
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "revision": _revision(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    mount = max(mounts, key=lambda p: len(p.mountpoint))
    return f"{mount.fstype} on {mount.device}"


def _revision() -> str:
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return git.stdout.strip() or "unknown"


def _syncs(folder: Path) -> list[float]:
    path = folder / "fsync"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return taken


class Occupation:
    """Tells how much of the machine was busy with something else between two looks.

    Args:
        roots: Process ids of those that are ours, with all that they start.
    """

    def __init__(self, roots: list[int]) -> None:
        self._roots = roots
        self._at = time.monotonic()
        self._all, self._own = _busy(), used_with_children(roots)

    def look(self) -> float:
        """Returns which part of all cores others have used since the beginning: 0 to 1."""
        others = (_busy() - self._all) - (used_with_children(self._roots) - self._own)
        cores = psutil.cpu_count() or 1
        return max(0.0, others / (time.monotonic() - self._at) / cores)


def cpu_seconds(pid: int) -> float:
    """Returns how long a process, with those it started and has seen end, has used a core; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def used_with_children(roots: list[int]) -> float:
    """Returns how long processes and all that they have started have used a core."""
    pids = set()
    for root in roots:
        try:
            process = psutil.Process(root)
            pids |= {root, *(child.pid for child in process.children(recursive=True))}
        except psutil.NoSuchProcess:
            continue
    return sum(map(cpu_seconds, pids))
