"""Members: who belongs to the account and as what; inviting and removing."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sendarix.accounts import members, rate
from sendarix.accounts.models import Membership, Role, Users
from sendarix.core.errors import ApiError
from sendarix.dashboard import mailing, wording
from sendarix.dashboard.pages import Page, Visit

ROLES: dict[str, str | Promise] = {
    Role.OWNER: gettext_lazy("Owner: everything"),
    Role.ADMIN: gettext_lazy("Admin: everything but other owners"),
    Role.DEVELOPER: gettext_lazy("Developer: sending, templates, webhooks, test keys"),
    Role.SUPPORT: gettext_lazy("Support: finds mail; addresses and bodies masked until revealed"),
    Role.READ_ONLY: gettext_lazy("Read only: sees figures and masked mail"),
}

FAULTS: dict[str, str | Promise] = {
    "already_member": gettext_lazy("This person is a member already."),
    "last_owner": gettext_lazy("An account needs an owner. Make somebody else one first."),
}


INVITATIONS = 60
"""Of one account in an hour: they are mail of ours to whomever a member names."""


def roles_of(visit: Visit) -> list[tuple[str, str | Promise]]:
    """What this person may give: owners only by an owner."""
    return [(role, words) for role, words in ROLES.items() if role != Role.OWNER or visit.may("members.write_owners")]


def may_replace(visit: Visit, email: str) -> bool:
    """An invitation ends an older one of the same address; that of an owner is an owner's to end."""
    asked = visit.account.invitations.filter(email=Users.normalize(email), role=Role.OWNER)
    return visit.may("members.write_owners") or not asked.exists()


class InviteForm(forms.Form):
    email = forms.EmailField(label=gettext_lazy("Address"), max_length=254)
    role = forms.ChoiceField(label=gettext_lazy("Role"))

    def __init__(self, visit: Visit, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles_of(visit)
        self.initial.setdefault("role", Role.DEVELOPER)


class Members(Page):
    actions = {"GET": "members.view", "POST": "members.write"}
    section = "members"

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(InviteForm(self.visit))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Invite."""
        form = InviteForm(self.visit, request.POST)
        if not form.is_valid():
            return self._show(form, 422)
        visit, email = self.visit, form.cleaned_data["email"]
        if rate.tries(f"invitations:{visit.account.pk}") > INVITATIONS:
            form.add_error(None, _("So many invitations are enough for an hour. Go on later."))
            return self._show(form, 422)
        if not may_replace(visit, email):
            form.add_error("email", _("Only an owner can change an owner."))
            return self._show(form, 422)
        try:
            made, token = members.invite(visit.account, email, form.cleaned_data["role"], visit.actor)
        except members.MemberFault as fault:
            form.add_error("email", str(FAULTS[fault.code]))
            return self._show(form, 422)
        try:
            mailing.invite(made, token, visit.user.get_full_name())
        except ApiError as refused:
            members.withdraw(visit.account, made.pk, visit.actor)
            form.add_error(None, _("The mail could not be sent: %(why)s") % {"why": wording.refusal(refused)})
            return self._show(form, 422)
        messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": email})
        return self.to("members")

    def _show(self, form: InviteForm, status: int = 200) -> HttpResponse:
        account = self.visit.account
        context = {
            "form": form,
            "members": account.memberships.select_related("user").order_by("user__email"),
            "invitations": account.invitations.filter(expires_at__gt=timezone.now()).order_by("email"),
            "roles": roles_of(self.visit),
        }
        return self.render("dashboard/members.html", context, status)


class MemberPage(Page):
    """What changes one member."""

    section = "members"

    def change(self, request: HttpRequest, number: int) -> str:
        raise TypeError("a subclass says what changes")

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        member = self.visit.account.memberships.filter(pk=number).first()
        if member is None:
            raise Http404
        if member.role == Role.OWNER and not self.visit.may("members.write_owners"):
            messages.error(request, _("Only an owner can change an owner."))
            return self.to("members")
        try:
            messages.success(request, self.change(request, number))
        except members.MemberFault as fault:
            messages.error(request, str(FAULTS[fault.code]))
        except Membership.DoesNotExist:
            raise Http404 from None
        return self.to("members")


class MemberRole(MemberPage):
    actions = {"POST": "members.write"}

    def change(self, request: HttpRequest, number: int) -> str:
        role = request.POST.get("role", "")
        if role not in dict(roles_of(self.visit)):
            raise Http404
        member = members.change_role(self.visit.account, number, role, self.visit.actor)
        return _("The role of %(email)s is changed.") % {"email": member.user.email}


class MemberRemoval(MemberPage):
    actions = {"POST": "members.write"}

    def change(self, request: HttpRequest, number: int) -> str:
        members.remove(self.visit.account, number, self.visit.actor)
        return _("The member is removed.")


class InvitationWithdrawal(Page):
    actions = {"POST": "members.write"}
    section = "members"

    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        asked = self.visit.account.invitations.filter(pk=number).first()
        if asked is None:
            raise Http404
        if asked.role == Role.OWNER and not self.visit.may("members.write_owners"):
            messages.error(request, _("Only an owner can change an owner."))
            return self.to("members")
        members.withdraw(self.visit.account, number, self.visit.actor)
        messages.success(request, _("The invitation is withdrawn."))
        return self.to("members")


urlpatterns = [
    path("members", Members.as_view(), name="members"),
    path("members/<int:number>/role", MemberRole.as_view(), name="member-role"),
    path("members/<int:number>/remove", MemberRemoval.as_view(), name="member-remove"),
    path("members/invitations/<int:number>/withdraw", InvitationWithdrawal.as_view(), name="invitation-withdraw"),
]
