"""python -m tests.faults.door: accepts messages over the API's handler, and forks drains that end at a chosen point (crashes.py).
One JSON object per line comes in and one answer goes out; it ends with its input."""

import json
import os
import signal
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 - Django has to be set up first

from messaging.delivery import worker  # noqa: E402
from sendarix.accounts.models import Account  # noqa: E402
from sendarix.core import events, processes  # noqa: E402
from tests import world  # noqa: E402
from tests.api_client import Api  # noqa: E402
from tests.faults import crashes  # noqa: E402
from tests.webhooks import engine  # noqa: E402


class Keeper:
    """The commands that stage.Door.call names."""

    def __init__(self) -> None:
        self.api = Api(None)

    def open(self) -> bool:
        """Make the account that everything is sent for."""
        self.api = world.company("hanbit").live
        return True

    def accept(self, mails: list[dict[str, Any]]) -> list[tuple[int, str | None]]:
        """Status and message id of each mail, posted one by one."""
        answers = []
        for mail in mails:
            connection.close_if_unusable_or_obsolete()
            answer = self.api.post("/v1/messages", mail)
            answers.append((answer.status, answer.json.get("message_id")))
        return answers

    def accept_file(self, content: str, size: int) -> str:
        """The id of a mail with one attachment: this base64 text, repeated up to so many characters."""
        file = {
            "filename": "plan.bin",
            "content_type": "application/octet-stream",
            "content": content * (size // len(content)),
        }
        mail = {"recipient": "kim@hanbit.example", "subject": "Plans", "text": "See the file.", "attachments": [file]}
        return self.api.post("/v1/messages", mail).json["message_id"]

    def drain(self, point: str) -> int:
        """The pid of a forked process that drains the queue once and ends itself at this point ("" for none)."""
        parent = os.getpid()
        if pid := os.fork():
            return pid
        processes.die_with_parent(signal.SIGKILL, parent)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        crashes.arm(point)
        try:
            worker.drain(budget=60, linger=0.3)
        finally:
            os._exit(0)

    def subscribe(self, url: str) -> str:
        """The secret of a new webhook endpoint that takes every event."""
        connection.close_if_unusable_or_obsolete()
        return engine.secret_of(engine.endpoint(Account.objects.get(slug="hanbit"), url))

    def tell(self, count: int) -> bool:
        """Write so many events that are about no message."""
        connection.close_if_unusable_or_obsolete()
        owner = Account.objects.get(slug="hanbit")
        with transaction.atomic():
            for number in range(count):
                events.note(owner.pk, True, "domain.broken", number=number)
        return True

    def rest(self) -> bool:
        connection.close()
        return True


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    keeper = Keeper()
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(keeper, command.pop("do"))(**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
