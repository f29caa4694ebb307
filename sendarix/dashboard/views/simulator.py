"""The simulator: what routing would decide for a message, and on what grounds. Its question is in the address, to be shared."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import queries
from messaging.delivery import routebook
from messaging.routes import policies, simulation
from messaging.views.routing_shapes import SimulationShape
from sendarix.core import shapes
from sendarix.core.errors import ApiError, NotFound
from sendarix.dashboard.forms import TIERS, WordsField, given, providers, refuse
from sendarix.dashboard.pages import Page

PATHS = {"from": "sender", "priority": "tier"}


class SimulatorForm(forms.Form):
    """A message that exists, or one made up."""

    message_id = forms.CharField(
        label=gettext_lazy("Message"),
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"placeholder": "msg_…"}),
    )
    recipient = forms.CharField(label=gettext_lazy("Recipient"), required=False, max_length=320)
    tier = forms.ChoiceField(label=gettext_lazy("Tier"), choices=TIERS, required=False, initial="normal")
    template = forms.CharField(label=gettext_lazy("Template"), required=False, max_length=100)
    tags = WordsField(label=gettext_lazy("Tags"), commas=True)
    sender = forms.CharField(
        label=gettext_lazy("From"), required=False, max_length=320, help_text=gettext_lazy("Empty: the default sender.")
    )
    size = forms.IntegerField(label=gettext_lazy("Size (bytes)"), required=False, min_value=0)
    provider = forms.ChoiceField(label=gettext_lazy("Recipient's provider"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"].choices = [("", _("As its domain says")), *providers()]

    @property
    def made_up(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name != "message_id"]

    def question(self) -> SimulationShape | None:
        if not self.is_valid():
            return None
        found = self.cleaned_data
        if found["message_id"]:
            payload = {"message_id": found["message_id"].strip()}
        else:
            payload = given({name: found[name] for name in ("recipient", "template", "tags", "size", "provider")})
            payload |= given({"priority": found["tier"], "from": found["sender"]})
        try:
            return shapes.validate(SimulationShape, payload)
        except ApiError as refused:
            refuse(self, refused, PATHS)
            return None


class Simulator(Page):
    actions = {"GET": "routing.view"}
    section = "routing"

    def get(self, request: HttpRequest) -> HttpResponse:
        if not request.GET:
            return self._show(SimulatorForm())
        form = SimulatorForm(request.GET)
        asked = form.question()
        answer = self._answer(form, asked) if asked else None
        return self._show(form, answer, 200 if answer else 422)

    def _answer(self, form: SimulatorForm, asked: SimulationShape) -> dict[str, Any] | None:
        caller = self.visit.caller
        try:
            if asked.message_id is not None:
                facts = policies.facts_of(queries.one(caller, asked.message_id))
            else:
                facts = simulation.made_up(caller, **asked.model_dump(exclude={"message_id"}))
        except NotFound:
            form.add_error("message_id", _("There is no such message here."))
            return None
        return simulation.simulate(routebook.snapshot(), facts, datetime.now(UTC), asked.message_id or repr(facts))

    def _show(self, form: SimulatorForm, answer: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        context: dict[str, Any] = {"tab": "simulator", "form": form, "answer": answer}
        if answer:
            context |= {
                "until": datetime.fromisoformat(answer["until"]) if answer["until"] else None,
                "pacing": [one | {"ends_at": datetime.fromisoformat(one["ends_at"])} for one in answer["pacing"]],
            }
        return self.render("dashboard/routing/simulator.html", context, status)


urlpatterns = [path("routing/simulator", Simulator.as_view(), name="simulator")]
