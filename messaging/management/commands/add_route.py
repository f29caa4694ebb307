"""manage.py add_route: a route of the platform's, which every account's mail may take."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.routes import options as route_options
from messaging.routes import registry
from messaging.views.routing_shapes import read_route
from sendarix.accounts.audit import Actor
from sendarix.core import strictjson
from sendarix.core.errors import ApiError


class Command(BaseCommand):
    help = (
        "Add a route of the platform's. It carries mail of accounts without routes of their own, and rules may name it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "route",
            help="a JSON object as POST /v1/routes takes it, or - to read it from standard input, so that a password stays out of"
            " the list of processes",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        text = sys.stdin.read() if options["route"] == "-" else options["route"]
        try:
            asked, given = read_route(_object(text), platform=True)
            fields = asked.model_dump(exclude={"kind", "options"})
            route = registry.create(None, asked.kind, fields, given, Actor(None, "operator"))
        except ApiError as refused:
            faults = [f"{fault.field}: {fault.message}" for fault in refused.errors]
            raise CommandError("\n".join(faults) or refused.message) from None
        shown = {"id": route.id, "name": route.name, "kind": route.kind}
        if hook_url := route_options.hook_url(route):
            shown["hook_url"] = hook_url
        if options["json"]:
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _object(text: str) -> dict[str, Any]:
    try:
        value = strictjson.loads(text.encode())
    except strictjson.JsonError as error:
        raise CommandError(f"Not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CommandError("A route is one JSON object.")
    return value
