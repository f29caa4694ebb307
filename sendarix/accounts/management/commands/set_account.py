"""manage.py set_account ACCOUNT: change what an operator decides of an account; without options it shows that."""

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sendarix.accounts import audit, provisioning
from sendarix.accounts.models import Plan, SenderPolicy
from sendarix.accounts.provisioning import AccountFault

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Command(BaseCommand):
    help = "Change the name, plan, limits, sender, policy, redaction, retention or time zone of an account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the account's slug")
        parser.add_argument("--name")
        parser.add_argument("--plan", choices=Plan.values)
        parser.add_argument("--rate-limit", type=_rate, help="requests a minute; `plan`: what the plan has")
        parser.add_argument("--default-sender", help="address, or Name <address>; empty: none")
        parser.add_argument(
            "--sender-policy", choices=SenderPolicy.values, help="which of its domains it may send from"
        )
        parser.add_argument(
            "--redact-after", type=_span, help="how long sensitive bodies stay once sent: 90s, 30m, 24h, 7d"
        )
        parser.add_argument("--timezone", help="as Asia/Seoul; of the times on pages")
        parser.add_argument("--keep-bodies", type=int, help="days for which bodies and files are kept (30)")
        parser.add_argument("--keep-messages", type=int, help="days for which messages and their events are kept (90)")
        parser.add_argument("--keep-requests", type=int, help="days for which the request log is kept (7)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        changes = {name: options[name] for name in provisioning.SHOWN if options[name] is not None}
        if changes.get("rate_limit") == "plan":
            changes["rate_limit"] = None
        try:
            account = provisioning.find_account(options["account"])
            account = provisioning.change_account(account, changes, audit.operator(account))
        except AccountFault as fault:
            raise CommandError(str(fault)) from None
        shown = {"account": account.slug, **provisioning.state(account)}
        if options["json"]:
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in shown.items()))


def _rate(text: str) -> int | str:
    if text == "plan":
        return text
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 2**31 - 1):
        raise ArgumentTypeError("must be a whole number of requests a minute, or `plan`")
    return int(text)


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII)
    span = timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None
    if span is None or span > provisioning.LONGEST_KEPT:
        raise ArgumentTypeError("must be a number with s, m, h or d, like 24h, of at most ten years")
    return span
