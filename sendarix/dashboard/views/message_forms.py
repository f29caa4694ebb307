"""The forms beside a message."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from messaging.serializers import scheduling_fault
from sendarix.dashboard.forms import LocalTimeField
from sendarix.dashboard.pages import Visit


class RescheduleForm(forms.Form):
    at = LocalTimeField(label=gettext_lazy("Leaves at"), required=True)

    def __init__(self, visit: Visit, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = visit.account.timezone
        self.fields["at"].zone = zone
        self.fields["at"].help_text = zone

    def clean_at(self) -> datetime:
        at = self.cleaned_data["at"].astimezone(UTC)
        if wrong := scheduling_fault(at, datetime.now(UTC)):
            raise forms.ValidationError(wrong[1])
        return at
