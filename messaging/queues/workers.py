"""Who works on the queue: the clusters' watchdogs and their drains, by their last beat. Nothing here starts or ends one."""

from dataclasses import dataclass

from django.db import connection

from messaging.delivery import beats

LATELY = "10 minutes"
MOST = 100


@dataclass(frozen=True, slots=True)
class Worker:
    """`age`: seconds since its last beat; `claims`: messages under way. A watchdog looks after a cluster and claims none."""

    id: str
    watchdog: bool
    age: float
    claims: int

    @property
    def alive(self) -> bool:
        return self.age < beats.LEASE.total_seconds()


def beating() -> list[Worker]:
    """Those that have beaten in the last ten minutes, watchdogs first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT w.id, w.cluster = %s, extract(epoch FROM clock_timestamp() - w.beat_at)::float,"
            " (SELECT count(*) FROM messages m WHERE m.worker = w.id) FROM delivery_workers w"
            f" WHERE isfinite(w.beat_at) AND w.beat_at > clock_timestamp() - interval '{LATELY}' AND w.cluster <> %s"
            " ORDER BY 2 DESC, 3, 1 LIMIT %s",
            [beats.WATCHDOG, beats.DISPATCHER, MOST],
        )
        return [Worker(*row) for row in cursor.fetchall()]
