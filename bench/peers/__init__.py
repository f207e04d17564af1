"""Other job queues doing empty jobs. Each module is imported by the queue's own worker, and run to enqueue and to wait.

Every queue runs as it comes: its own command line with its defaults, against the same Redis-compatible server with the
same append-only file as Skirmish's.
"""

import json
import os
import sys
import time
from collections.abc import Callable

URL = "BENCH_REDIS_URL"
"""The setting with the URL of the Redis-compatible server."""
POLL = 0.01
WARM_UP = 50


def redis_url() -> str:
    """Returns the URL of the Redis-compatible server."""
    return os.environ[URL]


def time_jobs(enqueue: Callable[[int], None], waiting: Callable[[], int]) -> None:
    """Enqueues as many empty jobs as the command line says, waits for them and prints the seconds that took.

    Args:
        enqueue: Enqueues so many jobs.
        waiting: Returns how many jobs have not been done, those in a worker's hands included.
    """

    def do(count: int) -> float:
        began = time.perf_counter()
        enqueue(count)
        while waiting():
            time.sleep(POLL)
        return time.perf_counter() - began

    count = int(sys.argv[1])
    do(min(count, WARM_UP))  # after this the worker is there, and warm
    print(json.dumps(do(count)))
