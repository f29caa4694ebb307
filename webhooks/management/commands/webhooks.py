"""manage.py webhooks: one django-q2 cluster that delivers webhooks, its watchdog, and its ticks."""

from django.core.management.base import BaseCommand

from sendarix.core import processes
from webhooks import ticking


class Command(BaseCommand):
    help = "Deliver webhooks: runs one cluster of delivering processes until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []  # they import every view, and none is served here

    def handle(self, *args, **options) -> None:
        ticking.run(processes.told_to_end())
