"""The form that holds mail back, of an account's queue page and of the platform's."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.alerts import acting
from messaging.delivery.destinations import PROVIDERS
from messaging.models import QueuePause, Route, Tier
from messaging.queues import pauses
from messaging.views.queue_shapes import PauseShape
from sendarix.accounts.audit import Actor
from sendarix.core import shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.forms import ANY_TIER, LocalTimeField, given, refuse

LASTING = (
    ("", gettext_lazy("Until somebody resumes it")),
    ("900", gettext_lazy("15 minutes")),
    ("3600", gettext_lazy("1 hour")),
    ("14400", gettext_lazy("4 hours")),
    ("86400", gettext_lazy("1 day")),
    ("until", gettext_lazy("Until a time of its own")),
)


class PauseForm(forms.Form):
    """Which mail is held back, why and until when."""

    tier = forms.ChoiceField(label=gettext_lazy("Tier"), choices=ANY_TIER, required=False)
    destination = forms.CharField(
        label=gettext_lazy("Destination"),
        required=False,
        max_length=253,
        help_text=format_lazy("{} {}", gettext_lazy("A domain, or a provider:"), ", ".join(PROVIDERS)),
    )
    route = forms.ChoiceField(label=gettext_lazy("Route"), required=False)
    key = forms.ChoiceField(label=gettext_lazy("API key"), required=False)
    all = forms.BooleanField(label=gettext_lazy("All mail"), required=False)
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=200, help_text=gettext_lazy("Shown with each message that waits.")
    )
    lasts = forms.ChoiceField(label=gettext_lazy("Ends"), choices=LASTING, required=False)
    until = LocalTimeField(label=gettext_lazy("At"))

    def __init__(self, routes: Iterable[Route], keys: Mapping[str, str], zone: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].choices = [("", _("Any key")), *keys.items()]
        self.fields["route"].choices = [("", _("Any route")), *((route.id, route.name) for route in routes)]
        self.fields["until"].zone = zone
        self.fields["until"].help_text = _("In the zone %(zone)s; only with a time of its own.") % {"zone": zone}
        self.fields["destination"].widget.attrs |= {"list": "destinations", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("lasts") == "until" and not found.get("until") and "until" not in self.errors:
            self.add_error("until", _("Say when it ends."))
        return found

    def ends_at(self) -> datetime | None:
        lasts = self.cleaned_data["lasts"]
        if lasts == "until":
            return self.cleaned_data["until"]
        return timezone.now() + timedelta(seconds=int(lasts)) if lasts else None

    def pause(self, account_id: int | None, actor: Actor) -> QueuePause | None:
        """The pause asked for, of the account or (None) of the platform; None when it is refused, which the form then says."""
        if not self.is_valid():
            return None
        asked = given({name: self.cleaned_data[name] for name in ("tier", "destination", "route", "key", "reason")})
        if self.cleaned_data["all"]:
            asked["all"] = True
        if ends_at := self.ends_at():
            asked["expires_at"] = ends_at
        try:
            shape = shapes.validate(PauseShape, asked)
            return pauses.pause(account_id, shape.conditions, shape.reason, shape.ends_at, actor)
        except ApiError as refused:
            refuse(self, refused, {"expires_at": "until"})
            return None


def told(found: Iterable[QueuePause], keys: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Pauses as pages list them; `keys` are the names of API keys by id. Reasons are people's own words, but for alerts'."""
    keys = keys or {}
    return [
        {
            "pause": one,
            "tier": None if one.tier is None else Tier(one.tier).label,
            "everything": one.tier is None and not (one.destination or one.route_id or one.key_id),
            "key": keys.get(one.key_id or "", one.key_id),
            "reason": wording.said(one.reason) if one.actor == acting.ACTOR else one.reason,
        }
        for one in found
    ]
