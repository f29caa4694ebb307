"""Mail that pages send to people: password resets and invitations, in the recipient's language, through our own pipeline."""

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from messaging import notices
from sendarix.accounts import members
from sendarix.accounts.models import Invitation, User
from sendarix.core.errors import ApiError

logger = logging.getLogger(__name__)


class ResetForm(PasswordResetForm):
    """Django's form, whose mail is accepted like any other. For an address without a login the same is done and taken back, so
    that the time it takes tells nothing."""

    def save(self, *args: Any, **options: Any) -> None:
        email = self.cleaned_data["email"]
        if next(iter(self.get_users(email)), None) is not None:
            super().save(*args, **options)
            return
        nobody = User(pk=0, email=email)
        nobody.set_unusable_password()
        link = _link("password-reset-confirm", "MA", default_token_generator.make_token(nobody))
        with transaction.atomic():
            self._mail(nobody, link)
            transaction.set_rollback(True)

    def send_mail(
        self, subject_template_name, email_template_name, context, from_email, to_email, html_email_template_name=None
    ) -> None:
        """Called by Django for each user of the address."""
        self._mail(context["user"], _link("password-reset-confirm", context["uid"], context["token"]))

    def _mail(self, user: User, link: str) -> None:
        with translation.override(user.language or translation.get_language()):
            try:
                _send(user.email, _("Reset your Sendarix password"), "reset", {"link": link, "user": user})
            except ApiError as refused:  # the page says the same to everybody
                logger.error("no mail for a password reset: %s", refused)


def _link(name: str, *args: str) -> str:
    """An address of ours for a mail: the one that is set, never the one that a request names."""
    return settings.PUBLIC_URL + reverse(name, args=args)


def invite(invitation: Invitation, token: str, inviter: str) -> None:
    """The invitation with its link. Raises what notices.sender and acceptance raise."""
    link = _link("invitation", token)
    account = invitation.account.name
    with translation.override(members.language_of(invitation.email)):
        subject = _("Join %(account)s on Sendarix") % {"account": account}
        _send(invitation.email, subject, "invitation", {"link": link, "account": account, "inviter": inviter})


def _send(recipient: str, subject: str, name: str, context: dict) -> None:
    text = render_to_string(f"mails/{name}.txt", context)
    html = render_to_string(f"mails/{name}.html", context | {"subject": subject})
    notices.send(notices.sender(), recipient, subject, text, name, html)
