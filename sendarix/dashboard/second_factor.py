"""The second factor: an authenticator app as django-otp checks it, and recovery codes."""

import math
from collections.abc import Iterable
from typing import Any

import segno
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View
from django.views.decorators.cache import never_cache
from django_otp import devices_for_user, match_token, user_has_device
from django_otp import login as otp_login
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from sendarix.accounts.models import User

RECOVERY_CODES = 8
BEGUN = "second_factor_begun"
"""Of a session: the device that it is setting up."""


class TokenForm(forms.Form):
    token = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=16,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


class ReplaceForm(TokenForm):
    """A session left open must not be enough to put another app in the place of the one there is."""

    current = forms.CharField(
        label=gettext_lazy("Code of the app you have, or a recovery code"),
        max_length=16,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    field_order = ["current", "token"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["token"].label = _("Code of the new app")
        del self.fields["token"].widget.attrs["autofocus"]


@method_decorator([login_required, never_cache], name="dispatch")
class SecondFactor(View):
    """Asks who has a device for its code, or a recovery code. django-otp slows guessing down, device by device."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_verified() or not user_has_device(request.user):
            return redirect(onward(request))
        return self._show(request, TokenForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = TokenForm(request.POST)
        if device := _given(request, form, "token"):
            otp_login(request, device)
            return redirect(onward(request))
        return self._show(request, form, 422)

    def _show(self, request: HttpRequest, form: TokenForm, status: int = 200) -> HttpResponse:
        return render(request, "access/second_factor.html", {"form": form, "next": onward(request)}, status=status)


@method_decorator([login_required, never_cache], name="dispatch")
class SecondFactorSetup(View):
    """Adds an authenticator app: a secret as QR code, a code as proof, then recovery codes, shown once."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if must_verify(request):
            return redirect("second-factor")
        device, _anew = self._pending(request)
        return self._show(request, device, self._form(request))

    @transaction.atomic
    def post(self, request: HttpRequest) -> HttpResponse:
        device, anew = self._pending(request)
        if must_verify(request):
            return redirect("second-factor")
        form = self._form(request, request.POST)
        if anew:
            form.add_error(None, _("A set-up was begun elsewhere since: this is a new secret. Scan it again."))
        if form.is_valid() and self._proven(request, form, device):
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            TOTPDevice.objects.filter(user=request.user).exclude(pk=device.pk).delete()
            del request.session[BEGUN]
            otp_login(request, device)
            return render(request, "access/recovery_codes.html", {"codes": _recovery_codes(person(request))})
        return self._show(request, device, form, 422)

    def _proven(self, request: HttpRequest, form: TokenForm, device: TOTPDevice) -> bool:
        """Whether the codes fit. That of the app there is comes first, and is not used up by a wrong one of the new app."""
        if "current" not in form.fields:
            return self._fits(form, device)
        with transaction.atomic():
            current = _given(request, form, "current")
            fits = current is not None and self._fits(form, device)
            transaction.set_rollback(current is not None and not fits)
        return fits

    def _fits(self, form: TokenForm, device: TOTPDevice) -> bool:
        wait = _wait([device])
        fits: bool = device.verify_token(_code(form, "token"))
        if not fits:
            form.add_error("token", wait or _("This code does not fit. Check the clock of your phone."))
        return fits

    def _form(self, request: HttpRequest, *given: Any) -> TokenForm:
        return ReplaceForm(*given) if user_has_device(request.user) else TokenForm(*given)

    @transaction.atomic
    def _pending(self, request: HttpRequest) -> tuple[TOTPDevice, bool]:
        """The one that this session began, and whether it was begun just now. Those that others began end then: who saw
        their secrets must not have them confirmed by somebody else."""
        User.objects.select_for_update(no_key=True).get(pk=request.user.pk)
        pending = TOTPDevice.objects.filter(user=request.user, confirmed=False)
        device = pending.filter(pk=request.session.get(BEGUN)).first()
        anew = device is None
        if device is None:
            device = TOTPDevice.objects.create(user=request.user, confirmed=False, name="app")
            request.session[BEGUN] = device.pk
        pending.exclude(pk=device.pk).delete()
        return device, anew

    def _show(self, request: HttpRequest, device: TOTPDevice, form: TokenForm, status: int = 200) -> HttpResponse:
        picture = segno.make(device.config_url, error="m").svg_data_uri(scale=4, border=2, light="#fff")
        context = {
            "form": form,
            "picture": picture,
            "secret": _secret(device),
            "has_device": user_has_device(request.user),
        }
        return render(request, "access/second_factor_setup.html", context, status=status)


@method_decorator([login_required, never_cache], name="dispatch")
class SecondFactorOff(View):
    """Takes the second factor away again, by a code of now: a session left open is not enough."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if must_verify(request):
            return redirect("second-factor")
        return self._show(request, TokenForm()) if user_has_device(request.user) else redirect("profile")

    def post(self, request: HttpRequest) -> HttpResponse:
        if must_verify(request):
            return redirect("second-factor")
        form = TokenForm(request.POST)
        if not _given(request, form, "token"):
            return self._show(request, form, 422)
        TOTPDevice.objects.filter(user=request.user).delete()
        StaticDevice.objects.filter(user=request.user).delete()
        messages.success(request, _("The second factor is off."))
        return redirect("profile")

    def _show(self, request: HttpRequest, form: TokenForm, status: int = 200) -> HttpResponse:
        return render(request, "access/second_factor_off.html", {"form": form}, status=status)


def onward(request: HttpRequest) -> str:
    """Where the person was going, when that is a page of ours; else home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else str(reverse_lazy("home"))


def must_verify(request: HttpRequest) -> bool:
    return user_has_device(request.user) and not request.user.is_verified()


def end_set_ups(user: User) -> None:
    """Whoever knew the old password may have begun one."""
    TOTPDevice.objects.filter(user=user, confirmed=False).delete()


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("nobody is logged in")
    return request.user


def _code(form: TokenForm, field: str) -> str:
    return form.cleaned_data[field].replace(" ", "")


def _given(request: HttpRequest, form: TokenForm, field: str) -> Device | None:
    """The device whose code, or recovery code, stands in the field; else None and a fault of it."""
    if not form.is_valid():
        return None
    wait = _wait(devices_for_user(request.user))
    device = match_token(request.user, _code(form, field))
    if device is None:
        form.add_error(field, wait or _("This code is wrong, or was used before."))
    return device


def _wait(devices: Iterable[Device]) -> str:
    """What to say while one of them takes no code because wrong ones came before; empty when all do."""
    untils = [until for one in devices if (until := (one.verify_is_allowed()[1] or {}).get("locked_until"))]
    if not untils:
        return ""
    seconds = math.ceil((max(untils) - timezone.now()).total_seconds())
    return _("Too many wrong codes. Wait %(seconds)s s, then try again.") % {"seconds": max(seconds, 1)}


def _secret(device: TOTPDevice) -> str:
    """As authenticator apps want it typed: base32 in groups of four."""
    from_url = device.config_url.split("secret=")[1].split("&")[0]
    return " ".join(from_url[at : at + 4] for at in range(0, len(from_url), 4))


def _recovery_codes(user: User) -> list[str]:
    """Fresh ones; older ones end."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery")
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create([StaticToken(device=device, token=code) for code in codes])
    return codes
