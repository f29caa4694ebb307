"""Getting in: password, second factor, reset, invitation; Django's auth, django-axes and django-otp do the work."""

import hashlib
import time
from typing import Any
from urllib.parse import urlencode

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import SetPasswordForm
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_otp import login as otp_login
from django_otp import match_token, user_has_device
from django_otp.models import Device
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from sendarix.accounts import members, rate
from sendarix.accounts.models import Membership, User, Users
from sendarix.accounts.sources import client_address, network
from sendarix.dashboard.mailing import ResetForm

BACKEND = "django.contrib.auth.backends.ModelBackend"
RECOVERY_CODES = 8
BEGUN = "second_factor_begun"
"""Of a session: the device that it is setting up."""
RESETS_OF_SOURCE, RESETS_OF_ADDRESS = 30, 5
"""Mails with a link that are sent in an hour."""


def client_ip(request: HttpRequest) -> str | None:
    """The caller's address as the API sees it."""
    return client_address(request.META, settings.TRUSTED_PROXIES)


def guessing_from(request: HttpRequest) -> str | None:
    """Where a password is tried from: an address, of IPv6 the /64 that one host owns. Called by django-axes."""
    address = client_ip(request)
    return network(address) if address else None


def guessed_at(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Whose password is tried, in the one spelling that logins have, lest another one starts the count anew. Called by
    django-axes."""
    return Users.normalize((credentials or request.POST).get("username") or "")


def locked_out(
    request: HttpRequest, credentials: dict[str, Any] | None = None, *args: Any, **kwargs: Any
) -> HttpResponse:
    """Called by django-axes after too many wrong passwords."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    return render(request, "access/locked.html", {"minutes": minutes}, status=429)


@method_decorator(never_cache, name="dispatch")
class Login(views.LoginView):
    template_name = "access/login.html"
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        user = form.get_user()
        if user.language:
            response.set_cookie(settings.LANGUAGE_COOKIE_NAME, user.language, samesite="Lax")
        return response


class Reset(views.PasswordResetView):
    template_name = "access/reset.html"
    form_class = ResetForm
    success_url = reverse_lazy("password-reset-sent")

    def form_valid(self, form: Any) -> HttpResponse:
        """The answer is the same whether a mail leaves or not: too many asked for are not sent, and not told."""
        source = rate.bucket(client_ip(self.request))
        asked = hashlib.sha256(Users.normalize(form.cleaned_data["email"]).encode()).hexdigest()[:40]
        enough = rate.tries(f"reset:{source}") > RESETS_OF_SOURCE or rate.tries(f"reset:{asked}") > RESETS_OF_ADDRESS
        return HttpResponseRedirect(self.get_success_url()) if enough else super().form_valid(form)


class ResetSent(views.PasswordResetDoneView):
    template_name = "access/reset_sent.html"


class ResetConfirm(views.PasswordResetConfirmView):
    template_name = "access/reset_confirm.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("Your password is changed. Log in with it."))
        return super().form_valid(form)


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
            return redirect(_onward(request))
        return self._show(request, TokenForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        form = TokenForm(request.POST)
        if device := _given(request, form, "token"):
            otp_login(request, device)
            return redirect(_onward(request))
        return self._show(request, form, 422)

    def _show(self, request: HttpRequest, form: TokenForm, status: int = 200) -> HttpResponse:
        return render(request, "access/second_factor.html", {"form": form, "next": _onward(request)}, status=status)


@method_decorator([login_required, never_cache], name="dispatch")
class SecondFactorSetup(View):
    """Adds an authenticator app: a secret as QR code, a code as proof, then recovery codes, shown once."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if _must_verify(request):
            return redirect("second-factor")
        return self._show(request, self._pending(request), self._form(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        if _must_verify(request):
            return redirect("second-factor")
        device, form = self._pending(request), self._form(request, request.POST)
        if not form.is_valid():
            return self._show(request, device, form, 422)
        if not _fits(device, _code(form, "token")):
            form.add_error("token", _("This code does not fit. Check the clock of your phone."))
        elif "current" not in form.fields or _given(request, form, "current"):
            device.verify_token(_code(form, "token"))
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            TOTPDevice.objects.filter(user=request.user).exclude(pk=device.pk).delete()
            otp_login(request, device)
            return render(request, "access/recovery_codes.html", {"codes": _recovery_codes(_person(request))})
        return self._show(request, device, form, 422)

    def _form(self, request: HttpRequest, *given: Any) -> TokenForm:
        return ReplaceForm(*given) if user_has_device(request.user) else TokenForm(*given)

    def _pending(self, request: HttpRequest) -> TOTPDevice:
        """The one that this session has begun. One begun elsewhere goes: who saw its secret must not have it confirmed."""
        unconfirmed = TOTPDevice.objects.filter(user=request.user, confirmed=False)
        begun = unconfirmed.filter(pk=request.session.get(BEGUN)).first()
        if begun is None:
            unconfirmed.delete()
            begun = TOTPDevice.objects.create(user=request.user, confirmed=False, name="app")
            request.session[BEGUN] = begun.pk
        return begun

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
        if _must_verify(request):
            return redirect("second-factor")
        return self._show(request, TokenForm()) if user_has_device(request.user) else redirect("profile")

    def post(self, request: HttpRequest) -> HttpResponse:
        if _must_verify(request):
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


class JoinForm(SetPasswordForm):
    """Name and password of somebody who has no login yet."""

    name = forms.CharField(label=gettext_lazy("Your name"), max_length=150)
    field_order = ["name", "new_password1", "new_password2"]


@method_decorator(never_cache, name="dispatch")
class Join(View):
    """/invitations/TOKEN: who has a login joins with it, who has none makes one. Nothing happens on GET."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._answer(request, token)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._answer(request, token, act=True)

    def _answer(self, request: HttpRequest, token: str, act: bool = False) -> HttpResponse:
        try:
            asked = members.invitation(token)
        except members.MemberFault:
            return render(request, "access/invitation_gone.html", status=404)
        known = User.objects.filter(email=asked.email).first()
        if request.user.is_authenticated and request.user.email == asked.email:
            if _must_verify(request):
                return redirect(f"{reverse_lazy('second-factor')}?{urlencode({'next': request.path})}")
            return self._accept(request, token, _person(request)) if act else self._ask(request, asked)
        if known is not None:
            return self._ask(request, asked, other=True)
        form = JoinForm(User(email=asked.email), request.POST if act else None)
        if not (act and form.is_valid()):
            return self._ask(request, asked, form)
        try:
            user = User.objects.create_user(
                asked.email, form.cleaned_data["new_password1"], name=form.cleaned_data["name"]
            )
        except IntegrityError:  # the form was sent twice at once
            return self._ask(request, asked, other=True)
        login(request, user, BACKEND)
        return self._accept(request, token, user)

    def _ask(self, request: HttpRequest, asked: Any, form: JoinForm | None = None, other: bool = False) -> HttpResponse:
        context = {"invitation": asked, "form": form, "other": other}
        return render(request, "access/invitation.html", context, status=422 if form and form.is_bound else 200)

    def _accept(self, request: HttpRequest, token: str, user: User) -> HttpResponse:
        try:
            member = members.accept(token, user, client_ip(request) or "")
        except members.MemberFault:  # used up since it was looked at
            return render(request, "access/invitation_gone.html", status=404)
        return redirect("overview", member.account.slug, "live")


class ProfileForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        required=False,
        choices=[("", gettext_lazy("As the browser asks")), *settings.LANGUAGES],
    )

    class Meta:
        model = User
        fields = ["name", "language"]
        labels = {"name": gettext_lazy("Name")}


@method_decorator([login_required, never_cache], name="dispatch")
class Profile(View):
    """A person's own name, language, password and second factor."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if _must_verify(request):
            return redirect("second-factor")
        return self._show(request, ProfileForm(instance=_person(request)))

    def post(self, request: HttpRequest) -> HttpResponse:
        if _must_verify(request):
            return redirect("second-factor")
        form = ProfileForm(request.POST, instance=_person(request))
        if not form.is_valid():
            return self._show(request, form, 422)
        form.save()
        messages.success(request, _("Saved."))
        response = redirect("profile")
        _speak(response, form.cleaned_data["language"])
        return response

    def _show(self, request: HttpRequest, form: ProfileForm, status: int = 200) -> HttpResponse:
        context = {"form": form, "has_device": user_has_device(request.user)}
        return render(request, "access/profile.html", context, status=status)


@method_decorator(login_required, name="dispatch")
class PasswordChange(views.PasswordChangeView):
    template_name = "access/password.html"
    success_url = reverse_lazy("profile")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if _must_verify(request):
            return redirect("second-factor")
        return super().dispatch(request, *args, **kwargs)


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language of this browser, and of the person when somebody is logged in."""
    wanted = request.POST.get("language", "")
    response = HttpResponseRedirect(_onward(request))
    if wanted in dict(settings.LANGUAGES):
        _speak(response, wanted)
        if request.user.is_authenticated and not _must_verify(request):
            User.objects.filter(pk=request.user.pk).update(language=wanted)
    return response


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system has it, for this browser."""
    response = HttpResponseRedirect(_onward(request))
    if (wanted := request.POST.get("theme")) in ("light", "dark"):
        response.set_cookie("theme", wanted, max_age=365 * 24 * 3600, samesite="Lax")
    else:
        response.delete_cookie("theme")
    return response


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the account: the first of this person's, or all of them for an operator."""
    member = Membership.objects.select_related("account").filter(user=_person(request)).order_by("pk").first()
    if member is not None:
        return redirect("overview", member.account.slug, "live")
    if request.user.is_staff:
        return redirect("operator-accounts")
    return render(request, "access/no_account.html")


def _speak(response: HttpResponse, wanted: str) -> None:
    if wanted:
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, wanted, max_age=365 * 24 * 3600, samesite="Lax")
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)


def _onward(request: HttpRequest) -> str:
    """Where the person was going, when that is a page of ours; else home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else str(reverse_lazy("home"))


def _must_verify(request: HttpRequest) -> bool:
    return user_has_device(request.user) and not request.user.is_verified()


def _code(form: TokenForm, field: str) -> str:
    return form.cleaned_data[field].replace(" ", "")


def _fits(device: TOTPDevice, token: str) -> bool:
    """Whether it is a code of now, without using it up."""
    clock = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    clock.time = time.time()
    return token.isdecimal() and clock.verify(int(token), device.tolerance)


def _given(request: HttpRequest, form: TokenForm, field: str) -> Device | None:
    """The device whose code, or recovery code, stands in the field; else None and a fault of it."""
    if not form.is_valid():
        return None
    device = match_token(request.user, _code(form, field))
    if device is None:
        form.add_error(field, _("This code is wrong, or was used before."))
    return device


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("nobody is logged in")
    return request.user


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
