"""The people of an account: inviting, accepting, changing roles, removing. Each change is in the audit log, and no account is
left without an owner."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sendarix.accounts import audit
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account, Invitation, Membership, Role, User, Users

INVITATION_LASTS = timedelta(days=7)


class MemberFault(ValueError):
    """The change can't be made; `code` says why: already_member, last_owner, unknown_invitation, other_address."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def invite(account: Account, email: str, role: str, actor: Actor) -> tuple[Invitation, str]:
    """An invitation and its token, which can't be read again; an older one of the address ends. Raises MemberFault."""
    address, token = Users.normalize(email), secrets.token_urlsafe(32)
    with transaction.atomic():
        _lock(account)
        if account.memberships.filter(user__email=address).exists():
            raise MemberFault("already_member")
        account.invitations.filter(email=address).delete()
        made = Invitation.objects.create(
            account=account,
            email=address,
            role=role,
            digest=_digest(token),
            expires_at=timezone.now() + INVITATION_LASTS,
        )
        audit.record(actor, "member.invited", address, after={"role": role})
    return made, token


def invitation(token: str) -> Invitation:
    """The open invitation of a link; raises MemberFault."""
    found = Invitation.objects.select_related("account").filter(digest=_digest(token)).first()
    if found is None or found.expires_at < timezone.now():
        raise MemberFault("unknown_invitation")
    return found


def accept(token: str, user: User, source: str = "") -> Membership:
    """Make the user a member as invited; the link is used up. Raises MemberFault."""
    with transaction.atomic():
        asked = invitation(token)
        if asked.email != user.email:
            raise MemberFault("other_address")
        member, _ = Membership.objects.get_or_create(account=asked.account, user=user, defaults={"role": asked.role})
        asked.delete()
        by = Actor(asked.account_id, f"user:{user.email}", source)
        audit.record(by, "member.joined", user.email, after={"role": member.role})
    return member


def withdraw(account: Account, invitation_id: int, actor: Actor) -> None:
    """End an open invitation; nothing happens when it is gone."""
    with transaction.atomic():
        for asked in account.invitations.filter(pk=invitation_id):
            asked.delete()
            audit.record(actor, "member.invitation_withdrawn", asked.email)


def change_role(account: Account, member_id: int, role: str, actor: Actor) -> Membership:
    """Raises MemberFault, Membership.DoesNotExist."""
    with transaction.atomic():
        member = _locked(account, member_id)
        if member.role == Role.OWNER and role != Role.OWNER:
            _another_owner(account, member)
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        audit.record(actor, "member.role_changed", member.user.email, before={"role": before}, after={"role": role})
    return member


def remove(account: Account, member_id: int, actor: Actor) -> None:
    """Raises MemberFault, Membership.DoesNotExist."""
    with transaction.atomic():
        member = _locked(account, member_id)
        if member.role == Role.OWNER:
            _another_owner(account, member)
        member.delete()
        audit.record(actor, "member.removed", member.user.email, before={"role": member.role})


def language_of(address: str) -> str:
    """The language of mails to somebody: what the user of this address has chosen, else English."""
    chosen = User.objects.filter(email=Users.normalize(address)).values_list("language", flat=True).first()
    return chosen or settings.LANGUAGE_CODE


def _lock(account: Account) -> None:
    """One change of an account's people at a time."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)


def _locked(account: Account, member_id: int) -> Membership:
    _lock(account)
    return account.memberships.select_related("user").get(pk=member_id)


def _another_owner(account: Account, member: Membership) -> None:
    if not account.memberships.filter(role=Role.OWNER).exclude(pk=member.pk).exists():
        raise MemberFault("last_owner")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
