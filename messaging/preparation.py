"""From a request's payload to a message ready to insert: its sender resolved, its template rendered, its times settled, or every
fault of it. Nothing is written here."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from messaging import headers as header_rules
from messaging import plaintext, templating
from messaging.delivery import destinations
from messaging.delivery.ways import Facts
from messaging.domains import registry
from messaging.models import Status, Tier
from messaging.serializers import MessageShape, scheduling_fault
from messaging.templating import declarations
from sendarix.accounts.keys import Caller
from sendarix.core import addresses, ids, shapes
from sendarix.core.errors import FieldError, Forbidden, ValidationFailed

LONGEST_SUBJECT = 998
"""Characters; RFC 5322 section 2.1.1 allows no longer line."""

_TOO_SECRET = (
    f"The sensitive variables of a message hold at most {templating.MOST_SECRETS} texts and numbers,"
    f" of {templating.MOST_SECRET_CHARACTERS:,} characters together."
)

LARGE = 25 * 1024 * 1024
"""Octets of a whole mail beyond which some servers refuse it: accepted, with a warning."""


@dataclass(slots=True)
class File:
    """An attachment, decoded; `path` is set once its bytes are stored."""

    filename: str
    content_type: str
    content_id: str | None
    data: bytes
    path: str = ""


@dataclass(slots=True)
class Prepared:
    """A message that may be accepted as it is."""

    id: str
    caller: Caller
    created_at: datetime
    status: Status
    tier: Tier
    recipient: addresses.Address
    recipient_text: str
    sender: str
    subject: str
    shown_subject: str
    html: str | None
    text: str | None
    reply_to: str | None
    headers: dict[str, str]
    template: str | None
    tags: list[str]
    metadata: dict[str, str]
    sensitive: list[str]
    scheduled_time: datetime | None
    expires_at: datetime | None
    size: int
    files: list[File] = field(default_factory=list)
    template_version: int | None = None
    locale: str | None = None
    secrets: list[str] = field(default_factory=list)
    unsubscribe: bool = False
    override: bool = False
    warnings: list[dict[str, str]] = field(default_factory=list)

    @property
    def facts(self) -> Facts:
        """What routing asks of it."""
        return Facts(
            account_id=self.caller.account_id,
            livemode=self.caller.livemode,
            tier=self.tier,
            domain=self.recipient.domain,
            provider=destinations.provider(self.recipient.domain),
            mail_hosts=destinations.hosts(self.recipient.domain),
            template=self.template,
            tags=tuple(self.tags),
            sender_domain=addresses.parse(self.sender).domain,
            key_id=self.caller.key_id,
            size=self.size,
        )


def prepare(payload: dict[str, Any], caller: Caller, now: datetime) -> Prepared:
    """The message of this payload; ValidationFailed with every fault when it can't be accepted."""
    shape, faults = _read(payload)
    wrong = {_root(fault) for fault in faults} - {"headers"}
    found = _Findings(shape, caller, now, wrong)
    faults += [fault for fault in found.faults if _root(fault) not in wrong]
    if faults:
        raise ValidationFailed(faults)
    return found.prepared()


def _read(payload: dict[str, Any]) -> tuple[MessageShape, list[FieldError]]:
    """The shape and its faults. A request with faults is read again without the fields found wrong, because what is left of it
    may have faults of its own, which the caller should hear at the same time."""
    try:
        return shapes.validate(MessageShape, payload), []
    except ValidationFailed as refused:
        wrong = {_root(fault) for fault in refused.errors}
        rest = {name: value for name, value in payload.items() if name not in wrong}
        if isinstance(headers := payload.get("headers"), dict):
            rest["headers"] = {name: value for name, value in headers.items() if isinstance(value, str)}
        try:
            return shapes.validate(MessageShape, {"recipient": "nobody@example.com", **rest}), refused.errors
        except ValidationFailed:
            raise refused from None


def _root(fault: FieldError) -> str:
    return fault.field.partition(".")[0]


def _filled(part: str | None) -> str | None:
    """A rendered part, unless nothing of it would be seen."""
    return part if part and part.strip() else None


class _Findings:
    """What one request resolves to, and what is wrong with it beyond its shape."""

    def __init__(self, shape: MessageShape, caller: Caller, now: datetime, wrong: set[str]) -> None:
        self.shape, self.caller, self.now, self.wrong = shape, caller, now, wrong
        self.headers = header_rules.read(shape.headers)
        self.faults: list[FieldError] = list(self.headers.faults)
        self.warnings: list[dict[str, str]] = []
        self._check_override()
        self.template = self._template()
        self.sender = self._sender()
        self.subject, self.html, self.text = self._content()
        self.files = [
            File(item.filename, item.content_type, item.content_id, item.content) for item in shape.attachments
        ]
        self.scheduled_time = self._scheduled_time()
        self.expires_at = self._expires_at()
        self.secrets = self._secrets() if not {"template_data", "sensitive"} & wrong else []

    def _wrong(self, name: str, code: str, message: str) -> None:
        self.faults.append(FieldError(name, code, message))

    def _check_override(self) -> None:
        if self.shape.override_suppression and self.shape.priority != "critical":
            self._wrong("override_suppression", "conflict", "Only a message of priority critical may override.")
        if self.shape.override_suppression and "suppressions:override" not in self.caller.scopes:
            raise Forbidden("suppressions:override")

    def _template(self) -> templating.Resolved | None:
        key = self.shape.template
        if key is None:
            return None
        found = templating.resolve(self.caller.account_id, key, self.shape.locale)
        if found is None:
            self._wrong("template", "not_found", f"This account has no published template with the key {key}.")
        return found

    def _sender(self) -> str:
        template_sender = self.template.default_sender if self.template else ""
        sender = self.shape.sender or template_sender or self.caller.default_sender
        if not sender:
            self._wrong(
                "from", "required", "Neither the request, the template, the key nor the account names a sender."
            )
            return ""
        domain = addresses.parse(sender).domain
        allowed = self.caller.sender_domains
        if allowed and domain not in allowed:
            self._wrong("from", "sender_domain_not_allowed", f"This key may not send from {domain}.")
        else:
            self._check_domain(domain)
        return sender

    def _check_domain(self, domain: str) -> None:
        standing = registry.standing(self.caller.account_id, domain)
        if standing.allowed:
            if standing.right is registry.Right.OWN_UNVERIFIED:
                text = (
                    f"The DNS records of {standing.domain} have not been found right yet; the mail goes out unsigned."
                )
                self.warnings.append({"code": "unverified_domain", "message": text})
        elif standing.right is registry.Right.OWN_UNVERIFIED:
            verify = f"POST /v1/domains/{standing.domain}/verify"
            text = f"{standing.domain} is not verified yet: publish its records, then call {verify}."
            self._wrong("from", "sender_domain_not_verified", text)
        else:
            text = f"{domain} is not a sender domain of this account; add it with POST /v1/domains."
            self._wrong("from", "sender_domain_not_registered", text)

    def _content(self) -> tuple[str, str | None, str | None]:
        shape = self.shape
        rendered = self._rendered()
        subject = shape.subject or (rendered.subject if rendered else None) or ""
        html = shape.html or (_filled(rendered.html) if rendered else None)
        text = shape.text or (_filled(rendered.text) if rendered else None)
        untold = "template" in self.wrong or (shape.template is not None and rendered is None)
        if len(subject) > LONGEST_SUBJECT:
            self._wrong("subject", "too_long", f"The rendered subject has more than {LONGEST_SUBJECT} characters.")
        if not subject.strip() and not untold:
            self._wrong("subject", "required", "A subject is required when no template gives one.")
        if html is None and text is None and not untold and not {"html", "text"} & self.wrong:
            self._wrong("text", "required", "At least one of template, html and text is required, and not empty.")
        if text is None and html is not None and not self.faults:
            text = plaintext.from_html(html)
        return subject, html, text

    def _rendered(self) -> templating.Rendered | None:
        template = self.template
        if template is None or "template_data" in self.wrong:
            return None
        try:
            return templating.render(template, self.shape.template_data)
        except templating.TemplateFault as error:
            self.faults += list(error.faults)
            return None

    def _sensitive(self) -> list[str]:
        """What the request names and what its template declares."""
        declared = self.template.sensitive if self.template else ()
        return list(dict.fromkeys([*self.shape.sensitive, *declared]))

    def _secrets(self) -> list[Any]:
        """The values of the sensitive variables; as many as can be masked in every preview."""
        found: list[Any] = []
        for number, name in enumerate(self._sensitive()):
            given = number < len(set(self.shape.sensitive))
            field = f"sensitive.{self.shape.sensitive.index(name)}" if given else f"template_data.{name}"
            value = declarations.lookup(self.shape.template_data, name)
            if value is None:
                if given:
                    self._wrong(field, "not_found", f"template_data has no variable {name}.")
            elif templating.exceeds([found, value]):
                self._wrong(field, "too_long", _TOO_SECRET)
            else:
                found.append(value)
        return found

    def _scheduled_time(self) -> datetime | None:
        at = self.shape.scheduled_time
        if at is None:
            return None
        if wrong := scheduling_fault(at, self.now):
            self._wrong("scheduled_time", *wrong)
        return at if at > self.now else None

    def _expires_at(self) -> datetime | None:
        shape, start = self.shape, self.scheduled_time or self.now
        if shape.expires_at and shape.ttl_seconds:
            self._wrong("ttl_seconds", "conflict", "Give expires_at or ttl_seconds, not both.")
        if shape.ttl_seconds:
            return start + timedelta(seconds=shape.ttl_seconds)
        if shape.expires_at and shape.expires_at <= start:
            self._wrong("expires_at", "out_of_range", "The message would expire before it may be sent.")
        return shape.expires_at

    def prepared(self) -> Prepared:
        shape = self.shape
        secrets = self.secrets
        return Prepared(
            id=ids.new("msg"),
            caller=self.caller,
            created_at=self.now,
            status=Status.SCHEDULED if self.scheduled_time else Status.QUEUED,
            tier=Tier[shape.priority.upper()],
            recipient=addresses.parse(shape.recipient),
            recipient_text=shape.recipient,
            sender=self.sender,
            subject=self.subject,
            shown_subject=templating.mask(self.subject, secrets) if secrets else self.subject,
            html=self.html,
            text=self.text,
            reply_to=shape.reply_to,
            headers=dict(self.headers.pairs),
            template=shape.template,
            tags=shape.tags,
            metadata=shape.metadata,
            sensitive=self._sensitive(),
            template_version=self.template.version if self.template else None,
            locale=self.template.locale if self.template else None,
            secrets=sorted(set(templating.scalars(secrets))),
            unsubscribe=shape.unsubscribe,
            override=shape.override_suppression,
            warnings=self.warnings,
            scheduled_time=self.scheduled_time,
            expires_at=self.expires_at,
            size=self._size(),
            files=self.files,
        )

    def _size(self) -> int:
        """About how many octets the mail will have; base64 takes four thirds, a little more with its line ends."""
        text = sum(len(part.encode()) for part in (self.html, self.text) if part)
        return 1_000 + text + sum(len(file.data) * 37 // 27 for file in self.files)
