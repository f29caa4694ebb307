"""Erasing an address for good: asked on a page of its own, where the address has to be typed again."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.keeping import erasure
from sendarix.core import addresses
from sendarix.dashboard.pages import Page


class EraseForm(forms.Form):
    address = forms.CharField(
        label=gettext_lazy("The address"),
        max_length=320,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    again = forms.CharField(
        label=gettext_lazy("The address once more"),
        max_length=320,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    forget_suppression = forms.BooleanField(
        label=gettext_lazy("Forget its suppression too: mail to it may leave again"), required=False
    )

    def clean(self) -> None:
        first, again = (addresses.matching(self.cleaned_data.get(name, "")) for name in ("address", "again"))
        if not first:
            self.add_error("address", _("This is not one e-mail address."))
        elif first != again:
            self.add_error("again", _("This is not the same address."))


class Erase(Page):
    actions = {"GET": "suppressions.erase", "POST": "suppressions.erase"}
    section = "suppressions"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.render("dashboard/suppressions/erase.html", {"form": EraseForm(initial=request.GET.dict())})

    def post(self, request: HttpRequest) -> HttpResponse:
        form = EraseForm(request.POST)
        if not form.is_valid():
            return self.render("dashboard/suppressions/erase.html", {"form": form}, 422)
        told, visit = form.cleaned_data, self.visit
        done = erasure.erase(visit.account.pk, told["address"], visit.actor, told["forget_suppression"])
        if done.left:
            messages.warning(
                request, _("%(count)s messages are being sent now: erase again in a minute.") % {"count": done.left}
            )
        else:
            messages.success(request, _("Every trace of the address is masked. The audit log says how much."))
        return self.to("suppressions")


urlpatterns = [path("suppressions/erase", Erase.as_view(), name="erase")]
