"""The members page: inviting, changing roles, removing."""

from sendarix.accounts import members
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Membership, Role
from tests import builders

HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 120


def test_an_invitation_goes_out_and_shows_as_open(owner, platform):
    page = owner.sent("members", {"email": "kim@hanbit.example", "role": Role.SUPPORT})
    assert "An invitation is on its way to kim@hanbit.example." in page
    assert owner.account.invitations.get().email == "kim@hanbit.example"


def test_faults_of_an_invitation_are_shown_beside_its_field(owner):
    answer = owner.post("members", {"email": owner.user.email, "role": Role.SUPPORT})
    assert answer.status_code == 422
    assert b"This person is a member already." in answer.content
    assert owner.post("members", {"email": "nobody", "role": Role.SUPPORT}).status_code == 422
    assert owner.post("members", {"email": "kim@hanbit.example", "role": "emperor"}).status_code == 422


def test_an_invitation_whose_mail_was_refused_is_not_left_open(owner, settings):
    settings.PLATFORM_SENDER = ""
    answer = owner.post("members", {"email": "kim@hanbit.example", "role": Role.SUPPORT})
    assert (answer.status_code, owner.account.invitations.count()) == (422, 0)


def test_an_admin_makes_and_changes_no_owners(member, acme):
    admin, owner = member(Role.ADMIN), builders.member(acme, Role.OWNER).memberships.get()
    kim = builders.member(acme, Role.SUPPORT, "kim@hanbit.example").memberships.get()
    assert admin.post("members", {"email": "lee@hanbit.example", "role": Role.OWNER}).status_code == 422
    assert admin.post(f"members/{kim.pk}/role", {"role": Role.OWNER}).status_code == 404
    assert "Only an owner can change an owner." in admin.sent(f"members/{owner.pk}/remove")
    admin.sent(f"members/{kim.pk}/role", {"role": Role.DEVELOPER})
    assert dict(Membership.objects.values_list("user__email", "role")) == {
        "admin@acme.example": "admin",
        "owner@acme.example": "owner",
        "kim@hanbit.example": "developer",
    }


def test_an_admin_withdraws_no_invitation_of_an_owner(member, owner, platform):
    owner.sent("members", {"email": "lee@hanbit.example", "role": Role.OWNER})
    number = owner.account.invitations.get().pk
    assert "Only an owner can change an owner." in member(Role.ADMIN).sent(f"members/invitations/{number}/withdraw")
    owner.sent(f"members/invitations/{number}/withdraw")
    assert owner.account.invitations.count() == 0


def test_the_last_owner_is_told_why_they_stay(owner):
    number = owner.user.memberships.get().pk
    assert "An account needs an owner." in owner.sent(f"members/{number}/remove")


def test_members_of_another_account_are_not_there(owner, globex):
    foreign = builders.member(globex, Role.SUPPORT).memberships.get()
    assert owner.post(f"members/{foreign.pk}/remove").status_code == 404
    assert owner.post(f"members/{10**30}/remove").status_code == 404
    assert globex.memberships.count() == 1


def test_an_invitation_of_another_account_is_not_there(owner, globex):
    foreign, _token = members.invite(globex, "lee@hanbit.example", Role.SUPPORT, Actor(globex.pk, "user:owner"))
    assert owner.post(f"members/invitations/{foreign.pk}/withdraw").status_code == 404
    assert globex.invitations.count() == 1


def test_a_hostile_name_is_text(owner):
    owner.user.name = HOSTILE
    owner.user.save()
    page = owner.page("members")
    assert "<script>alert" not in page
    assert "<bdi>&lt;script&gt;" in page


def test_an_admin_does_not_replace_the_invitation_of_an_owner(owner, member, acme, platform):
    owner.sent("members", {"email": "lee@hanbit.example", "role": Role.OWNER})
    admin = member(Role.ADMIN)
    answer = admin.post("members", {"email": "Lee@hanbit.example", "role": Role.READ_ONLY})
    assert answer.status_code == 422
    assert acme.invitations.get().role == Role.OWNER


def test_invitations_of_an_account_are_so_many_an_hour(owner, acme, platform, monkeypatch):
    monkeypatch.setattr("sendarix.dashboard.views.members.INVITATIONS", 2)
    answers = [
        owner.post("members", {"email": f"{n}@hanbit.example", "role": Role.SUPPORT}).status_code for n in range(3)
    ]
    assert answers == [302, 302, 422]
    assert acme.invitations.count() == 2
