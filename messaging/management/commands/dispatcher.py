"""manage.py dispatcher: wakes drains for what becomes due, recovers what dead workers held, and does the chores."""

import threading

from django.core.management.base import BaseCommand

from messaging import chores
from messaging.delivery import dispatcher
from messaging.domains import schedule
from sendarix.core import chores as added
from sendarix.core import processes


class Command(BaseCommand):
    help = "Look at the queue: wake drains for due messages, give back claims of dead workers, until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []  # they import every view, and none is served here

    def handle(self, *args, **options) -> None:
        stop = processes.told_to_end()
        for name, waiting in {"chores": chores.chores(), **added.added()}.items():
            threading.Thread(target=added.run, args=[stop, waiting], name=name, daemon=True).start()
        threading.Thread(target=schedule.run, args=[stop], name="schedule", daemon=True).start()
        dispatcher.run(stop)
