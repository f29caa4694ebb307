"""Which path a message takes out, and why. One default route now; the choice already explains itself with each attempt."""

import functools
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from messaging.delivery.smtp import TlsPolicy


class Kind(StrEnum):
    """Where a route leads: kept here and shown, made-up outcomes for test keys, a smarthost, or the recipient's own hosts."""

    INBOX = "inbox"
    SANDBOX = "sandbox"
    SMTP = "smtp"
    MX = "mx"


@dataclass(frozen=True, slots=True)
class Route:
    """A path out. `connections` is per destination and worker process."""

    name: str
    kind: Kind
    host: str = ""
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    verify: bool = False
    cafile: str | None = None
    connections: int = 20
    allow_private: bool = False

    def destination(self, domain: str) -> str:
        """What shares connections and pace: the recipient's domain when we go there ourselves, else the route."""
        return f"{self.name} {domain}" if self.kind is Kind.MX else self.name


@dataclass(frozen=True, slots=True)
class Choice:
    route: Route
    explanation: dict[str, str]


SANDBOX = Route("sandbox", Kind.SANDBOX, connections=32)


def choose(livemode: bool) -> Choice:
    """The route of a message, with the reason as kept with its attempts and shown by validate."""
    if not livemode:
        return Choice(SANDBOX, {"route": SANDBOX.name, "why": "sent with a test key: no mail server is ever contacted"})
    route = default_route()
    return Choice(route, {"route": route.name, "why": "no routing rule applies: the default route"})


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
        return Route("inbox", Kind.INBOX, connections=32)
    if parts.scheme == "mx":
        return _with_options(Route("mx", Kind.MX, port=int(options.get("port", 25)), connections=10), options)
    if not parts.hostname:
        raise ImproperlyConfigured("smtp: a route to a smarthost names its host: smtp://host:port")
    return _with_options(_smarthost(parts), options)


def _smarthost(parts) -> Route:
    implicit = parts.scheme == "smtps"
    return Route(
        name=f"smtp:{parts.hostname}:{parts.port or (465 if implicit else 25)}",
        kind=Kind.SMTP,
        host=parts.hostname,
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
