"""Wake-ups: the one module that knows django-q2. A job carries no message, only "there is work"; it may run never, once or
five times without harm, because the tables say what is due."""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from functools import partial

import psycopg2
from django.conf import settings
from django.db import Error, connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.tasks import async_task

from sendarix.core import processes

logger = logging.getLogger(__name__)

STOP_FD = "SENDARIX_STOP_FD"


DELIVERY, WEBHOOKS = "delivery", "webhooks"
"""The clusters there are (settings.Q_CLUSTER)."""


def enqueue(task: str, cluster: str = DELIVERY) -> None:
    """Hand the task (a dotted path) to one of the clusters, in the caller's transaction."""
    async_task(task, cluster=cluster)


def waits(cluster: str) -> str:
    """SQL: a job for this cluster that none of its workers has begun is on its way."""
    return f"EXISTS (SELECT FROM django_q_ormq WHERE key = '{cluster}')"


def waiting(cluster: str = DELIVERY) -> bool:
    with connections[Conf.ORM].cursor() as cursor:
        cursor.execute(f"SELECT {waits(cluster)}")
        return cursor.fetchone()[0]


class Broker(ORM):
    """django-q2's ORM broker with claims that skip locked rows, and NOTIFY instead of polling while idle.

    A job is deleted as it is claimed: nothing needs it twice, and a killed cluster leaves nothing behind.
    Measured commit-to-start 4.3 ms p50 against 127 ms of the stock broker (docs/decisions.md)."""

    _listener = None

    @property
    def channel(self) -> str:
        return f"jobs_{self.list_key}"

    def enqueue(self, task: str) -> int:
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(
                "WITH job AS (INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, now()) RETURNING id)"
                " SELECT id, pg_notify(%s, '') FROM job",
                [self.list_key, task, self.channel],
            )
            return cursor.fetchone()[0]

    def dequeue(self) -> list[tuple[int, str]] | None:
        """The next jobs, or None after at most a second. An error would cost the pusher ten seconds and its life."""
        try:
            return self._next()
        except (Error, psycopg2.Error) as error:
            logger.warning("jobs can't be read, trying again: %s", error)
            self._disconnect()
            time.sleep(0.5)
            return None

    def acknowledge(self, task_id: int) -> None:
        return

    def _next(self) -> list[tuple[int, str]] | None:
        if jobs := self._claim():
            return jobs
        if self._listener is None:
            self._listen()
            return self._claim()
        if select.select([self._listener], [], [], Conf.POLL)[0]:
            self._listener.poll()
            self._listener.notifies.clear()
        return None

    def _claim(self) -> list[tuple[int, str]]:
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(
                "DELETE FROM django_q_ormq WHERE id IN (SELECT id FROM django_q_ormq"
                " WHERE key = %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id, payload",
                [self.list_key, Conf.BULK],
            )
            return cursor.fetchall()

    def _disconnect(self) -> None:
        connections[Conf.ORM].close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _listen(self) -> None:
        connection = connections[Conf.ORM]
        parameters = connection.get_connection_params()
        parameters = {name: parameters[name] for name in parameters if name not in ("cursor_factory", "context")}
        self._listener = psycopg2.connect(**parameters)
        self._listener.autocommit = True
        self._listener.cursor().execute(f'LISTEN "{self.channel}"')


class Cluster:
    """One django-q2 cluster as a process group of its own, which is the only way to end it for certain:
    SIGTERM to the whole group, or SIGKILL of an idle worker, leaves it hanging for good (django-q2 issue 23)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen | None = None
        self._stop_pipe: int | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        reader, self._stop_pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster", "--skip-checks"],
            env={**os.environ, STOP_FD: str(reader), "Q_CLUSTER_NAME": self.name},
            pass_fds=[reader],
            start_new_session=True,
            preexec_fn=partial(processes.die_with_parent, signal.SIGTERM, os.getpid()),
        )
        os.close(reader)

    def stop(self, patience: float) -> None:
        """Tell running jobs to end, TERM the main process, and KILL the group after `patience` seconds."""
        if self._process is None:
            return
        self._close_pipe()
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()

    def kill(self) -> None:
        if self._process is None:
            return
        self._close_pipe()
        processes.kill_group(self._process.pid)
        self._process.wait()
        self._process = None

    def _close_pipe(self) -> None:
        if self._stop_pipe is not None:
            os.close(self._stop_pipe)
            self._stop_pipe = None


def stop_descriptor() -> int | None:
    """A descriptor that turns readable (end of file) when the cluster's parent stops or dies; None outside a cluster."""
    value = os.environ.get(STOP_FD)
    return int(value) if value else None
