"""Amazon SES news as SNS mails them: JSON in the text. Known beside the mail formats because an operator who sends through
SES may direct them to the bounce domain."""

import json
import re
from typing import Any

from messaging.inbound.bounces import classes
from messaging.inbound.bounces.parts import Mail
from messaging.inbound.bounces.reports import (
    Action,
    Bounce,
    Complaint,
    FailedRecipient,
    FeedbackType,
    Original,
)

RECIPIENTS = 100
_MARK = "notificationType"
_NESTING = 40


def read(mail: Mail) -> Bounce | Complaint | None:
    """The news `mail` brings, or None."""
    for part in mail.parts:
        if part.kind.startswith("text/plain") and _MARK in (text := part.text()):
            told = _parsed(text)
            if isinstance(told.get("complaint"), dict):
                return _complaint(told, told["complaint"])
            if isinstance(told.get("bounce"), dict) and (found := _recipients(told["bounce"], "bouncedRecipients")):
                return Bounce(tuple(_failed(one, told["bounce"]) for one in found), _original(told))
    return None


def _parsed(text: str) -> dict[str, Any]:
    """The news in the object the text begins with: the object itself, or the string `Message` of SNS's envelope."""
    found = _object(text)
    inner = found.get("Message")
    return _object(inner) if isinstance(inner, str) else found


def _object(text: str) -> dict[str, Any]:
    """The first JSON object of `text`, also where the mail broke its one long line; empty if there is none."""
    text = text[text.find("{") :].replace("\n", "")
    if _deep(text):
        return {}
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _deep(text: str) -> bool:
    """Nested beyond what the decoder, which recurses, should be given."""
    depth = 0
    for bracket in re.findall(r"[][{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _NESTING:
            return True
    return False


def _complaint(told: dict[str, Any], complaint: dict[str, Any]) -> Complaint:
    kind = str(complaint.get("complaintFeedbackType") or "abuse")
    known = kind in {str(one) for one in FeedbackType}
    return Complaint(
        feedback_type=FeedbackType(kind) if known else FeedbackType.OTHER,
        recipients=tuple(_address(one) for one in _recipients(complaint, "complainedRecipients") if _address(one)),
        original=_original(told),
        user_agent=str(complaint.get("userAgent") or "")[:255] or None,
        arrival=str(complaint.get("arrivalDate") or "")[:255] or None,
    )


def _failed(one: dict[str, Any], bounce: dict[str, Any]) -> FailedRecipient:
    text = str(one.get("diagnosticCode") or bounce.get("bounceSubType") or "")[: classes.TEXT_LIMIT]
    failed = bounce.get("bounceType") != "Transient" or one.get("action") == "failed"
    enhanced = classes.enhanced_in(text) or classes.enhanced_in(str(one.get("status") or ""))
    return FailedRecipient(
        address=_address(one) or None,
        action=Action.FAILED if failed else Action.DELAYED,
        cause=classes.cause_of(classes.code_in(text), enhanced, text, None, failed),
        code=classes.code_in(text),
        enhanced=enhanced,
        text=text,
    )


def _recipients(news: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = news.get(name)
    return [one for one in found if isinstance(one, dict)][:RECIPIENTS] if isinstance(found, list) else []


def _address(one: dict[str, Any]) -> str:
    return str(one.get("emailAddress") or "")[:320]


def _original(told: dict[str, Any]) -> Original:
    mail = told.get("mail")
    if not isinstance(mail, dict):
        return Original()
    headers = mail.get("commonHeaders")
    named = headers.get("messageId") if isinstance(headers, dict) else None
    return Original(
        message_id=str(named)[:998] if named else None, return_path=str(mail.get("source") or "")[:320] or None
    )
