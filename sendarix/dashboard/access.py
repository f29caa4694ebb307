"""Getting in: password, reset, invitation, profile; Django's auth and django-axes do the work."""

import hashlib
from typing import Any
from urllib.parse import urlencode

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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_otp import user_has_device

from sendarix.accounts import members, rate
from sendarix.accounts.models import Membership, User, Users
from sendarix.accounts.sources import client_address, network
from sendarix.dashboard.mailing import ResetForm
from sendarix.dashboard.second_factor import end_set_ups, must_verify, onward, person

BACKEND = "django.contrib.auth.backends.ModelBackend"
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
        end_set_ups(form.user)
        return super().form_valid(form)


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
            if must_verify(request):
                return redirect(f"{reverse_lazy('second-factor')}?{urlencode({'next': request.path})}")
            return self._accept(request, token, person(request)) if act else self._ask(request, asked)
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
        if must_verify(request):
            return redirect("second-factor")
        return self._show(request, ProfileForm(instance=person(request)))

    def post(self, request: HttpRequest) -> HttpResponse:
        if must_verify(request):
            return redirect("second-factor")
        form = ProfileForm(request.POST, instance=person(request))
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
        if must_verify(request):
            return redirect("second-factor")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        end_set_ups(form.user)
        return super().form_valid(form)


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language of this browser, and of the person when somebody is logged in."""
    wanted = request.POST.get("language", "")
    response = HttpResponseRedirect(onward(request))
    if wanted in dict(settings.LANGUAGES):
        _speak(response, wanted)
        if request.user.is_authenticated and not must_verify(request):
            User.objects.filter(pk=request.user.pk).update(language=wanted)
    return response


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or as the system has it, for this browser."""
    response = HttpResponseRedirect(onward(request))
    if (wanted := request.POST.get("theme")) in ("light", "dark"):
        response.set_cookie("theme", wanted, max_age=365 * 24 * 3600, samesite="Lax")
    else:
        response.delete_cookie("theme")
    return response


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the account: the first of this person's, or all of them for an operator."""
    member = Membership.objects.select_related("account").filter(user=person(request)).order_by("pk").first()
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
