"""manage.py dispatcher: wakes drains for what becomes due, recovers what dead workers held, and does the chores."""

import signal
import threading

from django.core.management.base import BaseCommand

from messaging import chores
from messaging.delivery import dispatcher


class Command(BaseCommand):
    help = "Look at the queue: wake drains for due messages, give back claims of dead workers, until SIGTERM or SIGINT."

    def handle(self, *args, **options) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        chore = threading.Thread(target=chores.run, args=[stop], name="chores", daemon=True)
        chore.start()
        dispatcher.run(stop)
