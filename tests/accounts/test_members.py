"""The people of an account, and the promises their changes keep."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sendarix.accounts import audit, members
from sendarix.accounts.audit import Actor
from sendarix.accounts.members import MemberFault
from sendarix.accounts.models import Invitation, Role
from tests import builders


@pytest.fixture
def by(acme) -> Actor:
    return Actor(acme.pk, "user:owner@acme.example")


def fault(call, *arguments) -> str:
    with pytest.raises(MemberFault) as caught:
        call(*arguments)
    return caught.value.code


def test_an_invitation_is_kept_as_a_digest_only(acme, by):
    made, token = members.invite(acme, "Kim@Hanbit.example", Role.SUPPORT, by)
    assert made.email == "kim@hanbit.example"
    assert token not in str(Invitation.objects.values())
    assert members.invitation(token) == made


def test_a_newer_invitation_of_an_address_ends_the_older(acme, by):
    _, first = members.invite(acme, "kim@hanbit.example", Role.SUPPORT, by)
    _, second = members.invite(acme, "kim@hanbit.example", Role.ADMIN, by)
    assert fault(members.invitation, first) == "unknown_invitation"
    assert members.invitation(second).role == Role.ADMIN


def test_an_invitation_ends_after_a_week(acme, by):
    made, token = members.invite(acme, "kim@hanbit.example", Role.SUPPORT, by)
    made.expires_at = timezone.now() - timedelta(seconds=1)
    made.save()
    assert fault(members.invitation, token) == "unknown_invitation"


def test_an_invitation_works_once_and_only_for_its_address(acme, by):
    _, token = members.invite(acme, "kim@hanbit.example", Role.SUPPORT, by)
    assert fault(members.accept, token, builders.user("lee@hanbit.example")) == "other_address"
    kim = builders.user("kim@hanbit.example")
    assert members.accept(token, kim).role == Role.SUPPORT
    assert fault(members.accept, token, kim) == "unknown_invitation"


def test_a_member_is_not_invited_again(acme, by):
    builders.member(acme, Role.SUPPORT, "kim@hanbit.example")
    assert fault(members.invite, acme, "KIM@hanbit.example", Role.ADMIN, by) == "already_member"


def test_the_last_owner_stays_owner(acme, by):
    alone = builders.member(acme, Role.OWNER).memberships.get()
    assert fault(members.remove, acme, alone.pk, by) == "last_owner"
    assert fault(members.change_role, acme, alone.pk, Role.ADMIN, by) == "last_owner"
    builders.member(acme, Role.OWNER, "second@acme.example")
    members.remove(acme, alone.pk, by)
    assert [one.user.email for one in acme.memberships.all()] == ["second@acme.example"]


def test_each_change_is_in_the_audit_log(acme, by):
    builders.member(acme, Role.OWNER)
    _, token = members.invite(acme, "kim@hanbit.example", Role.SUPPORT, by)
    joined = members.accept(token, builders.user("kim@hanbit.example"), "192.0.2.7")
    members.change_role(acme, joined.pk, Role.ADMIN, by)
    members.remove(acme, joined.pk, by)
    entries = [(one.action, one.actor, one.subject) for one in audit.entries(acme.pk)][::-1]
    assert entries == [
        ("member.invited", by.id, "kim@hanbit.example"),
        ("member.joined", "user:kim@hanbit.example", "kim@hanbit.example"),
        ("member.role_changed", by.id, "kim@hanbit.example"),
        ("member.removed", by.id, "kim@hanbit.example"),
    ]
