"""Complaints: feedback reports (RFC 5965 and its extensions), and the two kinds that come without the format:
Microsoft's junk mail reports and mails that ask to be unsubscribed."""

import re

from messaging.inbound.bounces import addresses, wording
from messaging.inbound.bounces.parts import Headers, Mail, fields_of, read_headers
from messaging.inbound.bounces.reports import Complaint, FeedbackType, Original

_TYPES = (
    (FeedbackType.ABUSE, ("abuse", "complaint", "spam", "miscategorized")),
    (FeedbackType.OPT_OUT, ("opt-out", "optout", "unsubscribe")),
    (FeedbackType.AUTH_FAILURE, ("auth-failure", "dmarc", "dkim")),
    (FeedbackType.NOT_SPAM, ("not-spam", "notspam")),
    (FeedbackType.FRAUD, ("fraud", "phish")),
    (FeedbackType.VIRUS, ("virus",)),
)
_FIELD = re.compile(r"^feedback-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_UNSUBSCRIBE = re.compile(r"\s*(?:re: ?)?unsubscribe\s*", re.IGNORECASE)
_LONGEST_REQUEST = 400


def read(mail: Mail) -> Complaint | None:
    """The complaint `mail` is, or None."""
    return _report(mail) or _junk(mail) or _request(mail)


def _report(mail: Mail) -> Complaint | None:
    fields = _fields(mail)
    if fields is None:
        return None
    original = _original(mail)
    named = [found for value in fields.all("original-rcpt-to") for found in [addresses.of_field(value)] if found]
    kind = fields.first("feedback-type").strip().lower() or "abuse"
    return Complaint(
        feedback_type=next((one for one, names in _TYPES if kind.startswith(names)), FeedbackType.OTHER),
        recipients=tuple(dict.fromkeys(named)) or original.recipients,
        original=original,
        user_agent=fields.first("user-agent")[:255] or None,
        arrival=(fields.first("arrival-date") or fields.first("received-date"))[:255] or None,
        source_ip=fields.first("source-ip")[:64] or None,
    )


def _fields(mail: Mail) -> Headers | None:
    """The feedback-report part; where a gateway retyped it, the part that reads like one; an empty one where the report
    calls itself so and brings none."""
    for part in mail.parts:
        if part.kind == "message/feedback-report":
            return Headers(fields_of(part.decoded().replace(b"\r\n", b"\n")))
    for part in mail.parts:
        if part.kind.startswith(("text/plain", "application/octet")) and (found := _FIELD.search(part.text())):
            fields = Headers(fields_of(part.text()[found.start() :].partition("\n\n")[0].encode("utf-8", "replace")))
            if fields.first("user-agent"):  # which RFC 5965 demands beside it
                return fields
    return Headers([]) if mail.report_type == "feedback-report" else None


def _original(mail: Mail) -> Original:
    part = next((part for part in mail.parts if part.kind in wording.ORIGINAL_KINDS), None)
    return wording.original(part.decoded()) if part else wording.read(mail).original


def _junk(mail: Mail) -> Complaint | None:
    """Microsoft's junk mail reporting program: the mail itself as an attachment, the recipient in a header."""
    attached = [part for part in mail.parts if part.kind in wording.ORIGINAL_KINDS]
    for part in attached if mail.report_type != "delivery-status" else []:
        headers, _ = read_headers(part.decoded().replace(b"\r\n", b"\n").lstrip())
        if told := headers.first("x-hmxmroriginalrecipient"):
            named = tuple(addresses.found_in(told))
            return Complaint(FeedbackType.ABUSE, named, wording.original(part.decoded()))
    return None


def _request(mail: Mail) -> Complaint | None:
    """The mail a client sends for `List-Unsubscribe: <mailto:…>` (RFC 2369): the subject says it, the body little."""
    subject = mail.headers.words("subject")
    if not _UNSUBSCRIBE.fullmatch(subject):
        return None
    body = next((part.text() for part in mail.parts if part.kind.startswith("text/")), "")
    if len(body.strip()) > _LONGEST_REQUEST:
        return None
    return Complaint(FeedbackType.OPT_OUT, tuple(addresses.found_in(mail.headers.words("from"))[:1]), Original())
