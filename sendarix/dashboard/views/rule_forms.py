"""The form of one routing rule, and the list of them as it travels through the editor: nothing is kept between two looks at it,
so that it works without scripts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Route
from sendarix.core.errors import ValidationFailed
from sendarix.dashboard import wording
from sendarix.dashboard.forms import TIERS, WordsField, given, providers

ACTIONS = (
    ("routes", gettext_lazy("Send by routes")),
    ("hold", gettext_lazy("Hold")),
    ("reject", gettext_lazy("Reject")),
)
MOST_CANDIDATES = 20
LISTS = ("domains", "providers", "tiers", "templates", "tags", "sender_domains", "keys")
SIZES = ("larger_than", "smaller_than")


class RuleForm(forms.Form):
    """Conditions, and what becomes of a message. Its candidates are as many pairs of fields as are filled, and one more."""

    id = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)
    order = forms.IntegerField(label=gettext_lazy("Number"), required=False, min_value=0, max_value=10_000)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    enabled = forms.BooleanField(label=gettext_lazy("In use"), required=False, initial=True)
    tiers = forms.MultipleChoiceField(
        label=gettext_lazy("Tiers"), choices=TIERS, required=False, widget=forms.CheckboxSelectMultiple
    )
    providers = forms.MultipleChoiceField(
        label=gettext_lazy("Recipient's provider"),
        choices=providers,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    domains = WordsField(label=gettext_lazy("Recipient's domain"))
    templates = WordsField(label=gettext_lazy("Template"), commas=True)
    tags = WordsField(label=gettext_lazy("Tag"), commas=True)
    sender_domains = WordsField(label=gettext_lazy("Sender's domain"))
    keys = WordsField(label=gettext_lazy("API key"))
    larger_than = forms.IntegerField(label=gettext_lazy("Larger than (bytes)"), required=False, min_value=0)
    smaller_than = forms.IntegerField(label=gettext_lazy("Smaller than (bytes)"), required=False, min_value=1)
    action = forms.ChoiceField(label=gettext_lazy("Then"), choices=ACTIONS, initial="routes")
    reason = forms.CharField(
        label=gettext_lazy("Reason"), required=False, max_length=200, help_text=gettext_lazy("To hold or to reject.")
    )
    seconds = forms.IntegerField(
        label=gettext_lazy("Ask again after (seconds)"), required=False, min_value=1, max_value=86_400, initial=60
    )

    def __init__(self, routes: Iterable[Route], counts: Mapping[str, int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choices = [("", "–"), *((route.id, route.name) for route in routes)]
        self.counts = counts
        for stage, count in counts.items():
            for number in range(count):
                self.fields[f"{stage}{number}"] = forms.ChoiceField(
                    label=_("Route"), choices=self.choices, required=False
                )
                self.fields[f"{stage}{number}_weight"] = forms.IntegerField(
                    label=_("Weight"), required=False, min_value=0, max_value=1000, initial=100
                )

    def _pairs(self, stage: str) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [(self[f"{stage}{n}"], self[f"{stage}{n}_weight"]) for n in range(self.counts[stage])]

    @property
    def candidates(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return self._pairs("route")

    @property
    def fallback(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return self._pairs("fallback")

    @property
    def more(self) -> list[forms.BoundField]:
        return [self[name] for name in ("domains", "templates", "tags", "sender_domains", "keys", *SIZES)]

    def payload(self) -> dict[str, Any]:
        """As the API takes it; only of a valid form."""
        found = self.cleaned_data
        rule = {
            "name": found["name"],
            "enabled": found["enabled"],
            "when": given({name: found[name] for name in (*LISTS, *SIZES)}),
            "then": self._then(),
        }
        return {**rule, "id": found["id"]} if found["id"] else rule

    def _then(self) -> dict[str, Any]:
        found = self.cleaned_data
        match found["action"]:
            case "hold":
                return {"hold": given({"reason": found["reason"], "seconds": found["seconds"]})}
            case "reject":
                return {"reject": given({"reason": found["reason"]})}
        fallback = self._chosen("fallback")
        return {"routes": self._chosen("route"), **({"fallback": fallback} if fallback else {})}

    def _chosen(self, stage: str) -> list[dict[str, Any]]:
        chosen = []
        for number in range(self.counts[stage]):
            if route := self.cleaned_data[f"{stage}{number}"]:
                weight = self.cleaned_data[f"{stage}{number}_weight"]
                chosen.append({"route": route, "weight": 100 if weight is None else weight})
        return chosen

    def refuse(self, path: str, text: str) -> None:
        """Put a fault of this rule (`when.tags.0`, `then.hold.reason`) at its field."""
        parts = path.split(".")
        name = next((part for part in parts if part in self.fields), None)
        self.add_error(name, text if name or parts[0] == "then" else f"{path}: {text}")


class Editor:
    """The rules being edited. `prefixes` give their order: each form carries its own, wherever it stands."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes
        self.forms: list[RuleForm] = []

    @classmethod
    def of(cls, rules: Iterable[Mapping[str, Any]], routes: Sequence[Route]) -> "Editor":
        """To begin with stored rules."""
        made = cls(routes)
        for number, rule in enumerate(rules):
            made.forms.append(made._form(f"r{number}", _initial(rule, number + 1)))
        return made

    @classmethod
    def sent(cls, data: QueryDict, routes: Sequence[Route], *, bound: bool) -> "Editor":
        """As it came back, in the order of its numbers. Bound forms are to be saved, unbound ones to be shown again."""
        made = cls(routes)
        prefixes = [one for one in dict.fromkeys(data.getlist("rule")) if len(one) <= 12][:500]
        places = {one: _place(data.get(f"{one}-order"), number) for number, one in enumerate(prefixes, 1)}
        for prefix in sorted(prefixes, key=lambda one: places[one]):
            form = RuleForm(routes, _counts(data, prefix), data, prefix=prefix)
            if not bound:
                raw = {
                    name: field.widget.value_from_datadict(data, {}, form.add_prefix(name))
                    for name, field in form.fields.items()
                }
                form = made._form(prefix, raw)
            made.forms.append(form)
        return made

    def change(self, what: str) -> None:
        """`up:PREFIX`, `down:PREFIX`, `remove:PREFIX`, `add`, or `order` (only sort)."""
        verb, _sign, prefix = what.partition(":")
        place = next((n for n, form in enumerate(self.forms) if form.prefix == prefix), None)
        if verb == "add":
            taken = {form.prefix for form in self.forms}
            fresh = next(f"r{n}" for n in range(1000) if f"r{n}" not in taken)
            self.forms.append(self._form(fresh, {"enabled": True, "action": "routes"}))
        elif place is not None and verb == "remove":
            del self.forms[place]
        elif place is not None and verb in ("up", "down"):
            to = max(0, min(len(self.forms) - 1, place + (1 if verb == "down" else -1)))
            self.forms.insert(to, self.forms.pop(place))
        for number, form in enumerate(self.forms, 1):
            form.initial["order"] = number

    def payload(self) -> list[dict[str, Any]] | None:
        """The rules as the API takes them; None when a form has faults."""
        valid = [form.is_valid() for form in self.forms]
        return [form.payload() for form in self.forms] if all(valid) else None

    def refuse(self, refused: ValidationFailed) -> list[str]:
        """Put the faults at the rules they speak of; returns those of none."""
        rest = []
        for fault in refused.errors:
            parts = fault.field.split(".", 2)
            if parts[0] == "rules" and len(parts) > 1 and parts[1].isdecimal():
                self.forms[int(parts[1])].refuse(parts[2] if len(parts) > 2 else "", wording.said(fault.message))
            else:
                rest.append(f"{fault.field}: {wording.said(fault.message)}")
        return rest

    def _form(self, prefix: str, initial: dict[str, Any]) -> RuleForm:
        counts = {}
        for stage, least in (("route", 2), ("fallback", 1)):
            filled = [n for n in range(MOST_CANDIDATES) if initial.get(f"{stage}{n}")]
            counts[stage] = min(MOST_CANDIDATES, max([least, *(n + 2 for n in filled)]))
        return RuleForm(self.routes, counts, initial=initial, prefix=prefix)


def _place(text: str | None, number: int) -> tuple[float, int]:
    """By the number that was written, those without one where they were."""
    written = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else number
    return written, number


def _counts(data: QueryDict, prefix: str) -> dict[str, int]:
    return {
        stage: sum(f"{prefix}-{stage}{n}" in data for n in range(MOST_CANDIDATES)) for stage in ("route", "fallback")
    }


def _initial(rule: Mapping[str, Any], number: int) -> dict[str, Any]:
    then = rule["then"]
    action = next((name for name in ("hold", "reject") if name in then), "routes")
    found = {
        "id": rule["id"],
        "order": number,
        "name": rule["name"],
        "enabled": rule.get("enabled", True),
        "action": action,
        **rule["when"],
        **(then[action] if action != "routes" else {}),
    }
    for stage, name in (("route", "routes"), ("fallback", "fallback")):
        for place, one in enumerate(then.get(name, ())):
            found |= {f"{stage}{place}": one["route"], f"{stage}{place}_weight": one.get("weight", 100)}
    return found
