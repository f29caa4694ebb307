"""Fill a peer's queue and time its drain, start-up left out.

python -m bench.peers_site.drain post_office|mailer COUNT HTML TEXT
"""

import json
import os
import sys
import time

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers_site.settings"
django.setup()

from django.core.mail import EmailMultiAlternatives, get_connection  # noqa: E402  # after setup
from django.core.management import call_command  # noqa: E402
from mailer.models import Message  # noqa: E402
from post_office import mail  # noqa: E402
from post_office.models import STATUS, Email  # noqa: E402

SENDER = "no-reply@bench.test"


def fill_post_office(count: int, html: str, text: str) -> None:
    Email.objects.all().delete()
    for first in range(0, count, 1_000):
        mail.send_many(
            [
                {
                    "sender": SENDER,
                    "recipients": [f"reader{number}@example.test"],
                    "subject": "Your order 4711",
                    "message": text,
                    "html_message": html,
                }
                for number in range(first, min(count, first + 1_000))
            ]
        )


def drain_post_office() -> None:
    """Two processes of ten threads, the fastest settings found: as many sessions as the others have."""
    call_command("send_queued_mail", processes=2, verbosity=0)


def post_office_left() -> int:
    return Email.objects.exclude(status=STATUS.sent).count()


def fill_mailer(count: int, html: str, text: str) -> None:
    Message.objects.all().delete()
    letters = []
    for number in range(count):
        letter = EmailMultiAlternatives("Your order 4711", text, SENDER, [f"reader{number}@example.test"])
        letter.attach_alternative(html, "text/html")
        letters.append(letter)
    get_connection().send_messages(letters)


def drain_mailer() -> None:
    """One process, one session: it has no other way."""
    call_command("send_mail", verbosity=0)


def mailer_left() -> int:
    return Message.objects.count()


PEERS = {
    "post_office": (fill_post_office, drain_post_office, post_office_left),
    "mailer": (fill_mailer, drain_mailer, mailer_left),
}

if __name__ == "__main__":
    name, count, html, text = sys.argv[1:]
    fill, drain, left = PEERS[name]
    began = time.perf_counter()
    fill(int(count), html, text)
    filled = time.perf_counter()
    drain()
    ended = time.perf_counter()
    if left():
        sys.exit(f"{left()} of {count} messages were not sent")
    print(json.dumps({"per_second": int(count) / (ended - filled), "fill_per_second": int(count) / (filled - began)}))
