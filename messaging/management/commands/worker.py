"""manage.py worker: one django-q2 cluster that delivers, and its watchdog."""

import signal
import threading

from django.core.management.base import BaseCommand

from messaging.delivery import watchdog


class Command(BaseCommand):
    help = "Deliver messages: runs one cluster of delivery processes until SIGTERM or SIGINT."

    def handle(self, *args, **options) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        watchdog.run(stop)
