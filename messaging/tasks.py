"""What django-q2 runs. It carries no message: a drain finds its work in the tables, and may run any number of times."""

from messaging import exports
from messaging.delivery import worker


def drain() -> int:
    return worker.drain()


def export() -> bool:
    return exports.work()
