"""manage.py resume_queue: let mail go that pause_queue held back."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from messaging.management.commands.pause_queue import add_conditions, given, refusal
from messaging.queues import pauses
from messaging.views.queue_shapes import ResumeShape
from sendarix.accounts.audit import Actor
from sendarix.core import shapes
from sendarix.core.errors import ApiError


class Command(BaseCommand):
    help = "End a pause of the platform's: by its id, or by the very conditions it was made with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", nargs="?", help="as pause_queue printed it")
        add_conditions(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asked = shapes.validate(ResumeShape, given(options, "id", "tier", "destination", "route", "all"))
            done = pauses.resume(None, asked.id or asked.conditions, Actor(None, "operator"))
        except ApiError as refused:
            raise refusal(refused) from None
        self.stdout.write(f"{done.pauses} pauses ended, {done.messages} messages let go")
