"""What a provider's API means by its answer, or by none: an HTTP status and its words read as a verdict and a cause, like an SMTP
reply. Pure tables."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from messaging.delivery.outcomes import Cause, Phase, Verdict
from messaging.delivery.replies import LONGEST_WAIT

Judgement = tuple[Verdict, Cause | None, Phase]

_ROUTE = {
    401: Cause.AUTH,
    402: Cause.AUTH,  # the account at the provider is not paid for
    403: Cause.AUTH,
    404: Cause.PROTOCOL,
    405: Cause.PROTOCOL,
    406: Cause.PROTOCOL,
    407: Cause.AUTH,
    410: Cause.PROTOCOL,
    415: Cause.PROTOCOL,
}
"""Statuses that speak of the route: its credentials, its account, its URL. Another route may carry the message."""

_LATER = {408: Cause.TIMEOUT, 409: Cause.SYSTEM, 423: Cause.SYSTEM, 425: Cause.SYSTEM, 429: Cause.RATE_LIMITED}

_KINDS: Mapping[str, Judgement] = {
    "AccountSuspendedException": (Verdict.DEFERRED, Cause.AUTH, Phase.AUTH),
    "SendingPausedException": (Verdict.DEFERRED, Cause.AUTH, Phase.AUTH),
    "LimitExceededException": (Verdict.DEFERRED, Cause.RATE_LIMITED, Phase.DOT),
}
"""Amazon's names of faults that it answers with 400 though they don't speak of the message."""

# Only what names the recipient's address as the fault: Mailgun, SendGrid, Brevo, Resend, Mailjet, SparkPost.
_RECIPIENT = re.compile(
    r"\bto['\"]? parameter is not a valid|personalizations\.\d+\.to\.\d+\.email|(is )?not valid in to\b"
    r"|invalid ['\"`]?to['\"`]? (field|address)|invalid (recipient|to) (address|email)|recipient address (is )?invalid",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"\b(not allowed|not verified|unverified|verif(y|ied)|sender|from address|signature|suppress\w*|blocked|blacklist\w*|denied"
    r"|permission|polic(y|ies)|inactive)\b",
    re.IGNORECASE,
)


def of_status(status: int, text: str, kind: str = "") -> Judgement:
    """The verdict of an answer that was read. One outside 4xx and 5xx comes here only when it can't be understood. `kind`: the
    fault's name where the provider has such."""
    if 200 <= status < 300:
        return Verdict.UNCERTAIN, Cause.UNCERTAIN, Phase.DOT
    if status < 400:
        return Verdict.DEFERRED, Cause.PROTOCOL, Phase.AUTH
    if status in _LATER or status >= 500:
        return Verdict.DEFERRED, _LATER.get(status, Cause.SYSTEM), Phase.DOT
    if status in _ROUTE:
        return Verdict.DEFERRED, _ROUTE[status], Phase.AUTH
    if kind in _KINDS:
        return _KINDS[kind]
    if status == 413:
        return Verdict.BOUNCED, Cause.TOO_LARGE, Phase.DOT
    if _RECIPIENT.search(text):
        return Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN, Phase.RCPT
    return Verdict.BOUNCED, Cause.POLICY if _POLICY.search(text) else Cause.CONTENT, Phase.DOT


def of_recipient(status: str | None) -> Judgement:
    """Of Anymail's status of the one recipient. `rejected`: the provider has it on a list of its own, for a reason it does not
    tell apart, so that it is not suppressed here."""
    match status:
        case "invalid":
            return Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN, Phase.RCPT
        case "rejected":
            return Verdict.BOUNCED, Cause.POLICY, Phase.RCPT
        case "failed":
            return Verdict.BOUNCED, Cause.OTHER, Phase.DOT
    return Verdict.DELIVERED, None, Phase.DONE


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of Retry-After (RFC 9110 section 10.2.3), or until X-RateLimit-Reset as SendGrid has it; at most a day."""
    told = headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdecimal():
        return min(float(told[:9]), LONGEST_WAIT) or None
    if told:
        try:
            at = parsedate_to_datetime(told)
        except ValueError:
            return None
        return _until(at if at.tzinfo else at.replace(tzinfo=UTC), now)
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if reset.isascii() and reset.isdecimal() and 1_000_000_000 < int(reset[:11]) < 9_999_999_999:
        return _until(datetime.fromtimestamp(int(reset), UTC), now)
    return None


def _until(at: datetime, now: datetime) -> float | None:
    seconds = (at - now).total_seconds()
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None
