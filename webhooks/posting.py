"""One POST of an event to an endpoint: signed, over core.http, and judged. It knows no tables."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.conf import settings

from sendarix.core import outbound
from sendarix.core.http import Answer, Client, Failure
from webhooks import signing, verdicts
from webhooks.holds import Endpoint
from webhooks.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came back, as far as it is kept: headers, and of the reply the text's first 20,000 octets."""

    verdict: Verdict
    request_headers: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    code: int | None = None
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = ""


class Poster:
    """The clients of one drain, one for each endpoint, with their kept connections."""

    def __init__(self) -> None:
        servers = [(server.hostname or "", server.port or 53) for server in settings.DNS_SERVERS]
        self._lookup = functools.cache(lambda: outbound.Names(servers))
        self._clients: dict[str, tuple[str, Client]] = {}

    async def post(self, endpoint: Endpoint, event_id: str, body: bytes, now: datetime) -> Exchange:
        """One try within settings.WEBHOOK_TIMEOUT seconds. Whatever the endpoint does is a verdict; what it raises is a fault of
        ours, as VaultError."""
        try:
            client = self._client(endpoint)
        except outbound.Refused as refused:
            return Exchange(Verdict("refused", refused.message, away=True))
        headers = _headers(endpoint, event_id, body, now)
        answer = await client.post(client.target.path, headers, body, settings.WEBHOOK_TIMEOUT)
        return _exchange(headers, answer)

    def forget(self, endpoint_id: str) -> None:
        if known := self._clients.pop(endpoint_id, None):
            known[1].close()

    def close(self) -> None:
        for endpoint_id in list(self._clients):
            self.forget(endpoint_id)

    def _client(self, endpoint: Endpoint) -> Client:
        """Raises Refused for a URL that is no longer allowed."""
        known = self._clients.get(endpoint.id)
        if known and known[0] == endpoint.url:
            return known[1]
        self.forget(endpoint.id)
        loopback = settings.WEBHOOK_ALLOW_LOOPBACK
        target = outbound.read_url(endpoint.url, allow_http=loopback, allow_loopback=loopback)
        client = Client(target, self._look_up, allow_loopback=loopback)
        self._clients[endpoint.id] = (endpoint.url, client)
        return client

    async def _look_up(self, name: str):
        return await self._lookup()(name)


def _headers(endpoint: Endpoint, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "user-agent": "Sendarix-Webhooks/1",
        **signing.headers(endpoint.keys(now), event_id, int(now.timestamp()), body),
    }


def _exchange(headers: Mapping[str, str], answer: Answer | Failure) -> Exchange:
    if isinstance(answer, Failure):
        return Exchange(Verdict(answer.cause, answer.detail, away=True), headers, answer.address, answer.status)
    verdict = verdicts.of_answer(answer.status, answer.headers, datetime.now(UTC))
    return Exchange(verdict, headers, answer.address, answer.status, answer.headers, answer.text)
