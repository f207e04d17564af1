"""Empty jobs of RQ: ``rq worker``, which forks a process for every job."""

import redis
import rq

from bench import peers
from bench.peers.empty import empty


def _enqueue(count: int) -> None:
    queue.enqueue_many([rq.Queue.prepare_data(empty, result_ttl=0) for _ in range(count)])


def _waiting() -> int:
    return int(queue.count) + int(queue.started_job_registry.get_job_count(cleanup=False))


if __name__ == "__main__":
    queue = rq.Queue(connection=redis.Redis.from_url(peers.redis_url()))
    peers.time_jobs(_enqueue, _waiting)
