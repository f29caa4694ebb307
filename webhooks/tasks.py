"""What django-q2 runs. It carries no delivery: a drain finds its work in the tables, and may run any number of times."""

from webhooks import dispatch


def drain() -> int:
    return dispatch.drain()
