"""The editor's form: one language of a version, with what belongs to the whole version beside the default language."""

import copy
import json
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import EmailTemplate, TemplateVersion
from messaging.templating.language import MAX_SOURCE
from messaging.templating.rendering import PARTS
from messaging.views.template_shapes import KEY, ContentShape
from sendarix.core import shapes, strictjson
from sendarix.core.errors import ApiError
from sendarix.dashboard.forms import refuse

LONGEST_DATA = 50_000
STARTS: dict[str, dict[str, str | None]] = {
    EmailTemplate.Kind.TEMPLATE: {"subject": "Hello {{ name }}", "html": "<h1>Hello {{ name }}</h1>\n<p>…</p>\n"},
    EmailTemplate.Kind.LAYOUT: {"html": "<html>\n<body>\n{{ content }}\n</body>\n</html>\n", "text": "{{ content }}\n"},
    EmailTemplate.Kind.PARTIAL: {"html": "<p>…</p>\n", "text": "…\n"},
}
"""What a new one begins with."""


class NewForm(forms.Form):
    key = forms.RegexField(
        KEY,
        label=gettext_lazy("Key"),
        max_length=100,
        help_text=gettext_lazy("What messages call it: letters, digits, - and _."),
        widget=forms.TextInput(attrs={"placeholder": "order-receipt", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[
            ("template", gettext_lazy("Template: a message")),
            ("layout", gettext_lazy("Layout: the frame of messages")),
            ("partial", gettext_lazy("Partial: a piece that others include")),
        ],
    )


class JsonField(forms.CharField):
    """A JSON text; cleaned to its value, `empty` when there is none."""

    def __init__(self, *, kind: type, **options: Any) -> None:
        self.kind = kind
        widget = forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "code low"})
        super().__init__(**{"required": False, "max_length": LONGEST_DATA, "widget": widget, **options})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            read = strictjson.loads(text.encode()) if text.strip() else self.kind()
        except strictjson.JsonError as error:
            raise forms.ValidationError(_("Not JSON: %(why)s") % {"why": error}) from None
        if not isinstance(read, self.kind):
            raise forms.ValidationError(_("Must be a JSON list.") if self.kind is list else _("Must be a JSON object."))
        return read


class SourceField(forms.CharField):
    """A part of a template. Browsers send lines that end in CRLF, whatever they were."""

    def __init__(self, rows: int, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "class": "code"})
        super().__init__(required=False, max_length=MAX_SOURCE, widget=widget, strip=False, **options)

    def to_python(self, value: Any) -> str:
        return super().to_python(value).replace("\r\n", "\n")


class EditorForm(forms.Form):
    subject = forms.CharField(label=gettext_lazy("Subject"), required=False, max_length=4_000)
    html = SourceField(18, label=gettext_lazy("HTML"))
    text = SourceField(8, label=gettext_lazy("Text"))
    layout = forms.ChoiceField(label=gettext_lazy("Layout"), required=False)
    sender = forms.CharField(
        label=gettext_lazy("From"), required=False, max_length=1_000,
        help_text=gettext_lazy("Of messages that name no sender."),
    )  # fmt: skip
    default_locale = forms.CharField(
        label=gettext_lazy("Language"), required=False, max_length=20, help_text=gettext_lazy("Like en or ko-KR.")
    )
    variables = JsonField(
        kind=list,
        label=gettext_lazy("Declared variables"),
        help_text=gettext_lazy('A list like [{"name": "code", "type": "string", "sensitive": true}].'),
    )
    data = JsonField(kind=dict, label=gettext_lazy("Sample data"))
    seen = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def __init__(
        self,
        template: EmailTemplate,
        version: TemplateVersion,
        locale: str,
        layouts: list[str],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.template, self.version, self.locale = template, version, locale
        whole = ("layout", "sender", "default_locale", "variables")
        dropped: tuple[str, ...] = whole if locale else ()
        if template.kind != EmailTemplate.Kind.TEMPLATE:
            dropped = (*dropped, "subject", "layout", "sender", "variables")
        for name in set(dropped):
            del self.fields[name]
        if "layout" in self.fields:
            self.fields["layout"].choices = [("", _("None")), *((key, key) for key in layouts)]

    def content(self) -> dict[str, Any] | None:
        """The changes as a version stores them; None when something is wrong, and the form says what."""
        if not self.is_valid():
            return None
        try:
            return shapes.validate(ContentShape, self._asked()).content()
        except ApiError as refused:
            self.refuse(refused)
            return None

    def refuse(self, refused: ApiError) -> None:
        own = {f"variants.{self.locale}.{part}": part for part in PARTS} if self.locale else {}
        refuse(self, refused, {"from": "sender", "template_data": "data", **own})

    def draft(self, content: dict[str, Any]) -> TemplateVersion:
        """The version as it would be with these changes; not stored."""
        made = copy.copy(self.version)
        for name, value in content.items():
            setattr(made, name, value)
        return made

    def _asked(self) -> dict[str, Any]:
        given = self.cleaned_data
        parts = {part: given[part] or None for part in PARTS if part in given}
        if self.locale:
            return {"variants": {**self.version.variants, self.locale: parts}}
        names = {"layout": "layout", "sender": "from", "default_locale": "default_locale"}
        asked = parts | {there: given[name] or None for name, there in names.items() if name in given}
        return asked | ({"variables": given["variables"]} if "variables" in given else {})


def initial(version: TemplateVersion, locale: str) -> dict[str, Any]:
    """What the editor begins with."""
    parts = version.variants.get(locale, {}) if locale else {part: getattr(version, part) for part in PARTS}
    declared = [_declared(one) for one in version.variables]
    return {
        **{part: parts.get(part) or "" for part in PARTS},
        "layout": version.layout or "",
        "sender": version.default_sender,
        "default_locale": version.default_locale or "",
        "variables": json.dumps(declared, indent=2, ensure_ascii=False) if declared else "",
        "seen": version.updated_at.isoformat(),
    }


def _declared(stored: dict[str, Any]) -> dict[str, Any]:
    """A variable without what goes without saying."""
    silent = {"required": stored["default"] is None, "default": None, "sensitive": False, "description": ""}
    return {name: value for name, value in stored.items() if name not in silent or value != silent[name]}
