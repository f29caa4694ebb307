"""What the fault tests play on: a durable PostgreSQL of their own that can be stopped and started, the product's own processes in
front of it, and a door through which messages are accepted. Whatever a test does, everything started here is ended."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from sendarix import postgres

ROOT = Path(__file__).resolve().parents[2]
TABLES = "messages, message_contents, attachments, events, attempts, idempotency_keys, dead_letters, suppressions"
TABLES += ", delivery_workers, django_q_ormq"
TABLES += ", webhook_endpoints, webhook_deliveries, webhook_attempts, webhook_workers, audit_log"
TABLES += ", path_health, path_changes, pace_windows"

MAIL = {"subject": "Your code", "text": "482913", "recipient": "kim@hanbit.example"}


PATIENCE = 90.0
"""Seconds after which what has not come about on a busy machine will not come."""


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE, every: float = 0.02) -> Any:
    """The first true value of `condition` within so many seconds, else its last value."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(every)
    return met


def gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def manage(command: str) -> list[str]:
    return [sys.executable, "manage.py", command]


class Actor:
    """One started command with all that it starts itself: its process group, and those of its descendants (a cluster is one)."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._groups = {self.process.pid}

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """Every living process of it, orphans included."""
        groups = [(each, _group(each)) for each in psutil.process_iter()]
        with suppress(psutil.NoSuchProcess):
            children = {each.pid for each in psutil.Process(self.process.pid).children(recursive=True)}
            self._groups |= {group for each, group in groups if each.pid in children and group}
        return [each for each, group in groups if group in self._groups]

    def pids(self, saying: str) -> list[int]:
        """Living processes that announced themselves in the log, e.g. as `ready for work at` (django-q2's words)."""
        living = {each.pid for each in self.family()}
        return [int(pid) for pid in re.findall(rf"{saying} (\d+)", self.text) if int(pid) in living]

    def ready(self, processes: int = 2) -> "Actor":
        """Once its delivery processes wait for work."""
        assert eventually(lambda: len(self.pids("ready for work at")) >= processes, every=0.1), self.text[-2000:]
        return self

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """SIGKILL to the whole family, again until none is left."""

        def kill() -> bool:
            family = self.family()
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            return not family

        self.process.kill()
        self.process.wait()
        assert eventually(kill, every=0.05)


def _group(process: psutil.Process) -> int | None:
    with suppress(psutil.Error, OSError):
        if process.status() != psutil.STATUS_ZOMBIE:
            return os.getpgid(process.pid)
    return None


class Door:
    """Accepts messages in a process of its own, over the API's real handler; forks drains that are to die (door.py)."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._lock = threading.Lock()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.door"],
                cwd=ROOT, env=environment | {"ALLOWED_HOSTS": "*"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    def call(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def end_drains(self) -> None:
        """Also those that stand still, and would keep their locks."""
        for drain in psutil.Process(self.pid).children():
            with suppress(psutil.NoSuchProcess):
                drain.kill()
                drain.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Stage:
    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.server = postgres.start(home, durable=True)
        self._set("wal_writer_delay", "10s")  # so that what is not flushed by its commit is lost in a crash for certain
        self._actors: list[Actor] = []
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=self.environment(), check=True)
        self.door = Door(self.environment(), home / "door.log")
        self.door.call("open")

    def environment(self, **settings: str) -> dict[str, str]:
        """Ours, without the product's own variables, for the stage's database and mail server."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SENDARIX_")}
        named = {"DATABASE_URL": self.server.url, "SENDARIX_HOME": str(self.home), "SENDARIX_HELO": "out.sendarix.test"}
        route = {
            "SENDARIX_DEFAULT_ROUTE": f"smtp://127.0.0.1:{self.port}?tls=none",
            "SENDARIX_RETRY_LADDER": "1,1,2,2,2",
            "SENDARIX_BREAKER_REST": "0",
        }
        python = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
        return plain | named | route | python | settings

    def start(self, command: str, name: str = "", **settings: str) -> Actor:
        """manage.py `command` as an actor of this name."""
        name = name or command
        actor = Actor(name, manage(command), self.environment(**settings), self.home / f"{name}.log")
        self._actors.append(actor)
        return actor

    def accept(self, count: int = 1, **fields: Any) -> list[str]:
        """The ids of so many messages, all accepted with 202."""
        answers = self.door.call("accept", mails=[MAIL | fields] * count)
        assert all(status == 202 for status, _ in answers), answers
        return [message_id for _, message_id in answers]

    def accept_file(self, octets: int) -> str:
        """The id of a message with a file of about so many octets in base64."""
        content = base64.b64encode(os.urandom(30_000)).decode()
        return self.door.call("accept_file", content=content, size=octets)

    def query(self, sql: str, *values: Any) -> list[tuple]:
        connection = psycopg2.connect(self.server.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _set(self, name: str, value: str) -> None:
        connection = psycopg2.connect(self.server.url)
        connection.autocommit = True
        connection.cursor().execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.cursor().execute("SELECT pg_reload_conf()")
        connection.close()

    def value(self, sql: str, *values: Any) -> Any:
        return self.query(sql, *values)[0][0]

    def open_messages(self) -> int:
        """Messages that wait or are claimed."""
        return self.value("SELECT count(*) FROM messages WHERE due_at IS NOT NULL OR worker IS NOT NULL")

    def stop_database(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast shutdown. SIGQUIT: immediate, as a crash."""
        self.server.process.send_signal(number)
        self.server.process.wait(PATIENCE)

    def start_database(self) -> None:
        self.server = postgres.start(self.home, durable=True)

    def answers(self) -> bool:
        """Whether the database accepts queries now."""
        with suppress(psycopg2.OperationalError):
            return bool(self.value("SELECT 1"))
        return False

    def kill_backend(self, pid: int) -> None:
        """SIGKILL to one of the database's own processes, found among the children of the postmaster."""
        for child in psutil.Process(self.server.process.pid).children():
            if child.pid == pid:
                child.kill()

    def strike(self) -> None:
        """End every actor and empty the tables, for the next scene."""
        self.end_actors()
        self.door.end_drains()
        self.door.call("rest")
        if self.server.process.poll() is not None:
            self.start_database()
        assert eventually(self.answers)
        self.query(f"TRUNCATE {TABLES}")

    def end_actors(self) -> None:
        while self._actors:
            actor = self._actors.pop()
            actor.end()
            actor.log.unlink()

    def close(self) -> None:
        try:
            self.end_actors()
        finally:
            self.door.close()
            self.server.stop()


class Load:
    """Accepts messages in the background, so many per second, until the block ends; `ids` are those answered with 202."""

    def __init__(self, stage: Stage, rate: float, **fields: Any) -> None:
        self._stage, self._rate, self._fields = stage, rate, fields
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.ids: list[str] = []
        self.refused = 0

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        batch = max(1, round(self._rate / 20))
        while not self._stop.wait(batch / self._rate):
            answers = self._stage.door.call("accept", mails=[MAIL | self._fields] * batch)
            self.ids += [message_id for status, message_id in answers if status == 202]
            self.refused += sum(status != 202 for status, _ in answers)
