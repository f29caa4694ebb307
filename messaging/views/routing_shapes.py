"""What a caller says of routes, routing rules, delivery policies, and of a message to simulate."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator

from messaging.routes import options
from messaging.serializers import Line, MailAddress
from sendarix.core import addresses, shapes
from sendarix.core.errors import FieldError, ValidationFailed
from sendarix.core.shapes import Shape, fault

MOST = 2_000_000_000
DAY = 86_400


@dataclass(frozen=True, slots=True)
class ShownAsOneOf:
    """Marks an object whose shape another field chooses: in the API's document it is one of these."""

    shapes: tuple[type[Shape], ...]

    def __get_pydantic_json_schema__(self, _: Any, show: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [show(shape.__pydantic_core_schema__) for shape in self.shapes]}


def _domain(text: str) -> str:
    try:
        return addresses.parse(f"postmaster@{text}").domain
    except addresses.AddressError:
        raise fault("invalid_value", "Must be a domain name.") from None


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise fault("invalid_value", "Must be a date, as 2026-04-19.") from None


Tier = Literal["critical", "high", "normal", "low"]
Provider = Literal["gmail", "naver", "kakao", "microsoft", "yahoo", "apple"]
Name = Annotated[Line, Field(min_length=1, max_length=100)]
Domain = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_domain)]
Day = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})
]
Weight = Annotated[int, Field(ge=0, le=1000)]
Connections = Annotated[int, Field(ge=1, le=200)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Tiers = Annotated[list[Tier], Field(max_length=4)]
Seconds = Annotated[int, Field(ge=1, le=7 * DAY)]
Names = Annotated[list[Name], Field(min_length=1, max_length=100)]
Domains = Annotated[list[Domain], Field(min_length=1, max_length=1000)]


class WarmupShape(Shape):
    """A cap per day that grows. When the last day is over, only `per_day` holds; before the first, nothing is sent."""

    starts_on: Day
    daily: Annotated[list[Annotated[int, Field(ge=0, le=MOST)]], Field(min_length=1, max_length=366)]
    """Messages on the first day, the second, and so on. Days are of UTC."""


Options = Annotated[dict[str, Any], ShownAsOneOf(tuple(dict.fromkeys(options.SHAPES.values())))]


class RouteShape(Shape):
    """A way for mail to leave."""

    name: Name
    kind: Literal["mx", "smtp", "provider", "inbox", "sandbox"]
    """`mx`: the recipient's own hosts. `smtp`: a smarthost. `provider`: a provider's API. `inbox`: captured and shown at /inbox.
    `sandbox`: made-up outcomes."""
    enabled: bool = True
    weight: Weight = 100
    """Its share among the routes that may carry a message, before health."""
    connections: Connections = 20
    """At once, for each destination and worker process."""
    per_minute: Count | None = None
    """Messages a minute, to each destination."""
    per_day: Count | None = None
    """Messages a day (UTC), to all destinations."""
    warmup: WarmupShape | None = None
    tiers: Tiers = Field(default_factory=list)
    """It carries these only; empty: all."""
    options: Options = Field(default_factory=dict)
    """As its kind has them."""


class RouteChangesShape(Shape):
    """What is not given stays. Of `options` too: a null takes one away."""

    name: Name = ""
    enabled: bool = True
    weight: Weight = 100
    connections: Connections = 20
    per_minute: Count | None = None
    per_day: Count | None = None
    warmup: WarmupShape | None = None
    tiers: Tiers = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)


class RouteCheckShape(Shape):
    domain: Domain | None = None
    """Whose hosts a route of kind `mx` is to call."""


class ConditionsShape(Shape):
    """All that are given must hold; each holds when the message has one of its values."""

    domains: Domains | None = None
    """The recipient's domain."""
    providers: Annotated[list[Provider], Field(min_length=1)] | None = None
    """Who hosts the recipient's mail, by its domain or its MX records."""
    mail_hosts: Domains | None = None
    """Names of mail hosts, or of what they stand below (`mailhost.example` for `mx1.mailhost.example`), as the MX records of the
    recipient's domain have them: a provider that `providers` does not have."""
    tiers: Annotated[list[Tier], Field(min_length=1)] | None = None
    templates: Names | None = None
    tags: Names | None = None
    sender_domains: Domains | None = None
    keys: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=100)] | None = None
    """Ids of API keys."""
    larger_than: Annotated[int, Field(ge=0, le=MOST)] | None = None
    """Octets of the whole mail."""
    smaller_than: Annotated[int, Field(ge=1, le=MOST)] | None = None


class CandidateShape(Shape):
    route: Annotated[str, Field(max_length=40)]
    weight: Weight = 100


class HoldShape(Shape):
    reason: Annotated[Line, Field(min_length=1, max_length=200)]
    seconds: Annotated[int, Field(ge=1, le=DAY)] = 60
    """When the rules are asked again; at most a minute passes in any case."""


class RejectShape(Shape):
    reason: Annotated[Line, Field(min_length=1, max_length=200)]


class ActionShape(Shape):
    """Exactly one of routes, hold and reject."""

    routes: Annotated[list[CandidateShape], Field(min_length=1, max_length=20)] | None = None
    fallback: Annotated[list[CandidateShape], Field(min_length=1, max_length=20)] | None = None
    """Asked when none of `routes` may carry the message now."""
    hold: HoldShape | None = None
    reject: RejectShape | None = None
    """It bounces, with the reason `policy`."""

    @model_validator(mode="after")
    def _one(self) -> "ActionShape":
        given = [name for name in ("routes", "hold", "reject") if getattr(self, name) is not None]
        if len(given) != 1:
            raise fault("conflict" if given else "required", "Give exactly one of routes, hold and reject.")
        if self.fallback is not None and self.routes is None:
            raise fault("conflict", "A fallback goes with routes only.")
        return self


class RuleShape(Shape):
    id: Annotated[str, Field(pattern=r"^rul_[0-9a-z]{26}$")] | None = None
    """Of a rule that was there before; a rule without one is new."""
    name: Name
    enabled: bool = True
    when: ConditionsShape = Field(default_factory=ConditionsShape)
    """Empty: every message."""
    then: ActionShape


class RuleSetShape(Shape):
    """The whole ordered list: the first rule that holds decides."""

    rules: Annotated[list[RuleShape], Field(max_length=500)]
    note: Annotated[Line, Field(max_length=500)] = ""
    """Why; kept with the version."""
    base_version: Annotated[int, Field(ge=0, le=MOST)] | None = None
    """The version that this was made from; when it is no longer the published or the newest one, the answer is 409."""
    publish: bool = True

    @model_validator(mode="after")
    def _once(self) -> "RuleSetShape":
        given = [rule.id for rule in self.rules if rule.id]
        if len(given) != len(set(given)):
            raise fault("conflict", "Two rules have the same id.")
        return self


class PolicyConditionsShape(Shape):
    """All that are given must hold; each holds when the message has one of its values."""

    tiers: Annotated[list[Tier], Field(min_length=1)] | None = None
    tags: Names | None = None
    templates: Names | None = None
    destinations: (
        Annotated[list[Annotated[Line, Field(min_length=1, max_length=253)]], Field(min_length=1, max_length=1000)]
        | None
    ) = None
    """Provider groups (`gmail`), or domains in A-labels."""


class PacingShape(Shape):
    """Beside what the route says; the lower one holds."""

    connections: Connections | None = None
    """At once, for each destination and worker process."""
    per_connection: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Messages, before a connection is closed."""
    per_minute: Count | None = None
    """Messages a minute, by each route to each destination."""


class PolicyShape(Shape):
    """How hard messages are tried. The first whose conditions hold applies, by position."""

    name: Name
    position: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    enabled: bool = True
    when: PolicyConditionsShape = Field(default_factory=PolicyConditionsShape)
    retry_ladder: Annotated[list[Seconds], Field(min_length=1, max_length=20)] | None = None
    """Seconds to wait after each try; after the last the message is dead. Null: the default."""
    ttl_seconds: Annotated[int, Field(ge=1, le=90 * DAY)] | None = None
    """After this a message that names no end of its own expires."""
    uncertain: Literal["retry", "hold"] | None = None
    """What becomes of a message that may or may not have been handed over. Null: `retry`."""
    pacing: PacingShape = Field(default_factory=PacingShape)


class PolicyChangesShape(Shape):
    """What is not given stays; `when` and `pacing` are replaced as a whole."""

    name: Name = ""
    position: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    enabled: bool = True
    when: PolicyConditionsShape = Field(default_factory=PolicyConditionsShape)
    retry_ladder: Annotated[list[Seconds], Field(min_length=1, max_length=20)] | None = None
    ttl_seconds: Annotated[int, Field(ge=1, le=90 * DAY)] | None = None
    uncertain: Literal["retry", "hold"] | None = None
    pacing: PacingShape = Field(default_factory=PacingShape)


class SimulationShape(Shape):
    """A message of yours, or one made up."""

    message_id: Annotated[str, Field(max_length=40)] | None = None
    recipient: MailAddress | None = None
    priority: Tier = "normal"
    template: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None
    tags: Annotated[list[Annotated[Line, Field(min_length=1, max_length=100)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    """Without it the key's or the account's."""
    size: Annotated[int, Field(ge=0, le=MOST)] = 0
    """Octets of the whole mail."""
    provider: Provider | None = None
    """Who hosts the recipient's mail; without it, what is known of the domain."""
    livemode: bool | None = None
    """Without it the key's."""

    @model_validator(mode="after")
    def _one_of(self) -> "SimulationShape":
        if (self.message_id is None) == (self.recipient is None):
            raise fault("required", "Give either message_id or recipient.")
        return self


def policy_fields(asked: PolicyShape | PolicyChangesShape) -> dict[str, Any]:
    """A policy as it is kept: of `when` and `pacing` only what was given."""
    fields = asked.model_dump()
    for name in ("when", "pacing"):
        fields[name] = {key: value for key, value in fields[name].items() if value is not None}
    return fields


def read_route(payload: Mapping[str, Any], *, platform: bool) -> tuple[RouteShape, dict[str, Any]]:
    """A new route and its options. Raises ValidationFailed with the faults of both."""
    faults: list[FieldError] = []
    kind, given = payload.get("kind"), payload.get("options", {})
    found: dict[str, Any] = {}
    if isinstance(kind, str) and kind in options.SHAPES and isinstance(given, dict):
        try:
            found = options.read(kind, given, platform=platform)
        except ValidationFailed as refused:
            faults = refused.errors
    try:
        route = shapes.validate(RouteShape, payload)
    except ValidationFailed as refused:
        raise ValidationFailed([*refused.errors, *faults]) from None
    if faults:
        raise ValidationFailed(faults)
    return route, found
