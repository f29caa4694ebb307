"""Finds out, beside delivery, who hosts the domains whose mail goes by a smarthost or a provider: rules and policies speak of
providers whatever the route. Nothing waits for it, so the first messages to a domain may go before its host is known."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import dns.exception
import dns.name

from messaging.delivery import destinations
from messaging.delivery.dns import Resolver, Unanswered

logger = logging.getLogger(__name__)

AT_ONCE = 20
"""Look-ups under way; a domain that finds no place is looked up with a later message."""

PATIENCE = 2.0
"""Seconds for which the end of a drain waits for them."""


class Hosting:
    """The look-ups of one drain. `in_thread` calls a function on a thread with a database connection."""

    def __init__(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._in_thread = in_thread
        self._asked: dict[str, asyncio.Task[None]] = {}

    def ask(self, domain: str, resolver: Resolver) -> None:
        """Begin to find out, unless that is known or under way."""
        if domain in self._asked or len(self._asked) >= AT_ONCE or destinations.is_known(domain):
            return
        task = asyncio.create_task(self._find_out(domain, resolver))
        self._asked[domain] = task
        task.add_done_callback(lambda _: self._asked.pop(domain, None))

    async def close(self) -> None:
        tasks = list(self._asked.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _find_out(self, domain: str, resolver: Resolver) -> None:
        try:
            found = await resolver.find(dns.name.from_text(domain), "MX") or ()
            ordered = sorted(found, key=lambda one: one.preference)
            hosts = [record.exchange.to_text(omit_final_dot=True) for record in ordered]
            await self._in_thread(destinations.learn, domain, hosts)
        except (dns.exception.DNSException, UnicodeError, Unanswered):
            destinations.postpone(domain)
        except Exception:  # asked again with a message of a minute later, not with every one until then
            logger.exception("who hosts %s can't be found out", domain)
            destinations.postpone(domain)
