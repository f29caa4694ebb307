"""The bodies of the answers on routes, rules, policies and simulations, as the API's document shows them."""

from typing import Annotated, Any

from messaging.delivery.outcomes import Phase
from messaging.delivery.ways import Action
from messaging.models import DeliveryPolicy as PolicyRow
from messaging.models import PathHealth
from messaging.models import Route as RouteRow
from messaging.routes.options import BACKENDS
from messaging.views.answers import AppliedPolicy, Priority, RouteChoice
from sendarix.accounts.calls import SOMETIMES, AnswerShape, Moment, one_of, public_id

RouteId = Annotated[str, public_id("rte")]
RuleId = Annotated[str, public_id("rul")]
PolicyId = Annotated[str, public_id("pol")]
KindName = Annotated[str, one_of(RouteRow.Kind.values)]
Uncertain = Annotated[str, one_of(PolicyRow.Uncertain.values)]


class _Page(AnswerShape):
    has_more: bool
    next_cursor: str | None


class Warmup(AnswerShape):
    """A cap per day that grows."""

    starts_on: str
    daily: list[int]


class MxOptions(AnswerShape):
    """The recipient's own hosts."""

    helo: str | None
    source_address: str | None


class SmtpOptions(AnswerShape):
    """A smarthost."""

    host: str
    port: int
    tls: str
    verify: bool
    username: str | None
    has_password: bool
    helo: str | None


class ProviderOptions(AnswerShape):
    """A provider's API."""

    backend: Annotated[str, one_of(BACKENDS)]
    settings: list[str]
    """Their names; the values are never shown."""


class NoOptions(AnswerShape):
    """Nothing to say."""


class Route(AnswerShape):
    """A way for mail to leave."""

    id: RouteId
    name: str
    kind: KindName
    platform: bool
    """True for the platform's: it can be named in rules, and only its operator changes it."""
    enabled: bool
    weight: int
    connections: int
    per_minute: int | None
    per_day: int | None
    warmup: Warmup | None
    tiers: list[Priority]
    options: MxOptions | SmtpOptions | ProviderOptions | NoOptions
    hook_url: str | None
    """Where the provider should send its events about delivered, deferred, bounced and complained mail; whoever knows it can
    send some. Null for other kinds of routes, and for other people's."""
    created_at: Moment
    updated_at: Moment


class RoutePage(_Page):
    """The account's routes and the platform's, newest first."""

    data: list[Route]


class Removed(AnswerShape):
    """What was removed."""

    id: str
    deleted: bool


class RouteCheck(AnswerShape):
    """How far a test call came."""

    ok: bool
    phase: Annotated[str, one_of(Phase)]
    mx: str | None
    address: str | None
    tls: str | None
    detail: str
    milliseconds: int


class PathChange(AnswerShape):
    """A change of a path's circuit breaker."""

    destination: str
    before: str
    after: str
    reason: str
    figures: dict[str, Any]
    at: Moment


class RouteHistory(_Page):
    """Changes, newest first."""

    data: list[PathChange]


class RouteDay(AnswerShape):
    """The route's use today (UTC), against its caps."""

    date: str
    used: int
    cap: int | None
    """`per_day`, or less while it warms up."""
    warmup_day: int | None
    """1 on the first day of warming up; null before and after."""


class PathStanding(AnswerShape):
    """What is known lately of the route to one destination; older tries count less."""

    destination: str
    """A provider group or a domain; `*`: the route as a whole."""
    tries: float
    """How many the rates are of, the older ones faded."""
    delivery_rate: float
    deferral_rate: float
    bounce_rate: float
    failure_rate: float
    """Connections that came to nothing."""
    complaint_rate: float
    """Of what was delivered."""
    latency_ms: int
    success: float
    """How often a try comes to an end, 0 to 1, as routing weighs it."""
    reputation: float
    """What the destination makes of the mail, 0 to 1, as routing weighs it."""
    breaker: Annotated[str, one_of(PathHealth.Breaker.values)]
    open_until: Moment | None
    wait_until: Moment | None
    """The destination asked to be left alone until then."""
    updated_at: Moment


class RouteHealth(_Page):
    """The paths by this route, by destination."""

    today: RouteDay
    data: list[PathStanding]


class RuleConditions(AnswerShape):
    """Those that were given."""

    domains: list[str] = SOMETIMES
    providers: list[str] = SOMETIMES
    mail_hosts: list[str] = SOMETIMES
    tiers: list[Priority] = SOMETIMES
    templates: list[str] = SOMETIMES
    tags: list[str] = SOMETIMES
    sender_domains: list[str] = SOMETIMES
    keys: list[str] = SOMETIMES
    larger_than: int = SOMETIMES
    smaller_than: int = SOMETIMES


class RuleCandidate(AnswerShape):
    """A route that a rule names."""

    route: RouteId
    weight: int


class Held(AnswerShape):
    """Kept back."""

    reason: str
    seconds: int


class Rejected(AnswerShape):
    """Bounced."""

    reason: str


class RuleAction(AnswerShape):
    """What becomes of the message."""

    routes: list[RuleCandidate] = SOMETIMES
    fallback: list[RuleCandidate] = SOMETIMES
    hold: Held = SOMETIMES
    reject: Rejected = SOMETIMES


class RoutingRule(AnswerShape):
    """A rule as its version has it."""

    id: RuleId
    name: str
    enabled: bool
    when: RuleConditions
    then: RuleAction


class RuleSetSummary(AnswerShape):
    """A version of the rules."""

    version: int
    """0: there are none yet."""
    author: str | None
    note: str
    published: bool
    created_at: Moment | None
    published_at: Moment | None


class RuleSet(RuleSetSummary):
    """A version with its rules, in order."""

    newest_version: int
    rules: list[RoutingRule]


class RuleSetPage(_Page):
    """Versions, newest first."""

    data: list[RuleSetSummary]


class RulePlaced(AnswerShape):
    """A rule that is in one version only."""

    position: int
    rule: RoutingRule


class FieldChange(AnswerShape):
    """One field of a rule, before and after."""

    field: str
    before: Any
    after: Any


class RuleChanged(AnswerShape):
    """A rule that says something else."""

    id: RuleId
    name: str
    fields: list[FieldChange]


class RuleMoved(AnswerShape):
    """A rule that stands elsewhere among the others."""

    id: RuleId
    name: str
    before: int
    after: int


class RuleDiff(AnswerShape):
    """What makes this version of another one. Positions count from 1."""

    version: int
    """The other one; 0 for none."""
    added: list[RulePlaced]
    removed: list[RulePlaced]
    changed: list[RuleChanged]
    moved: list[RuleMoved]


class RuleSetDetail(RuleSet):
    """A version with what it changed, and what publishing it would change."""

    since_previous: RuleDiff
    since_published: RuleDiff | None
    """Null when none is published."""


class PolicyConditions(AnswerShape):
    """Those that were given."""

    tiers: list[Priority] = SOMETIMES
    tags: list[str] = SOMETIMES
    templates: list[str] = SOMETIMES
    destinations: list[str] = SOMETIMES


class PolicyPacing(AnswerShape):
    """Those that were given."""

    connections: int = SOMETIMES
    per_connection: int = SOMETIMES
    per_minute: int = SOMETIMES


class DeliveryPolicy(AnswerShape):
    """How hard messages are tried. Null: the default."""

    id: PolicyId
    name: str
    position: int
    enabled: bool
    platform: bool
    when: PolicyConditions
    retry_ladder: list[int] | None
    ttl_seconds: int | None
    uncertain: Uncertain | None
    pacing: PolicyPacing
    version: int
    updated_at: Moment


class DeliveryPolicyPage(_Page):
    """The account's policies and the platform's, by position."""

    data: list[DeliveryPolicy]


class Limit(AnswerShape):
    """One limit of one route, in its running window."""

    route: str
    name: str
    seconds: int
    """The length of the window."""
    limit: int
    used: int
    left: int
    ends_at: Moment


class RuleLookedAt(AnswerShape):
    """A rule, and why it did or did not decide."""

    id: str
    name: str
    platform: bool
    matched: bool
    why: str


class SimulatedRoute(AnswerShape):
    """The route taken."""

    id: str
    name: str
    kind: KindName


class SimulatedMessage(AnswerShape):
    """What was asked about, as routing sees it."""

    domain: str
    provider: str | None
    mail_hosts: list[str]
    """As far as known: they are looked up when there is mail for the domain."""
    destination: str
    """The unit of pacing and health: the provider, else the domain."""
    priority: Priority
    template: str | None
    tags: list[str]
    sender_domain: str
    key: str
    size: int
    livemode: bool


class Simulation(AnswerShape):
    """What routing decides, and on what grounds. Nothing was stored."""

    action: Annotated[str, one_of(Action)]
    route: SimulatedRoute | None
    """Where several may carry it, one of them by chance (the same for the same question); the shares tell how often each is."""
    why: str
    until: Moment | None
    """When a held message is worth another look, if that is known."""
    explanation: RouteChoice
    """The record that an attempt would keep, with every candidate."""
    rules_version: int
    rules: list[RuleLookedAt]
    """In order, up to the one that decided."""
    pacing: list[Limit]
    policy: AppliedPolicy
    message: SimulatedMessage
