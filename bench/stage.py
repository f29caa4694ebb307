"""What every part plays on: a private embedded PostgreSQL with real fsync, migrated, one account whose rate limit is never met,
and the product's own processes in front of it, started as `manage.py up` starts them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from bench.processes import ROOT, Process, free_port, need, program, wait_for_port
from sendarix import postgres

HUGE = 1_000_000_000


class Stage:
    """The running database and what has been started on it. Everything ends with `opened`'s block."""

    def __init__(self, folder: Path, server: postgres.Server) -> None:
        self.folder, self.server, self.url = folder, server, server.url
        self._running: list[Process] = []
        self._connection = psycopg2.connect(self.url)
        self._connection.autocommit = True
        self.live_key = ""

    def environment(self, **extra: str) -> dict[str, str]:
        """Ours without any of the product's own variables, which would change what is measured."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("SENDARIX_")}
        return plain | {
            "DATABASE_URL": self.url,
            "SENDARIX_HOME": str(self.folder / "home"),
            "SENDARIX_RATE_LIMIT_ENTERPRISE": str(HUGE),
            "SENDARIX_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(ROOT),
            **extra,
        }

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(), capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def account(self, name: str) -> str:
        """The live key of a new account with a trusted domain, NAME.test."""
        slug = name.lower()
        options = ["--plan", "enterprise", "--default-sender", f"no-reply@{slug}.test", "--json"]
        opened = self.manage("create_account", name, *options)
        self.manage("add_domain", slug, f"{slug}.test", "--trusted")
        return json.loads(opened)["live_key"]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(
        self, name: str, argv: Sequence[str], environment: dict[str, str] | None = None, user: str | None = None
    ) -> Process:
        process = Process(argv, self.folder / f"{name}.log", environment, user)
        self._running.append(process)
        return process

    def stop(self, *processes: Process) -> None:
        for process in processes:
            process.stop()
            self._running.remove(process)

    def web(self, application: str = "sendarix.wsgi", **extra: str) -> tuple[Process, int]:
        """gunicorn with the product's settings on a free port."""
        port = free_port()
        argv = [sys.executable, "-m", "gunicorn", "-c", "python:sendarix.gunicorn", application]
        process = self.start(application, argv, self.environment(PORT=str(port), **extra))
        wait_for_port(port, process)
        return process, port

    def delivery(self, sink: int, connections: int = 10) -> list[Process]:
        """The worker (two delivery processes) and the dispatcher, with a smarthost on this port as the default route."""
        route = f"smtp://127.0.0.1:{sink}?tls=none&connections={connections}"
        return [self.product(name, SENDARIX_DEFAULT_ROUTE=route) for name in ("worker", "dispatcher")]

    def product(self, command: str, **extra: str) -> Process:
        """One of the product's own processes."""
        return self.start(command, [sys.executable, "manage.py", command], self.environment(**extra))

    def smtp_sink(self) -> tuple[Process, int]:
        """Debian's smtp-sink without its counters, which slow it down. Raises Left.

        Refuses root; and started as another user it ends with us, which its own change of user would undo."""
        need("smtp-sink", package="postfix")
        port = free_port()
        user = None if os.geteuid() else "nobody"
        process = self.start("smtp-sink", [str(program("smtp-sink")), f"127.0.0.1:{port}", "1000"], user=user)
        wait_for_port(port, process)
        return process, port

    def database(self) -> list[psutil.Process]:
        """The postmaster and its processes."""
        main = psutil.Process(self.server.process.pid)
        return [main, *main.children(recursive=True)]

    def end(self) -> None:
        for process in reversed(self._running):
            process.stop()
        self._connection.close()
        self.server.stop()


@contextmanager
def opened(statements: bool = False) -> Iterator[Stage]:
    """A stage for the block. `statements` loads pg_stat_statements, which costs a little."""
    with tempfile.TemporaryDirectory(prefix="sendarix-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # Postfix's own user passes through
        stage = Stage(folder, _server(folder / "home", statements))
        try:
            stage.manage("migrate", "--verbosity", "0")
            stage.live_key = stage.account("Bench")
            yield stage
        finally:
            stage.end()


def _server(home: Path, statements: bool) -> postgres.Server:
    server = postgres.start(home, durable=True)
    if statements:
        server.stop()
        with (home / "pg" / "data" / "postgresql.conf").open("a") as settings:
            settings.write("shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track_planning = on\n")
        server = postgres.start(home, durable=True)
        connection = psycopg2.connect(server.url)
        connection.autocommit = True
        connection.cursor().execute("CREATE EXTENSION pg_stat_statements")
        connection.close()
    return server


def statements(stage: Stage, most: int = 15) -> list[tuple]:
    """(calls, ms in all, µs a call for planning and for executing, rows, text) of the statements that took longest."""
    return stage.query(
        "SELECT calls, round(total_exec_time + total_plan_time), round(1000 * total_plan_time / calls),"
        " round(1000 * total_exec_time / calls),"
        " rows, regexp_replace(left(query, 150), '\\s+', ' ', 'g') FROM pg_stat_statements WHERE calls > 0"
        f" ORDER BY total_exec_time + total_plan_time DESC LIMIT {most}"
    )
