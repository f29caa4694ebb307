"""The route of last resort, from SENDARIX_DEFAULT_ROUTE: taken when no routes are configured."""

import functools
from dataclasses import replace
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from messaging.delivery.smtp import TlsPolicy
from messaging.delivery.ways import Kind, Route


@functools.cache
def default_route() -> Route:
    return parse(settings.DEFAULT_ROUTE)


def parse(url: str) -> Route:
    """A route from `inbox:`, `mx:` or `smtp[s]://user:password@host:port`, options in the query string
    (tls, verify, cafile, connections, allow_private, and for mx: port). ImproperlyConfigured says what is wrong."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    known = {"tls", "verify", "cafile", "connections", "allow_private", "port"}
    if parts.scheme not in ("inbox", "mx", "smtp", "smtps") or set(options) - known:
        raise ImproperlyConfigured(f"{parts.scheme}: not a route; expected inbox:, mx: or smtp://host:port?tls=…")
    if parts.scheme == "inbox":
        return Route("inbox", "inbox", Kind.INBOX, connections=32)
    if parts.scheme == "mx":
        return _with_options(Route("mx", "mx", Kind.MX, port=int(options.get("port", 25)), connections=10), options)
    if not parts.hostname:
        raise ImproperlyConfigured("smtp: a route to a smarthost names its host: smtp://host:port")
    return _with_options(_smarthost(parts), options)


def _smarthost(parts: SplitResult) -> Route:
    implicit = parts.scheme == "smtps"
    name = f"smtp:{parts.hostname}:{parts.port or (465 if implicit else 25)}"
    return Route(
        id=name,
        name=name,
        kind=Kind.SMTP,
        host=parts.hostname or "",
        port=parts.port or (465 if implicit else 25),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=TlsPolicy.IMPLICIT if implicit else TlsPolicy.OPPORTUNISTIC,
        allow_private=True,
    )


def _with_options(route: Route, options: dict[str, str]) -> Route:
    tls = TlsPolicy(options["tls"]) if "tls" in options else route.tls
    return replace(
        route,
        tls=tls,
        verify=_flag(options, "verify", tls in (TlsPolicy.REQUIRED, TlsPolicy.IMPLICIT)),
        cafile=options.get("cafile"),
        connections=int(options.get("connections", route.connections)),
        allow_private=_flag(options, "allow_private", route.allow_private),
    )


def _flag(options: dict[str, str], name: str, default: bool) -> bool:
    return options.get(name, "1" if default else "0") not in ("0", "false", "no")
