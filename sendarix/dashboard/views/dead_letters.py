"""Dead letters: what delivery gave up on, by cause; queued again one by one or many, counted first."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging import actions, queries
from messaging.models import DeadLetter
from sendarix.accounts import audit
from sendarix.core import addresses, pagination
from sendarix.core.times import zulu
from sendarix.dashboard import wording
from sendarix.dashboard.forms import LocalTimeField, given
from sendarix.dashboard.pages import Page, Visit

SHOWN = 25


class Narrowed(forms.Form):
    """Which of them: every field given must hold."""

    cause = forms.ChoiceField(label=gettext_lazy("Cause"), required=False)
    recipient = forms.CharField(label=gettext_lazy("Recipient"), required=False, max_length=320)
    created_after = LocalTimeField(label=gettext_lazy("Received since"))
    created_before = LocalTimeField(label=gettext_lazy("Received before"))

    def __init__(self, visit: Visit, causes: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._visit = visit
        names = [(one["cause"], wording.cause(one["cause"])) for one in causes]
        self.fields["cause"].choices = [("", _("All causes")), *names]
        for name in ("created_after", "created_before"):
            self.fields[name].zone = visit.account.timezone

    def clean_recipient(self) -> str:
        text = self.cleaned_data["recipient"]
        if text and not addresses.matching(text):
            raise forms.ValidationError(_("This is not an e-mail address."))
        return text

    def letters(self) -> QuerySet[DeadLetter]:
        """Those that match, newest first; none of a form that is wrong."""
        if not self.is_valid():
            return queries.dead_letters(self._visit.caller, None).none()
        return queries.dead_letters_of(self._visit.caller, **given(self.cleaned_data))

    def told(self) -> dict[str, Any]:
        """The filter as the audit log keeps it."""
        asked = given(self.cleaned_data)
        return {name: zulu(value) if isinstance(value, datetime) else value for name, value in asked.items()}


class DeadLetters(Page):
    actions = {"GET": "messages.view"}
    section = "dead-letters"

    def get(self, request: HttpRequest) -> HttpResponse:
        causes = queries.causes_of_death(self.visit.caller)
        form = Narrowed(self.visit, causes, request.GET)
        found = form.letters()
        if cursor := request.GET.get("cursor"):
            found = found.filter(message_id__lt=pagination.decode_cursor(cursor, 1)[0])
        rows = list(found[: SHOWN + 1])
        context = {
            "form": form,
            "causes": [{**one, "oldest": _at(one["oldest"]), "newest": _at(one["newest"])} for one in causes],
            "total": sum(one["count"] for one in causes),
            "letters": rows[:SHOWN],
            "next_cursor": pagination.encode_cursor(rows[SHOWN - 1].message_id) if len(rows) > SHOWN else None,
        }
        return self.render("dashboard/dead_letters/list.html", context, 200 if form.is_valid() else 422)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Redrive(Page):
    """GET counts what would be queued again, POST does it: those picked, or all that match."""

    actions = {"GET": "messages.act", "POST": "messages.act"}
    section = "dead-letters"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._preview(request.GET)

    def post(self, request: HttpRequest) -> HttpResponse:
        form, found, picked = self._asked(request.POST)
        if not form.is_valid() or request.POST.get("expected") != str(found.count()):
            messages.error(request, _("Other messages match by now. Look at the count again."))
            return self._preview(request.POST, 422)
        with transaction.atomic():
            done = actions.redrive(found, datetime.now(UTC))
            told = {"ids": picked[:50]} if picked else {"filter": form.told()}
            audit.record(self.visit.actor, "dead_letters.redriven", "dead-letters", after={**told, "count": len(done)})
        words = ngettext("%(count)s message is queued again.", "%(count)s messages are queued again.", len(done))
        messages.success(request, words % {"count": f"{len(done):,}"})
        return self.to("dead-letters")

    def _asked(self, given: Any) -> tuple[Narrowed, QuerySet[DeadLetter], list[str]]:
        """With ids, or when those picked were asked for, never all that match."""
        form = Narrowed(self.visit, queries.causes_of_death(self.visit.caller), given)
        picked = [text for text in given.getlist("id") if "\x00" not in text][: actions.MOST_REDRIVEN]
        found = form.letters()
        if not {"id", "picked"} & set(given):
            return form, found, []
        found = found.filter(message_id__in=picked)
        if form.is_valid() and not found.exists():
            form.add_error(
                None, _("None of the ticked messages is a dead letter.") if picked else _("Tick at least one message.")
            )
        return form, found, picked

    def _preview(self, given: Any, status: int = 200) -> HttpResponse:
        form, found, picked = self._asked(given)
        count = found.count()
        context = {
            "form": form,
            "picked": picked,
            "count": count,
            "now": min(count, actions.MOST_REDRIVEN),
            "redacted": found.exclude(message__content__redacted_at=None).count(),
            "sample": found[:5],
        }
        return self.render("dashboard/dead_letters/redrive.html", context, status if form.is_valid() else 422)


urlpatterns = [
    path("dead-letters", DeadLetters.as_view(), name="dead-letters"),
    path("dead-letters/redrive", Redrive.as_view(), name="dead-letters-redrive"),
]
