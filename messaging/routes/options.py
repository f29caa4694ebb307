"""What each kind of route says of its way: one closed shape per kind, and which of it is kept in clear, sealed, or shown."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from django.conf import settings as installation
from pydantic import AfterValidator, Field, model_validator

from messaging import models
from messaging.delivery import providers, secrets, ses
from messaging.serializers import Line
from sendarix.core import shapes
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.shapes import Shape, fault

BACKENDS = tuple(sorted(providers.SENDING))
"""Anymail's names of the providers."""

HOOKS: Mapping[str, frozenset[str]] = {
    "amazon_ses": frozenset({"topic_arn"}),
    "mailersend": frozenset({"signing_secret"}),
    "mailgun": frozenset({"webhook_signing_key"}),
    "mailtrap": frozenset({"tracking_secret"}),
    "mandrill": frozenset({"webhook_key", "webhook_url"}),
    "postal": frozenset({"webhook_key"}),
    "resend": frozenset({"signing_secret"}),
    "sendgrid": frozenset({"tracking_webhook_verification_key"}),
}
"""The settings by which a provider's events are known to be its own; `webhook_secret` (user:password of HTTP Basic) fits all."""

LEADS = ("host", "port", "tls", "verify", "username", "backend")
"""Where a secret goes and how: who changes any of these has to say the secret again, so that nobody can have one that he may not
read sent to a server of his own."""


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise fault("invalid_value", "Must be an IP address.") from None


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$")]
Host = Annotated[str, Field(pattern=r"^([A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$")]


class MxOptionsShape(Shape):
    """The recipient's own hosts."""

    helo: Name | None = None
    """Without it the service's name."""
    source_address: Annotated[str, Field(max_length=45), AfterValidator(_address)] | None = None
    """The local address to send from. Operators only."""


class SmtpOptionsShape(Shape):
    """A smarthost."""

    host: Host
    """A name in A-labels, or an IP address."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Without it 465 with implicit TLS, else 25."""
    tls: Literal["none", "opportunistic", "required", "implicit"] = "opportunistic"
    verify: bool | None = None
    """Whether the certificate must hold; without it, where TLS is required or implicit."""
    username: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
    password: Annotated[Line, Field(min_length=1, max_length=1024)] | None = None
    """Kept encrypted, and never shown. Say it again when you change where it goes."""
    helo: Name | None = None

    @model_validator(mode="after")
    def _both(self) -> "SmtpOptionsShape":
        if (self.username is None) != (self.password is None):
            raise fault("required", "A username needs a password, and a password a username.")
        return self


class ProviderOptionsShape(Shape):
    """A provider's API, by Anymail."""

    backend: Literal[BACKENDS]  # type: ignore[valid-type]
    """Anymail's name of the provider."""
    settings: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")],
            Annotated[Line, Field(max_length=4096)] | bool | int,
        ],
        Field(min_length=1, max_length=30),
    ]
    """Anymail's settings of it without their prefix, as `api_key` or `server_token`. Kept encrypted; only names are shown."""

    @model_validator(mode="after")
    def _known(self) -> "ProviderOptionsShape":
        known = settings_of(self.backend)
        if unknown := sorted(self.settings.keys() - known):
            message = f"{self.backend} has no setting {unknown[0]}; it has {', '.join(sorted(known))}."
            raise fault("invalid_value", message)
        if any(isinstance(value, str) and not value.isascii() for value in self.settings.values()):
            raise fault("invalid_value", "The settings must be ASCII.")
        if self.backend == "amazon_ses" and not ses.is_region(str(self.settings.get("region", ""))):
            raise fault("invalid_value", "amazon_ses needs the setting region, such as eu-west-1.")
        return self


def settings_of(backend: str) -> frozenset[str]:
    """The names of the settings that a route by this provider may have."""
    return providers.SENDING[backend] | HOOKS.get(backend, frozenset()) | {"api_url", "webhook_secret"}


class NoOptionsShape(Shape):
    """The captured mail, and made-up outcomes, need nothing."""


SHAPES: dict[str, type[Shape]] = {
    "mx": MxOptionsShape,
    "smtp": SmtpOptionsShape,
    "provider": ProviderOptionsShape,
    "inbox": NoOptionsShape,
    "sandbox": NoOptionsShape,
}


def read(kind: str, given: Mapping[str, Any], *, platform: bool) -> dict[str, Any]:
    """The options of a route of this kind, without those not given. Raises ValidationFailed with every fault."""
    try:
        read = shapes.validate(SHAPES[kind], given).model_dump(exclude_none=True)
    except ValidationFailed as refused:
        raise _below_options(refused.errors) from None
    if "source_address" in read and not platform:
        raise _below_options([FieldError("source_address", "invalid_value", "Only the operator may choose it.")])
    return read


def _below_options(faults: list[FieldError]) -> ValidationFailed:
    return ValidationFailed(
        [FieldError(f"options.{one.field}".rstrip("."), one.code, one.message) for one in faults],
    )


def parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What is kept in clear, and the rest sealed."""
    clear = {name: value for name, value in options.items() if name not in ("password", "settings")}
    return clear, secrets.sealed({name: value for name, value in options.items() if name not in clear})


def whole(row: models.Route) -> dict[str, Any]:
    """The options as they were given, secrets in clear: never to be shown or logged."""
    return {**row.options, **secrets.opened(row.secrets)}


def merged(row: models.Route, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options with what is given in its place; null takes one away. Not looked at yet: see `read`."""
    return {name: value for name, value in {**whole(row), **given}.items() if value is not None}


def keep_secrets_home(row: models.Route, given: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises ValidationFailed when a secret that is not said again would go elsewhere than where it was meant to go."""
    before = whole(row)
    secret = "settings" if row.kind == models.Route.Kind.PROVIDER else "password"
    redirected = any(before.get(name) != after.get(name) for name in LEADS)
    if redirected and before.get(secret) and after.get(secret) and secret not in given:
        message = "Say it again, because you change where it goes."
        raise ValidationFailed([FieldError(f"options.{secret}", "required", message)])


def shown(row: models.Route, *, own: bool) -> dict[str, Any]:
    """The options without their secrets; to others than the owner, without user names as well."""
    options = row.options
    match row.kind:
        case models.Route.Kind.MX:
            return {"helo": options.get("helo"), "source_address": options.get("source_address")}
        case models.Route.Kind.SMTP:
            tls = options.get("tls", "opportunistic")
            return {
                "host": options.get("host", ""),
                "port": options.get("port", 465 if tls == "implicit" else 25),
                "tls": tls,
                "verify": options.get("verify", tls in ("required", "implicit")),
                "username": options.get("username") if own else None,
                "has_password": "password" in secrets.opened(row.secrets),
                "helo": options.get("helo"),
            }
        case models.Route.Kind.PROVIDER:
            settings = secrets.opened(row.secrets).get("settings", {})
            return {"backend": options.get("backend", ""), "settings": sorted(settings) if own else []}
    return {}


def hook_url(row: models.Route) -> str | None:
    """Where the provider of this route sends its events."""
    if not row.hook_token:
        return None
    return f"{installation.PUBLIC_URL}/hooks/{row.options.get('backend', '')}/{row.hook_token}"
