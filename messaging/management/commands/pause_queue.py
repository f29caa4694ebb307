"""manage.py pause_queue: hold everybody's mail back, by tier, destination or route."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.queues import pauses
from messaging.views.queue_shapes import PauseShape
from sendarix.accounts.audit import Actor
from sendarix.core import shapes
from sendarix.core.errors import ApiError


def add_conditions(parser: ArgumentParser) -> None:
    parser.add_argument("--tier", help="critical, high, normal or low")
    parser.add_argument("--destination", help="a provider group (gmail) or a domain")
    parser.add_argument("--route", help="the id of a route of the platform's")
    parser.add_argument("--all", action="store_const", const=True, help="all mail")


def given(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if options[name] is not None}


def refusal(refused: ApiError) -> CommandError:
    return CommandError("\n".join(f"{fault.field}: {fault.message}" for fault in refused.errors) or refused.message)


class Command(BaseCommand):
    help = "Hold everybody's mail back until resume_queue, or for some seconds. Mail of test keys goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_conditions(parser)
        parser.add_argument("--reason", required=True, help="shown to customers with each message that waits")
        parser.add_argument("--seconds", type=int, help="without it: until it is resumed")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asked = shapes.validate(
                PauseShape, given(options, "tier", "destination", "route", "all", "reason", "seconds")
            )
            made = pauses.pause(None, asked.conditions, asked.reason, asked.ends_at, Actor(None, "operator"))
        except ApiError as refused:
            raise refusal(refused) from None
        self.stdout.write(made.id)
