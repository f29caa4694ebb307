"""Settings of the account: name, default sender, time zone, how long sensitive bodies stay; its plan and limits to be read."""

from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.accounts import provisioning, rate
from sendarix.accounts.models import Account
from sendarix.accounts.provisioning import AccountFault
from sendarix.dashboard import wording
from sendarix.dashboard.forms import SpanField
from sendarix.dashboard.pages import Page

ZONES = sorted(
    zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/"))
)


class SettingsForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name of the account"), max_length=200)
    default_sender = forms.CharField(
        label=gettext_lazy("Default sender"),
        required=False,
        max_length=400,
        help_text=gettext_lazy("An address, or Name <address>; of messages and keys that name none."),
    )
    timezone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        help_text=gettext_lazy("Of all times on these pages; the exact one in UTC is shown on hover."),
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )
    redact_after = SpanField(
        label=gettext_lazy("Sensitive bodies stay for"),
        required=True,
        help_text=gettext_lazy("Once sent, like 30m, 24h or 7d; then their sensitive values are masked for good."),
    )

    keep_bodies = forms.IntegerField(
        label=gettext_lazy("Days that bodies are kept"),
        min_value=1,
        max_value=provisioning.LONGEST,
        help_text=gettext_lazy("With their files, since acceptance; not longer than their messages."),
    )
    keep_messages = forms.IntegerField(
        label=gettext_lazy("Days that messages are kept"),
        min_value=1,
        max_value=provisioning.LONGEST,
        help_text=gettext_lazy("With their events and tries."),
    )
    keep_requests = forms.IntegerField(
        label=gettext_lazy("Days that the request log is kept"), min_value=1, max_value=provisioning.LONGEST
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("keep_bodies", 0) > found.get("keep_messages", provisioning.LONGEST):
            self.add_error("keep_bodies", _("Bodies can't be kept longer than their messages."))
        return found

    def clean_timezone(self) -> str:
        zone = self.cleaned_data["timezone"].strip()
        if zone not in available_timezones():
            raise forms.ValidationError(_("There is no such time zone; pick one of the list, like Asia/Seoul."))
        return zone

    def clean_redact_after(self) -> timedelta:
        seconds = self.cleaned_data["redact_after"]
        if seconds > provisioning.LONGEST_KEPT.total_seconds():
            raise forms.ValidationError(_("At most %(days)s days.") % {"days": provisioning.LONGEST_KEPT.days})
        return timedelta(seconds=seconds)


def start(account: Account) -> dict[str, Any]:
    """What the form begins with."""
    return {name: getattr(account, name) for name in provisioning.SHOWN} | {
        "redact_after": round(account.redact_after.total_seconds())
    }


class Settings(Page):
    actions = {"GET": "settings.view", "POST": "settings.write"}
    section = "settings"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(SettingsForm(initial=start(self.visit.account)))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = SettingsForm(request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        try:
            provisioning.change_account(self.visit.account, form.cleaned_data, self.visit.actor)
        except AccountFault as fault:
            form.add_error("default_sender", wording.said(str(fault)))
            return self._show(form, 422)
        messages.success(request, _("The settings are saved."))
        return self.to("settings")

    def _show(self, form: SettingsForm, status: int = 200) -> HttpResponse:
        account = self.visit.account
        context = {
            "form": form,
            "zones": ZONES,
            "limit": rate.limit_of(account),
            "used": rate.used(account),
            "own_limit": account.rate_limit is not None,
        }
        return self.render("dashboard/settings.html", context, status)


urlpatterns = [path("settings", Settings.as_view(), name="settings")]
