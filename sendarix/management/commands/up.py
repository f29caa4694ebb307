"""`manage.py up`: everything Sendarix needs, in the foreground, until Ctrl-C or SIGTERM."""

import errno
import os
import socket
import sys
import time
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.checks import Tags, run_checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from sendarix import locks, postgres, welcome
from sendarix.supervisor import Child, Stopped, Supervisor, endings, pause


class Command(BaseCommand):
    help = "Run Sendarix: embedded PostgreSQL (unless DATABASE_URL is set), web, worker, dispatcher, webhooks, relay."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        began, host, lock = time.monotonic(), os.environ.get("HOST", "127.0.0.1"), settings.HOME / "up.lock"
        with locks.exclusive(lock) as alone:
            if not alone:
                raise CommandError(
                    f"Sendarix already runs on {settings.HOME} (pid {locks.holder(lock)}); end that first."
                )
            refuse_taken_port(host, settings.PORT)
            with endings() as wakeup:
                try:
                    self._run(host, wakeup, began)
                except Stopped:
                    self.say("Sendarix has ended")
                except postgres.PostgresError as error:
                    raise CommandError(str(error)) from error

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _run(self, host: str, wakeup: int, began: float) -> None:
        """Whatever ends the block, the children end first and the database last."""
        with ExitStack() as stack:
            keeper = None
            if not os.environ.get("DATABASE_URL"):
                keeper = stack.enter_context(postgres.Keeper(settings.HOME, self.say))
            prepare_database()
            self.say(f"Database ready after {time.monotonic() - began:.1f} s")
            spared = keeper.pids if keeper else set
            supervisor = Supervisor(children(), environment(), self.say, spared)
            stack.callback(supervisor.stop)

            def tend(seconds: float) -> None:
                if keeper:
                    keeper.tend()
                supervisor.tend()
                pause(wakeup, seconds)

            supervisor.start()
            for _ in welcome.steps(f"http://{reachable(host)}:{settings.PORT}", began, self.say):
                tend(0.05)
            while True:
                tend(0.5)


def prepare_database() -> None:
    """Only the checks of the database run: the others would import every view here, where no view is served."""
    if faults := [each for each in run_checks(tags=[Tags.database], databases=["default"]) if each.is_serious()]:
        raise CommandError("\n".join(each.msg for each in faults))
    call_command("migrate", interactive=False, verbosity=0)
    if settings.DEVELOPMENT:
        call_command("demo_account")
    connections.close_all()


def children() -> list[Child]:
    python, manage = sys.executable, str(settings.BASE_DIR / "manage.py")
    return [
        Child("web", [python, "-m", "gunicorn", "-c", "python:sendarix.gunicorn", "sendarix.wsgi"]),
        Child("worker", [python, manage, "worker"]),
        Child("dispatcher", [python, manage, "dispatcher"]),
        Child("webhooks", [python, manage, "webhooks"]),
        Child("relay", [python, manage, "relay"]),
    ]


def environment() -> dict[str, str]:
    """Ours, with the database and the directory named, so that nothing depends on where a child looks."""
    path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    named = {"DATABASE_URL": settings.DATABASE_URL, "SENDARIX_HOME": str(settings.HOME), "PYTHONPATH": path}
    return os.environ | named | {"PYTHONUNBUFFERED": "1"}


def refuse_taken_port(host: str, port: int) -> None:
    """Before anything is started: binds as gunicorn will, and lets go again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
            raise CommandError(
                f"Port {port} is taken by another program. End it or choose another: PORT={port + 1} make run"
            ) from error


def reachable(host: str) -> str:
    """The address a client on this machine uses for what is bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
