"""What the pages' forms have in common: refusals of services shown at the fields they speak of, and fields that several pages ask
for: lists in one line, lengths of time, times in the account's zone."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.delivery.destinations import PROVIDERS
from sendarix.accounts.models import ApiKey
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.explaining import destination
from sendarix.dashboard.pages import Visit

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_parted = re.compile(r"[,;\s]+").split
_length = re.compile(r"(\d{1,9})\s*([smhd]?)", re.ASCII | re.IGNORECASE).fullmatch


def refuse(form: forms.Form, refused: ApiError, fields: Mapping[str, str] | None = None) -> None:
    """Put each fault of a service's refusal at the field of the form it speaks of, what fits none above them all. `fields` names
    the form's field of a path (`options.host`) or of its beginning (`warmup`), where the two differ."""
    for fault in refused.errors:
        name = _named(form, fault.field, fields or {})
        told = wording.said(fault.message)
        text = told if name or not fault.field else f"{fault.field}: {told}"
        form.add_error(name, text)
    if not refused.errors:
        form.add_error(None, wording.said(refused.message))


def _named(form: forms.Form, path: str, fields: Mapping[str, str]) -> str | None:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        known = ".".join(parts[:end])
        name = fields.get(known, known.replace(".", "_"))
        if name in form.fields:
            return name
    return None


def providers() -> list[tuple[str, str]]:
    """Groups of mailboxes as choices, by the names that people know."""
    return [(name, destination(name.title(), name)) for name in PROVIDERS]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those left empty; False and 0 are something."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def span(text: str) -> int:
    """A length of time as people write it (`90`, `30s`, `5m`, `2h`, `7d`) in seconds. Raises ValidationError."""
    found = _length(text.strip())
    if found is None:
        raise forms.ValidationError(
            _("Write a number with s, m, h or d, like 5m: %(text)s is none.") % {"text": text[:40]}
        )
    return int(found[1]) * _SECONDS[found[2].lower()]


def spanned(seconds: int) -> str:
    """As `span` reads it, in the largest unit that fits."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


class WordsField(forms.CharField):
    """A list in one line, parted by commas or blanks; with `commas` by commas only."""

    def __init__(self, *, commas: bool = False, **options: Any) -> None:
        self.commas = commas
        super().__init__(**{"required": False, "max_length": 20_000, **options})

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        parts = text.split(",") if self.commas else _parted(text)
        return [part.strip() for part in parts if part.strip()]


class NumbersField(WordsField):
    """Whole numbers in one line."""

    def clean(self, value: Any) -> list[Any]:
        words = super().clean(value)
        for word in words:
            if not (word.isascii() and word.isdecimal() and len(word) <= 10):
                raise forms.ValidationError(_("%(word)s is not a whole number.") % {"word": word[:40]})
        return [int(word) for word in words]


class SpanField(forms.CharField):
    """A length of time; cleaned to seconds, None when empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": 20, **options})

    def prepare_value(self, value: Any) -> Any:
        return spanned(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        return span(text) if text else None


class SpansField(WordsField):
    """Lengths of time in one line; cleaned to seconds."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(spanned(one) for one in value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[Any]:
        return [span(word) for word in super().clean(value)]


class LocalTimeField(forms.DateTimeField):
    """A time in the account's zone (`zone`, to be set by the form); cleaned to one with its zone. Years are those that ids and
    other zones can tell, too."""

    zone: str = "UTC"
    years = range(1971, 9999)

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(**{"required": False, "widget": widget, **options})

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(ZoneInfo(self.zone)) if isinstance(value, datetime) and value.tzinfo else value

    def to_python(self, value: Any) -> datetime | None:
        read = super().to_python(value)
        if read is None:
            return None
        if read.year not in self.years:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return read.replace(tzinfo=None).replace(tzinfo=ZoneInfo(self.zone))


TIERS = tuple(wording.TIERS.items())
ANY_TIER = (("", gettext_lazy("Any tier")), *TIERS)


def names_of_keys(visit: Visit, livemode: bool) -> dict[str, str]:
    """The API keys of an account and environment by id, as people know them, the newest first."""
    keys = ApiKey.objects.filter(account_id=visit.account.pk, livemode=livemode).order_by("-id")
    return {key.id: f"{key.name} (…{key.last4})" if key.name else f"…{key.last4}" for key in keys}
