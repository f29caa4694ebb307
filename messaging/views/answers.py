"""The bodies of the messages API's answers, as its document shows them. The views build plain dictionaries (models would
cost a millisecond a page); the tests hold every answer against these."""

from typing import Annotated, Any

from pydantic import Field

from messaging.delivery.outcomes import Phase, Verdict
from messaging.models import Status, Tier
from sendarix.accounts.calls import SOMETIMES, AnswerShape, Moment, ProblemWithFaults, one_of, public_id

MessageId = Annotated[str, public_id("msg")]
StatusName = Annotated[str, one_of([status.value for status in Status])]
Priority = Annotated[str, one_of([tier.label for tier in Tier])]


class AcceptanceWarning(AnswerShape):
    """Something worth knowing of a message that was accepted all the same."""

    code: str
    message: str


class Accepted(AnswerShape):
    """A message that is now ours to deliver."""

    message_id: MessageId
    status: Annotated[str, one_of((Status.QUEUED, Status.SCHEDULED))]
    recipient: str
    created_at: Moment
    scheduled_time: Moment = SOMETIMES
    """There when it is scheduled."""
    warnings: list[AcceptanceWarning] = SOMETIMES
    """There when there are any."""


class Refused(AnswerShape):
    """A message of a batch that was not accepted."""

    error: ProblemWithFaults
    """As the message alone would be refused; `errors` is empty when the key may not send it."""


class BatchResult(AnswerShape):
    """One result per message, in the order of the request."""

    results: list[Accepted | Refused]


class Candidate(AnswerShape):
    """A route that was considered."""

    route: str
    name: str
    score: float
    """Weight, success and reputation at this destination, less what is under way; 0 when barred."""
    success: float
    """How often a try by it to this destination comes to an end lately, 0 to 1."""
    reputation: float
    """What the destination makes of its mail, 0 to 1, by bounces and complaints."""
    share: float
    """Of like messages, how many go this way."""
    barred: str | None
    """Why it could not carry the message."""
    half_open: bool
    """Its breaker lets a few messages through, to find out."""


class PaceLeft(AnswerShape):
    """A limit as it stood when the message was let go."""

    seconds: int
    """The length of its window."""
    limit: int
    left: int
    """Messages that the window would still have let go, for all workers."""


class RouteChoice(AnswerShape):
    """The path out, and why it was taken or why none was."""

    route: str = SOMETIMES
    """The name of the route taken; left out when the message is held or rejected."""
    why: str
    policy: str = SOMETIMES
    """The delivery policy that applies."""
    policy_version: int = SOMETIMES
    rule: str = SOMETIMES
    rule_name: str = SOMETIMES
    rules_version: int = SOMETIMES
    pause: str = SOMETIMES
    candidates: list[Candidate] = SOMETIMES
    pacing: list[PaceLeft] = SOMETIMES
    """With an attempt: the limits that let it go."""


class Validation(AnswerShape):
    """The message as it would be sent, and the way it would take. Nothing was stored."""

    recipient: str
    sender: str = Field(alias="from")
    """As resolved: the request's, else the template's, the key's or the account's."""
    subject: str
    html: str | None
    text: str | None
    priority: Priority
    status: Annotated[str, one_of((Status.QUEUED, Status.SCHEDULED))]
    scheduled_time: Moment | None
    expires_at: Moment | None
    size: int
    """Octets of the whole mail."""
    large: bool
    """Some servers refuse a mail of this size."""
    suppressed: str | None
    """Why the recipient is on the suppression list, if it is."""
    route: RouteChoice
    livemode: bool


class Message(AnswerShape):
    """A message as lists show it."""

    message_id: MessageId
    status: StatusName
    reason: str | None
    """The cause of the last outcome, such as `greylisted`, `mailbox_unknown` or `sender_domain_lost` (when it was due, its
    sender's domain was not the account's any more)."""
    recipient: str
    sender: str = Field(alias="from")
    subject: str
    """With sensitive values masked."""
    template: str | None
    template_version: int | None
    locale: str | None
    """Of the template's variant that was rendered."""
    tags: list[str]
    metadata: dict[str, str]
    priority: Priority
    attempts: int
    """Tries so far that count against the retry ladder."""
    created_at: Moment
    accepted_at: Moment | None
    """When policy passed it to a route."""
    ended_at: Moment | None
    """When it reached its final status."""
    scheduled_time: Moment | None
    expires_at: Moment | None
    redacted_at: Moment | None
    """When the sensitive values of its stored body were masked for good."""
    livemode: bool


class Waiting(AnswerShape):
    """Why a message waits, and until when."""

    reason: str = Field(alias="for")
    """`scheduled`, `queued`, `retry`, `paced` (no room, or limits reached), `paused` (by a pause, a rule, or for want of a route)
    or `held` (its hand-over is uncertain: retry or cancel it)."""
    until: Moment | None
    """Null for one that is held, or paused until somebody resumes it."""
    why: str | None
    """In words, where there is more to say."""


class Reply(AnswerShape):
    """What the receiving server said."""

    code: int
    enhanced: str | None
    """The enhanced status code (RFC 3463), such as `5.1.1`."""
    text: str


class ReplyOfHost(Reply):
    """What a receiving server said, and which one."""

    mx: str | None


class ApiReply(AnswerShape):
    """What a provider's API said."""

    provider: str
    code: int | None
    """The HTTP status; null without an answer."""
    text: str
    reference: str | None
    """The provider's id of the mail."""


class EventData(AnswerShape):
    """What an event tells of its message; what does not apply to its type is left out."""

    message_id: MessageId
    recipient: str
    status: StatusName
    previous_status: StatusName | None
    sequence: int
    template: str | None
    tags: list[str]
    metadata: dict[str, str]
    livemode: bool
    attempt: int = SOMETIMES
    route: str = SOMETIMES
    reason: str = SOMETIMES
    last_reason: str = SOMETIMES
    """The cause of the last attempt when retries are exhausted."""
    detail: str = SOMETIMES
    rule: str = SOMETIMES
    """The routing rule that rejected it."""
    smtp: ReplyOfHost = SOMETIMES
    api: ApiReply = SOMETIMES
    handed_to: str = SOMETIMES
    """The provider that has taken the message: `delivered` then means delivered to it, and its later news may still change it."""
    provider: str = SOMETIMES
    """The provider whose news this is."""
    uncertain: bool = SOMETIMES
    """True when the message may have been handed over though no reply was read; it is tried again with the same Message-ID."""
    next_attempt_at: Moment = SOMETIMES
    scheduled_time: Moment = SOMETIMES
    overrides: str = SOMETIMES
    """The suppression this security mail went out in spite of."""
    redriven: bool = SOMETIMES
    """True when a dead message was queued again."""


class Event(AnswerShape):
    """One change of a message: the same object in its timeline, in the feed and in webhooks."""

    id: Annotated[str, public_id("evt")]
    type: Annotated[str, one_of(f"message.{status}" for status in [status.value for status in Status])]
    timestamp: Moment
    message_id: MessageId
    at: Moment
    sequence: int
    """1 for a message's first event, then one more for each."""
    data: EventData


class Notice(AnswerShape):
    """Something that happened to the account rather than to a message, as `domain.broken`."""

    id: Annotated[str, public_id("evt")]
    type: str
    timestamp: Moment
    message_id: None
    at: Moment
    sequence: int
    data: dict[str, Any]


class AppliedPacing(AnswerShape):
    """What a policy says beside the routes; null: nothing."""

    connections: int | None
    per_connection: int | None
    per_minute: int | None


class AppliedPolicy(AnswerShape):
    """The delivery policy in force, defaults filled in."""

    id: str
    name: str
    version: int
    retry_ladder: list[float]
    """Seconds to wait after each try."""
    ttl_seconds: int | None
    uncertain: Annotated[str, one_of(("retry", "hold"))]
    pacing: AppliedPacing


class MessageDetail(Message):
    """A message with what it waits for and its timeline."""

    waiting: Waiting | None
    sending: bool
    """True while an attempt is under way."""
    policy: AppliedPolicy
    """As it applies now; a message that was accepted under another one follows this from its next try on."""
    events: list[Event]


class Attempt(AnswerShape):
    """One try to hand a message over."""

    number: int
    """Its place on the retry ladder; a try that was lost shares its number with the next."""
    at: Moment
    duration_ms: int
    route: str | None
    explanation: RouteChoice | None
    """Why this route; null, like the route, for a try that was lost with its worker."""
    verdict: Annotated[str, one_of(Verdict)]
    cause: str | None
    phase: Annotated[str, one_of(Phase)]
    """How far it got. `dot`: the whole message was sent, no reply was read."""
    detail: str
    mx: str | None
    address: str | None
    tls: str | None
    smtp: Reply | None
    api: ApiReply | None
    """What a provider's API said, where the route is one's."""


class DeadLetter(AnswerShape):
    """A message that delivery gave up on."""

    cause: str
    at: Moment
    message: Message


class DeadLetterCount(AnswerShape):
    """How many messages died of one cause."""

    cause: str
    count: int
    oldest: Moment
    newest: Moment


class _Page(AnswerShape):
    has_more: bool
    next_cursor: str | None


class MessagePage(_Page):
    """Messages, newest first."""

    data: list[Message]


class EventPage(_Page):
    """Events in the order they were committed."""

    data: list[Event | Notice]


class AttemptList(AnswerShape):
    """Every try, oldest first."""

    data: list[Attempt]


class DeadLetterPage(_Page):
    """Dead letters, newest message first, or with `group=cause` their counts."""

    data: list[DeadLetter] | list[DeadLetterCount]


class Redriven(AnswerShape):
    """What a redrive did, or with `dry_run` would do."""

    dry_run: bool
    matched: int
    redriven: list[MessageId]
