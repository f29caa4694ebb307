"""Inbox: mail of the visited account and environment that was captured instead of sent, found and looked at."""

from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Func, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.translation import gettext as _

from messaging import content
from messaging.models import CapturedMail, MessageContent
from messaging.searching.conditions import LOCAL_PART_MASKED, LOCAL_PARTS, SHORT
from sendarix.core import pagination
from sendarix.core.pagination import cursor_part
from sendarix.dashboard import framing, revealing
from sendarix.dashboard.pages import Page, Visit

SHOWN = 25
WALKED = 3_000


def mails(visit: Visit) -> QuerySet[CapturedMail]:
    """Those this person may see, newest first."""
    return CapturedMail.objects.filter(account_id=visit.account.pk, livemode=visit.livemode).order_by("-id")


def subjects(visit: Visit, found: Sequence[CapturedMail]) -> list[str]:
    """Of each mail: as it was sent, or with sensitive values masked for who may not see them."""
    if visit.may("messages.unmasked"):
        return [mail.subject for mail in found]
    kept = MessageContent.objects.filter(message_id__in=[mail.message_id for mail in found])
    shown = dict(kept.values_list("message_id", "shown_subject"))
    return [shown.get(mail.message_id, "") for mail in found]


def holding(visit: Visit, text: str) -> QuerySet[CapturedMail]:
    """Those with this part of address or subject; for who sees them masked with the whole address, or a part of what is shown of
    the subject: one who finds by parts learns what they are parts of. A text too short for the index is looked for among the
    newest WALKED only."""
    found, part = mails(visit), Q(subject__icontains=text)
    if len(text) < SHORT:
        found = found.filter(pk__in=list(found.values_list("pk", flat=True)[:WALKED]))
    if visit.may("messages.unmasked"):
        return found.filter(Q(recipient__icontains=text) | part)
    masked = Func(
        F("shown_subject"), Value(LOCAL_PARTS), Value(LOCAL_PART_MASKED), Value("g"), function="regexp_replace"
    )
    contents = MessageContent.objects.filter(message_id=OuterRef("message_id")).values_list(Cast(masked, TextField()))
    return found.alias(shown=Subquery(contents)).filter(Q(recipient__iexact=text) | part & Q(shown__icontains=text))


class Inbox(Page):
    actions = {"GET": "inbox.view"}
    section = "inbox"

    def get(self, request: HttpRequest) -> HttpResponse:
        text = request.GET.get("find", "").strip().replace("\x00", "")[:320]
        found = holding(self.visit, text) if text else mails(self.visit)
        if cursor := request.GET.get("cursor"):
            found = found.filter(pk__lt=cursor_part(pagination.number, pagination.decode_cursor(cursor, 1)[0]))
        rows = list(found[: SHOWN + 1])
        context = {
            "mails": [(one, subject) for one, subject in zip(rows, subjects(self.visit, rows), strict=True)][:SHOWN],
            "find": text,
            "walked": WALKED if 0 < len(text) < SHORT else None,
            "next_cursor": pagination.encode_cursor(rows[SHOWN - 1].pk) if len(rows) > SHOWN else None,
        }
        return self.render("dashboard/captured/list.html", context)


class CapturedPage(Page):
    """What the pages of one captured mail share."""

    actions = {"GET": "inbox.view"}
    section = "inbox"

    def mail(self, number: int) -> CapturedMail:
        found = mails(self.visit).filter(pk=number).first() if number < 1 << 63 else None
        if found is None:
            raise Http404
        return found

    def opened(self, request: HttpRequest, number: int) -> CapturedMail:
        """For what only those see who may see content."""
        found = self.mail(number)
        if not revealing.revealed(request, self.visit, found.message_id):
            raise PermissionDenied("messages.reveal")
        return found

    def parsed(self, mail: CapturedMail) -> EmailMessage:
        try:
            return framing.captured(mail)
        except OSError:
            raise Http404 from None


class Captured(CapturedPage):
    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        mail = self.mail(number)
        revealed = revealing.revealed(request, self.visit, mail.message_id)
        context = {"mail": mail, "revealed": revealed, "subject": subjects(self.visit, [mail])[0]}
        if revealed:
            context |= _parts(self.parsed(mail), request.GET.get("part", ""))
        return self.render("dashboard/captured/mail.html", context)


def _parts(parsed: EmailMessage, asked: str) -> dict[str, Any]:
    """The part that is looked at: the one asked for, or the first there is."""
    bodies = {"html": parsed.get_body(("html",)), "text": parsed.get_body(("plain",))}
    there = [name for name, body in bodies.items() if body is not None] + ["headers"]
    part = asked if asked in there else there[0]
    text = bodies["text"]
    return {
        "parts": there,
        "part": part,
        "text": text.get_content() if text is not None and part == "text" else None,
        "headers": [(name, str(value)) for name, value in parsed.items()],
        "files": [(one.get_filename(), one.get_content_type()) for one in parsed.iter_attachments()],
    }


class CapturedBody(CapturedPage):
    """The HTML, for the frame."""

    def get(self, request: HttpRequest, number: int) -> HttpResponse:
        body = self.parsed(self.opened(request, number)).get_body(("html",))
        return framing.framed(body.get_content() if body else "")


class CapturedSource(CapturedPage):
    def get(self, request: HttpRequest, number: int) -> HttpResponseBase:
        try:
            return framing.plain(content.read(self.opened(request, number).path, framing.LARGEST_SHOWN))
        except OSError:
            raise Http404 from None


class CapturedReveal(CapturedPage):
    actions = {"POST": "messages.reveal"}

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        mail = self.mail(number)
        revealing.reveal(request, self.visit, mail.message_id)
        messages.success(request, _("Shown. The audit log has an entry of it."))
        return self.to("captured", mail.pk)


urlpatterns = [
    path("inbox", Inbox.as_view(), name="inbox"),
    path("inbox/<int:number>", Captured.as_view(), name="captured"),
    path("inbox/<int:number>/body", CapturedBody.as_view(), name="captured-body"),
    path("inbox/<int:number>/source", CapturedSource.as_view(), name="captured-source"),
    path("inbox/<int:number>/reveal", CapturedReveal.as_view(), name="captured-reveal"),
]
