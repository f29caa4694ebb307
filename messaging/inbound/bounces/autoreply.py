"""Automatic answers by or for a recipient (RFC 3834, RFC 8098), which prove that the mail arrived: never bounces."""

import re

from messaging.inbound.bounces import wording
from messaging.inbound.bounces.parts import Headers, Mail, fields_of
from messaging.inbound.bounces.reports import AutoReply, ReplyKind

_VACATION = re.compile(
    r"\b(vacation|holiday|out of (the )?office|away from|on leave|annual leave|maternity|absen(t|ce|z|cia)|abwesen\w*"
    r"|auto(matic|mated)?[\s-]?(reply|response|answer|antwort)|autoresponder|auto:|automatische antwort|r[ée]ponse auto\w*"
    r"|respuesta auto\w*|resposta auto\w*|risposta auto\w*|not in the office|ooo)\b"
    r"|부재|자동 ?(회신|응답)|휴가|不在|自動(返信|応答)|自动回复|自動回覆|автоответ|отпуск|semester|frånvar",
    re.IGNORECASE,
)
_CHALLENGE = re.compile(
    r"(confirm|verif)\w* (that )?(you|your|this)( \w+){0,4} (sent|email|e-mail|message|sender|human)", re.I
)
_CUES = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-ms-exchange-inbox-rules-loop",
    "x-vacation",
)
_PRECEDENCE = ("auto_reply", "auto-reply", "autoreply")


def read(mail: Mail, words: str) -> AutoReply | None:
    """The automatic answer `mail` is, or None. A delivery agent that answers `rejected` (RFC 3834 leaves it free to) is
    none: nothing arrived."""
    subject = mail.headers.words("subject")
    if (fields := receipt(mail)) is not None:
        rejected = wording.tells_failure(words) and "displayed" not in fields.first("disposition").lower()
        return None if rejected else AutoReply(ReplyKind.READ_RECEIPT, subject[:998])
    if not _automatic(mail.headers) and not _VACATION.search(subject):
        return None
    if wording.from_daemon(mail) and (wording.subject_fails(mail) or wording.tells_failure(words)):
        return None
    if "(rejected)" in mail.headers.first("auto-submitted"):
        return None
    return AutoReply(_kind(f"{subject} {words[:2000]}"), subject[:998])


def receipt(mail: Mail) -> Headers | None:
    """The fields of a disposition notification (RFC 8098), or None."""
    part = next((part for part in mail.parts if part.kind.endswith("disposition-notification")), None)
    return Headers(fields_of(part.decoded().replace(b"\r\n", b"\n"))) if part else None


def _automatic(headers: Headers) -> bool:
    submitted = headers.first("auto-submitted").strip().lower()
    return (
        submitted.startswith(("auto-replied", "auto-notified"))
        or headers.first("precedence").strip().lower() in _PRECEDENCE
        or any(headers.first(cue) for cue in _CUES)
    )


def _kind(text: str) -> ReplyKind:
    if _CHALLENGE.search(text):
        return ReplyKind.CHALLENGE
    return ReplyKind.VACATION if _VACATION.search(text) else ReplyKind.OTHER
