"""What `manage.py up` tells its user: when it is ready, that a first message arrived, what to try next.

Talks to the running system through its public API only.
"""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from django.conf import settings

from sendarix.supervisor import Say

FIRST_DELIVERY = 20.0  # seconds after which a first message that has not arrived is reported as it stands
EXAMPLE = {
    "recipient": "user@example.com",
    "subject": "Your verification code",
    "template": "otp-code",
    "template_data": {"code": "847291", "expires_in": "5 minutes"},
}


def steps(api_url: str, began: float, say: Say) -> Iterator[None]:
    """Yields whenever it has to wait, so that the caller can look after its processes meanwhile."""
    yield from _until_ready(api_url, say)
    say(f"Sendarix is ready after {time.monotonic() - began:.1f} s: {api_url}")
    if not settings.DEVELOPMENT:
        return
    demo = json.loads((settings.HOME / "demo.json").read_text())
    key = demo["live_key"]
    try:
        yield from _first_message(Api(api_url, key), say)
    except OSError as error:
        say(f"The first message could not be sent: {error}")
    say(f"Dashboard: {demo['dashboard_url']} (log in as {demo['username']}, password {demo['password']})")
    if settings.INBOX_PAGE:
        say(f"Captured mail: {api_url}/inbox")
    say(f"Send one yourself:\n\n{curl(api_url, key)}\n")


def curl(api_url: str, key: str) -> str:
    """A command to paste into a shell; each pasting sends a message of its own."""
    return (
        f"curl -sS {api_url}/v1/messages \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f'  -H "Idempotency-Key: try-$(date +%s)-$$-$RANDOM" \\\n'
        f"  -d '{json.dumps(EXAMPLE)}'"
    )


class Api:
    """The calls of the public API that a first run needs. Raises OSError (HTTPError is one)."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def get(self, path: str) -> Any:
        return self._call(Request(self._url + path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = Request(self._url + path, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        request.add_header("Idempotency-Key", str(uuid.uuid4()))
        return self._call(request)

    def _call(self, request: Request) -> Any:
        request.add_header("Authorization", f"Bearer {self._key}")
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)


def _until_ready(api_url: str, say: Say) -> Iterator[None]:
    told = time.monotonic()
    while reason := _not_ready(api_url):
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"Not ready yet: {reason}")
        yield


def _not_ready(api_url: str) -> str:
    """Why /readyz does not say 200, or nothing."""
    try:
        urlopen(f"{api_url}/readyz", timeout=2).close()
    except HTTPError as error:
        with error:
            return f"/readyz answers {error.code}: {error.read(500).decode(errors='replace')}"
    except (URLError, OSError) as error:
        return str(error)
    return ""


def _first_message(api: Api, say: Say) -> Iterator[None]:
    if api.get("/v1/messages?limit=1")["data"]:
        return
    sent = time.monotonic()
    message_id = api.post("/v1/messages", EXAMPLE)["message_id"]
    while True:
        status = api.get(f"/v1/messages/{message_id}")["status"]
        seconds = time.monotonic() - sent
        if status == "delivered":
            say(f"First message {message_id} delivered in {seconds:.2f} s")
            return
        if seconds > FIRST_DELIVERY:
            say(f"First message {message_id} is still {status} after {seconds:.0f} s")
            return
        yield
