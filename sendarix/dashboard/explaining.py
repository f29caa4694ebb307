"""What became of a message, in a sentence that support can read out. Pure: the message and its attempts as `messaging.queries`
shows them go in; no table is asked."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.dashboard import wording

PROVIDERS: dict[str, str | Promise] = {
    "gmail": "Gmail",
    "naver": gettext_lazy("Naver"),
    "kakao": gettext_lazy("Kakao"),
    "microsoft": "Outlook",
    "yahoo": "Yahoo",
    "apple": "iCloud",
}
"""Names of provider groups; a destination without a group goes by its domain."""

REFUSALS: dict[str, str | Promise] = {
    "mailbox_unknown": gettext_lazy("%(who)s has no such mailbox."),
    "mailbox_full": gettext_lazy("The mailbox at %(who)s is full."),
    "mailbox_disabled": gettext_lazy("The mailbox at %(who)s is disabled."),
    "policy": gettext_lazy("%(who)s refused it by policy."),
    "sender_domain_lost": gettext_lazy("Its sender's domain was no longer this account's when it was due."),
    "reputation": gettext_lazy("%(who)s refused it for the sender's reputation."),
    "rate_limited": gettext_lazy("%(who)s takes no more mail from us for now (rate limit)."),
    "greylisted": gettext_lazy("%(who)s asked us to try later (greylisting)."),
    "connection": gettext_lazy("%(who)s could not be reached."),
    "timeout": gettext_lazy("%(who)s did not answer in time."),
    "tls": gettext_lazy("No TLS connection with %(who)s came about."),
    "auth": gettext_lazy("The route's server refused our login."),
    "dns": gettext_lazy("No mail server of %(who)s was found."),
    "content": gettext_lazy("%(who)s refused its content."),
    "too_large": gettext_lazy("It is too large for %(who)s."),
    "protocol": gettext_lazy("%(who)s gave an answer that SMTP does not allow here."),
    "smtputf8_unsupported": gettext_lazy("%(who)s does not take international addresses (SMTPUTF8)."),
    "relay_denied": gettext_lazy("The server asked does not take mail for %(who)s."),
    "uncertain": gettext_lazy("It was sent to %(who)s, but no reply was read: it may have arrived."),
    "system": gettext_lazy("A fault of ours stopped the attempt."),
}
ROUTE_NOT_FOUND = gettext_lazy("The mail server of the route %(route)s was not found.")
REFUSED = gettext_lazy("%(who)s refused it.")

ADVICE: dict[str, str | Promise] = {
    "mailbox_unknown": gettext_lazy("Check the address. Until its suppression is removed, nothing is sent to it."),
    "mailbox_disabled": gettext_lazy("Until its suppression is removed, nothing is sent to it."),
    "mailbox_full": gettext_lazy("The recipient has to make room."),
    "sender_domain_lost": gettext_lazy("See the domain's records, then try again."),
    "auth": gettext_lazy("Check the credentials of the route."),
    "content": gettext_lazy("Look for links or words that filters dislike."),
    "reputation": gettext_lazy("See bounces and complaints of this sender domain."),
    "too_large": gettext_lazy("Send a link instead of the attachment."),
}

SUPPRESSED: dict[str, str | Promise] = {
    "user_unsubscribed": gettext_lazy("Not sent: the recipient has unsubscribed."),
    "hard_bounce": gettext_lazy("Not sent: the address is suppressed, since mail to it bounced."),
    "spam_complaint": gettext_lazy("Not sent: the address is suppressed, since the recipient complained of spam."),
    "manual": gettext_lazy("Not sent: the address was suppressed by hand."),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentence is made of. `whole` as queries.shown_whole, `tries` as queries.attempts, oldest first; `who` the name of
    the destination; `clock` says a time in the reader's zone; `hosted` are the names of routes with a host of their own, which
    don't ask for the recipient's domain."""

    whole: Mapping[str, Any]
    tries: Sequence[Mapping[str, Any]]
    who: str
    now: datetime
    clock: Callable[[datetime], str]
    hosted: Container[str] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The sentence, what can be done if anything, and how it looks: tone and picture as of a status."""

    text: str
    advice: str
    tone: str
    picture: str


def destination(domain: str, provider: str | None) -> str:
    """How people call the one who hosts a mailbox."""
    return str(PROVIDERS.get(provider or "", domain))


def explain(facts: Facts) -> Explanation:
    status = "sending" if facts.whole["sending"] else str(facts.whole["status"])
    tone, picture = wording.TONES.get(status, ("", "info"))
    text = " ".join(part for part in _SAYINGS[status](facts) if part)
    return Explanation(text, _advice(facts, status), tone, picture)


def _advice(facts: Facts, status: str) -> str:
    if _waits(facts) == "held":
        return _("Retry it, or cancel it.")
    if status not in ("bounced", "deferred"):
        return ""
    if _lost_route(facts):
        return _("Check the host of the route.")
    return str(ADVICE.get(_cause(facts), ""))


def _scheduled(facts: Facts) -> list[str]:
    if _waits(facts) == "paused":
        return _waiting(facts)
    return [_("It waits for its time:"), _due(facts, _("it leaves at %(at)s, %(ago)s."), _("it leaves now."))]


def _queued(facts: Facts) -> list[str]:
    waited = wording.duration((facts.now - _at(facts.whole["created_at"])).total_seconds())
    return _waiting(facts) or [_("It waits for its turn, for %(length)s so far.") % {"length": waited}]


def _sending(facts: Facts) -> list[str]:
    return [
        _("Being handed to %(who)s right now.") % {"who": facts.who},
        _("Attempt %(number)s of %(most)s.") % _count(facts, facts.whole["attempts"] + 1),
    ]


def _deferred(facts: Facts) -> list[str]:
    count = _count(facts, facts.whole["attempts"])
    return [
        _refusal(facts),
        _("Attempt %(number)s of %(most)s.") % count
        if _waits(facts) != "retry"
        else _("Attempt %(number)s of %(most)s;") % count
        + " "
        + _due(facts, _("next at %(at)s, %(ago)s."), _("the next is due now.")),
        *_waiting(facts),
    ]


def _delivered(facts: Facts) -> list[str]:
    told = {"who": facts.who, "took": wording.duration(_took(facts)), "at": _clock(facts, facts.whole["ended_at"])}
    if _captured(facts):
        return [_("Captured in the inbox after %(took)s; nothing left this platform.") % told, _tried(facts)]
    if handed := _data(facts, "delivered").get("handed_to"):
        told["provider"] = handed
        return [_("Handed to %(provider)s in %(took)s, at %(at)s. Its news decides what becomes of it.") % told]
    return [
        _("Delivered to %(who)s in %(took)s, at %(at)s.") % told,
        _tried(facts),
        _("It went out although the recipient has unsubscribed, as security mail may.")
        if _data(facts, "accepted").get("overrides")
        else "",
    ]


def _bounced(facts: Facts) -> list[str]:
    last = _last(facts)
    if last.get("previous_status") == "delivered":
        return [_("%(who)s took it first and sent it back later.") % {"who": facts.who}, _refusal(facts)]
    if facts.whole["reason"] == "retries_exhausted":
        told = {"count": facts.whole["attempts"], "length": wording.duration(_took(facts))}
        given_up = _("Given up after %(count)s attempts in %(length)s.") % told
        return [given_up, _refusal(facts)]
    if last.get("detail") and not facts.tries:
        return [_refusal(facts), f"({wording.said(last['detail'])})"]
    return [_refusal(facts), _("It will not be tried again.")]


def _suppressed(facts: Facts) -> list[str]:
    return [str(SUPPRESSED.get(facts.whole["reason"] or "", _("Not sent: the address is suppressed.")))]


def _canceled(facts: Facts) -> list[str]:
    told = {"at": _clock(facts, facts.whole["ended_at"])}
    if facts.whole["reason"] == "purged":
        return [_("Thrown away with a purge of the queue, at %(at)s.") % told]
    return [_("Canceled before it was sent, at %(at)s.") % told]


def _expired(facts: Facts) -> list[str]:
    told = {"at": _clock(facts, facts.whole["expires_at"] or facts.whole["ended_at"])}
    return [_("Not sent: its time ran out at %(at)s.") % told, _refusal(facts) if facts.tries else ""]


def _complained(facts: Facts) -> list[str]:
    return [
        _("Delivered to %(who)s in %(took)s.") % {"who": facts.who, "took": wording.duration(_took(facts))},
        _("The recipient reported it as spam."),
    ]


def _unsubscribed(facts: Facts) -> list[str]:
    return [
        _("Delivered to %(who)s in %(took)s.") % {"who": facts.who, "took": wording.duration(_took(facts))},
        _("The recipient unsubscribed by it."),
    ]


_SAYINGS: dict[str, Callable[[Facts], list[str]]] = {
    "scheduled": _scheduled,
    "queued": _queued,
    "accepted": _queued,
    "sending": _sending,
    "deferred": _deferred,
    "delivered": _delivered,
    "bounced": _bounced,
    "suppressed": _suppressed,
    "canceled": _canceled,
    "expired": _expired,
    "complained": _complained,
    "unsubscribed": _unsubscribed,
}


def _waiting(facts: Facts) -> list[str]:
    """What holds a due message back, if something does."""
    waiting = facts.whole["waiting"] or {}
    why = f" ({wording.said(waiting['why'])})" if waiting.get("why") else ""
    match waiting.get("for"):
        case "paused":
            held = _("It is held back by a pause.") if not why else _("It is held back%(why)s.") % {"why": why}
            return [held, _due(facts, _("Looked at again at %(at)s, %(ago)s."), "")]
        case "paced":
            return [
                _("It waits for room%(why)s;") % {"why": why}
                + " "
                + _due(facts, _("again at %(at)s."), _("again now."))
            ]
        case "held":
            return [_("It is held until somebody decides.")]
    return []


def _waits(facts: Facts) -> str:
    return (facts.whole["waiting"] or {}).get("for") or ""


def _due(facts: Facts, later: str, now: str) -> str:
    until = (facts.whole["waiting"] or {}).get("until")
    if until is None:
        return ""
    at = _at(until)
    return later % {"at": facts.clock(at), "ago": wording.ago(at, facts.now)} if at > facts.now else now


def _count(facts: Facts, number: int) -> dict[str, int]:
    ladder = len(facts.whole["policy"]["retry_ladder"]) + 1
    return {"number": number, "most": max(number, ladder)}


def _cause(facts: Facts) -> str:
    """Of the last outcome; when retries are exhausted, that of the last try."""
    reason = facts.whole["reason"]
    if reason in ("retries_exhausted", "expired", None):
        tried = [one["cause"] for one in facts.tries if one["cause"]]
        return tried[-1] if tried else ""
    return str(reason)


def _lost_route(facts: Facts) -> str:
    """The route of the last try, if the name that was not found is that of its host."""
    if not facts.tries or _cause(facts) != "dns":
        return ""
    last = facts.tries[-1]
    lost = last["cause"] == "dns" and last["phase"] == "resolving" and last["route"] in facts.hosted
    return str(last["route"]) if lost else ""


def _refusal(facts: Facts) -> str:
    if route := _lost_route(facts):
        return str(ROUTE_NOT_FOUND) % {"route": route}
    return str(REFUSALS.get(_cause(facts), REFUSED)) % {"who": facts.who}


def _tried(facts: Facts) -> str:
    number = facts.whole["attempts"]
    return _("It took %(count)s attempts.") % {"count": number} if number > 1 else ""


def _captured(facts: Facts) -> bool:
    if not facts.tries:
        return False
    last = facts.tries[-1]
    return last["address"] is None and (last["smtp"] or {}).get("text") == "captured"


def _data(facts: Facts, status: str) -> Mapping[str, Any]:
    """What the newest event of this status tells."""
    told = [event["data"] for event in facts.whole["events"] if event["data"]["status"] == status]
    return told[-1] if told else {}


def _last(facts: Facts) -> Mapping[str, Any]:
    return facts.whole["events"][-1]["data"] if facts.whole["events"] else {}


def _took(facts: Facts) -> float:
    """Seconds from when it might leave to when it was delivered, or ended."""
    began = max(_at(text) for text in (facts.whole["created_at"], facts.whole["scheduled_time"]) if text)
    delivered = [event["at"] for event in facts.whole["events"] if event["data"]["status"] == "delivered"]
    ended = delivered[0] if delivered else facts.whole["ended_at"]
    return max(0.0, (_at(ended) - began).total_seconds()) if ended else 0.0


def _clock(facts: Facts, text: str | None) -> str:
    return facts.clock(_at(text)) if text else ""


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
