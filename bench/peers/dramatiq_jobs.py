"""Empty jobs of Dramatiq: ``dramatiq bench.peers.dramatiq_jobs``, a process a core with 8 threads each."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench import peers

broker = RedisBroker(url=peers.redis_url())
dramatiq.set_broker(broker)


def _empty() -> None:
    pass


empty = dramatiq.actor(queue_name="empty", actor_name="empty")(_empty)


def _enqueue(count: int) -> None:
    for _ in range(count):
        empty.send()


if __name__ == "__main__":
    peers.time_jobs(_enqueue, lambda: int(broker.do_qsize("empty")))
