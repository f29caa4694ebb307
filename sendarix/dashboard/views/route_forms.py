"""The form of a route: what every kind has, and what its own kind says of its way. Secrets go in and never come out."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.models import Route, Tier
from messaging.routes import options, registry
from messaging.views.routing_shapes import RouteChangesShape, read_route
from sendarix.accounts.audit import Actor
from sendarix.core import shapes
from sendarix.core.errors import ApiError
from sendarix.dashboard import wording
from sendarix.dashboard.forms import TIERS, NumbersField, refuse

KINDS = {
    "smtp": (wording.ROUTE_KINDS["smtp"], gettext_lazy("A mail server that takes all your mail, by SMTP.")),
    "provider": (
        wording.ROUTE_KINDS["provider"],
        gettext_lazy("Postmark, SendGrid, Mailgun, Brevo and others, by their API."),
    ),
    "mx": (wording.ROUTE_KINDS["mx"], gettext_lazy("The recipients' own mail servers.")),
    "inbox": (wording.ROUTE_KINDS["inbox"], gettext_lazy("Captured and shown in the inbox; nothing leaves.")),
    "sandbox": (wording.ROUTE_KINDS["sandbox"], gettext_lazy("Made-up outcomes, for trying out.")),
}

TLS = (
    ("opportunistic", gettext_lazy("When offered")),
    ("required", gettext_lazy("Required (STARTTLS)")),
    ("implicit", gettext_lazy("From the first byte (port 465)")),
    ("none", gettext_lazy("Never")),
)
VERIFY = (
    ("", gettext_lazy("Where TLS is required")),
    ("yes", gettext_lazy("Always")),
    ("no", gettext_lazy("Never")),
)

PATHS = {"options.settings": "settings", "warmup.daily": "warmup_daily", "warmup.starts_on": "warmup_starts_on"} | {
    f"options.{name}": name for name in ("host", "port", "tls", "verify", "username", "password", "helo", "backend")
}
"""Which field of the form a fault speaks of."""


class RouteForm(forms.Form):
    """Of one kind. With a route it changes that one: secrets left empty stay as they are."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    weight = forms.IntegerField(
        label=gettext_lazy("Weight"),
        min_value=0,
        max_value=1000,
        initial=100,
        help_text=gettext_lazy("Its share among routes that may carry a message, before health."),
    )
    connections = forms.IntegerField(
        label=gettext_lazy("Connections"),
        min_value=1,
        max_value=200,
        initial=20,
        help_text=gettext_lazy("At once, for each destination and worker."),
    )
    per_minute = forms.IntegerField(
        label=gettext_lazy("Messages a minute"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("To each destination. Empty: no limit."),
    )
    per_day = forms.IntegerField(
        label=gettext_lazy("Messages a day"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("In all, by UTC. Empty: no limit."),
    )
    tiers = forms.MultipleChoiceField(
        label=gettext_lazy("Carries only"), choices=TIERS, required=False, widget=forms.CheckboxSelectMultiple
    )
    warmup_starts_on = forms.DateField(
        label=gettext_lazy("Warm-up begins"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    warmup_daily = NumbersField(
        label=gettext_lazy("Messages each day of it"),
        help_text=gettext_lazy("Like 500, 1000, 2000, 5000. Empty: no warm-up."),
    )

    def __init__(self, kind: str, *args: Any, route: Route | None = None, **kwargs: Any) -> None:
        self.kind, self.route = kind, route
        if route is not None:
            kwargs["initial"] = _initial(route) | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        getattr(self, f"_add_{kind}", lambda: None)()

    @property
    def way(self) -> list[forms.BoundField]:
        """The fields of its kind."""
        return [self[name] for name in self.fields if name not in self.base_fields]

    @property
    def common(self) -> list[forms.BoundField]:
        return [self[name] for name in ("weight", "connections", "per_minute", "per_day")]

    @property
    def warmup(self) -> list[forms.BoundField]:
        return [self["warmup_starts_on"], self["warmup_daily"]]

    def _add_smtp(self) -> None:
        kept = _("Empty: the one that is kept.") if self.route else ""
        self.fields |= {
            "host": forms.CharField(label=_("Host"), max_length=253),
            "port": forms.IntegerField(
                label=_("Port"),
                required=False,
                min_value=1,
                max_value=65_535,
                help_text=_("Empty: 25, or 465 with TLS from the first byte."),
            ),
            "tls": forms.ChoiceField(label=_("TLS"), choices=TLS),
            "verify": forms.ChoiceField(label=_("Check the certificate"), choices=VERIFY, required=False),
            "username": forms.CharField(label=_("User name"), required=False, max_length=255),
            "password": forms.CharField(
                label=_("Password"),
                required=False,
                max_length=1024,
                strip=False,
                widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
                help_text=kept,
            ),
        }
        self._add_mx()

    def _add_mx(self) -> None:
        self.fields["helo"] = forms.CharField(
            label=_("Name in HELO"), required=False, max_length=253, help_text=_("Empty: the service's own name.")
        )

    def _add_provider(self) -> None:
        names = ", ".join(options.shown(self.route, own=True)["settings"]) if self.route else ""
        kept = _("Kept: %(names)s. Empty: they stay.") % {"names": names} if names else ""
        self.fields |= {
            "backend": forms.ChoiceField(
                label=_("Provider"), choices=[(name, name.replace("_", " ").title()) for name in options.BACKENDS]
            ),
            "settings": forms.CharField(
                label=_("Settings"),
                required=self.route is None,
                widget=forms.Textarea(
                    attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "placeholder": "api_key = …"}
                ),
                help_text=" ".join(
                    filter(None, (_("One a line, as api_key = …; kept encrypted and never shown."), kept))
                ),
            ),
        }

    def clean_settings(self) -> dict[str, str]:
        lines = [line for line in self.cleaned_data["settings"].splitlines() if line.strip()]
        parted = [line.partition("=") for line in lines]
        if any(not sign for _name, sign, _value in parted):
            raise forms.ValidationError(_("Write one setting a line, as name = value."))
        return {name.strip(): value.strip() for name, _sign, value in parted}

    def save(self, account_id: int | None, actor: Actor) -> Route | None:
        """The route as asked; None when it is refused, which the form then says."""
        if not self.is_valid():
            return None
        try:
            if self.route is None:
                asked, given = read_route(self._payload(), platform=account_id is None)
                fields = asked.model_dump(exclude={"kind", "options"})
                return registry.create(account_id, asked.kind, fields, given, actor)
            changes = shapes.validate(RouteChangesShape, {**self._common(), "options": self._options()})
            fields = changes.model_dump(exclude={"options"}, exclude_unset=True)
            return registry.update(self.route, fields, changes.options or None, actor)
        except ApiError as refused:
            refuse(self, refused, PATHS)
            return None

    def _payload(self) -> dict[str, Any]:
        said = {name: value for name, value in self._options().items() if value is not None}
        return {**self._common(), "kind": self.kind, "options": said}

    def _common(self) -> dict[str, Any]:
        found = self.cleaned_data
        starts, daily = found["warmup_starts_on"], found["warmup_daily"]
        warmup = {"starts_on": starts.isoformat() if starts else "", "daily": daily} if starts or daily else None
        names = ("name", "weight", "connections", "per_minute", "per_day", "tiers")
        return {**{name: found[name] for name in names}, "warmup": warmup}

    def _options(self) -> dict[str, Any]:
        """As the API takes them; null takes one away, a secret left empty is not said."""
        found = self.cleaned_data
        match self.kind:
            case "smtp":
                verify = {"yes": True, "no": False}.get(found["verify"])
                told = {name: found[name] or None for name in ("host", "port", "tls", "username", "helo")}
                secret = {"password": found["password"]} if found["password"] else {}
                return {**told, "verify": verify, **(secret if found["username"] else {"password": None})}
            case "mx":
                return {"helo": found["helo"] or None}
            case "provider":
                return {"backend": found["backend"], **({"settings": found["settings"]} if found["settings"] else {})}
        return {}


def _initial(route: Route) -> dict[str, Any]:
    told = {name: getattr(route, name) for name in ("name", "weight", "connections", "per_minute", "per_day")}
    warmup = route.warmup or {}
    verify = {True: "yes", False: "no"}.get(route.options.get("verify"), "")
    plain = {name: value for name, value in route.options.items() if name != "settings"}
    return {
        **plain,
        **told,
        "verify": verify,
        "tiers": [Tier(tier).label for tier in route.tiers],
        "warmup_starts_on": warmup.get("starts_on"),
        "warmup_daily": warmup.get("daily"),
    }
