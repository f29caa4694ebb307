"""manage.py queues: how much waits of each account. A customer sees his own by GET /v1/queues."""

from typing import Any

from django.core.management.base import BaseCommand

from messaging.queues import depth


class Command(BaseCommand):
    help = "List the accounts with the most waiting messages."

    def handle(self, *args: Any, **options: Any) -> None:
        for one in depth.by_account():
            oldest = "" if one.oldest is None else f", the oldest for {one.oldest:.0f} s"
            self.stdout.write(f"{one.slug}: {one.depth} waiting, {one.due} due{oldest}")
