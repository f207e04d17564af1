"""Empty jobs of Celery: ``celery --app bench.peers.celery_jobs worker``, a process a core."""

import celery
import redis

from bench import peers

app = celery.Celery("bench.peers.celery_jobs", broker=peers.redis_url())
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


def _empty() -> None:
    pass


empty = app.task(_empty, name="empty")


def _enqueue(count: int) -> None:
    for _ in range(count):
        empty.delay()


def _waiting() -> int:
    return int(client.llen("celery")) + int(client.hlen("unacked"))


if __name__ == "__main__":
    client = redis.Redis.from_url(peers.redis_url())
    peers.time_jobs(_enqueue, _waiting)
