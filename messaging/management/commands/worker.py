"""manage.py worker: one django-q2 cluster that delivers, and its watchdog."""

from django.core.management.base import BaseCommand

from messaging.delivery import watchdog
from sendarix.core import processes


class Command(BaseCommand):
    help = "Deliver messages: runs one cluster of delivery processes until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []  # they import every view, and none is served here

    def handle(self, *args, **options) -> None:
        watchdog.run(processes.told_to_end())
