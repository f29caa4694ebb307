"""Where a customer's route may lead: to the open Internet only, as far as can be seen when it is saved. Whoever connects looks
again (delivery.dns), at the very address connected to."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import dns.exception
import dns.name
from django.conf import settings

from messaging.delivery.dns import Resolver, Unanswered
from sendarix.core import netguard
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.turns import outside

DEADLINE = 3.0
"""Seconds for looking one host up."""


def check(account_id: int, options: Mapping[str, Any]) -> None:
    """Raises ValidationFailed when the host, or a provider's URL, leads anywhere else, and Unavailable (busy) when the account
    has no turn left to look names up. No network with ROUTE_ALLOW_PRIVATE."""
    if settings.ROUTE_ALLOW_PRIVATE:
        return
    faults = []
    if host := options.get("host"):
        faults += _fault(account_id, "options.host", host)
    for name, value in options.get("settings", {}).items():
        if isinstance(value, str) and "://" in value:
            faults += _url_fault(account_id, f"options.settings.{name}", value)
    if faults:
        raise ValidationFailed(faults)


def _url_fault(account_id: int, field: str, url: str) -> list[FieldError]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme != "https":
        return [FieldError(field, "invalid_value", "Must be an https:// URL.")]
    return _fault(account_id, field, host)


def _fault(account_id: int, field: str, host: str) -> list[FieldError]:
    try:
        addresses = [str(ip_address(host))]
    except ValueError:
        try:
            with outside.turn(account_id):
                addresses = asyncio.run(_addresses(host))
        except (dns.exception.DNSException, UnicodeError):
            return [FieldError(field, "invalid_value", "Must be a host name.")]
        except Unanswered as unanswered:
            return [FieldError(field, "invalid_value", f"It can't be looked up now: {unanswered}.")]
    if not addresses:
        return [FieldError(field, "invalid_value", "This host has no address.")]
    if any(not netguard.is_public(address) for address in addresses):
        return [FieldError(field, "invalid_value", "Must lead to public addresses.")]
    return []


async def _addresses(host: str) -> list[str]:
    servers = [(server.hostname, server.port or 53) for server in settings.DNS_SERVERS]
    resolver = Resolver(servers, timeout=1.0, lifetime=DEADLINE)
    name = dns.name.from_text(host)
    found = await asyncio.gather(resolver.find(name, "A"), resolver.find(name, "AAAA"))
    return [record.address for records in found for record in records or ()]
