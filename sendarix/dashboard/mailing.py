"""Mail that pages send to people: password resets and invitations, in the reader's language, through our own pipeline."""

import logging

from django.contrib.auth.forms import PasswordResetForm
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from messaging import notices
from sendarix.accounts.models import Invitation
from sendarix.core.errors import ApiError

logger = logging.getLogger(__name__)


class ResetForm(PasswordResetForm):
    """Django's form, whose mail is accepted like any other."""

    def send_mail(
        self, subject_template_name, email_template_name, context, from_email, to_email, html_email_template_name=None
    ) -> None:
        """Called by Django for each user of the address."""
        link = f"{context['protocol']}://{context['domain']}" + reverse(
            "password-reset-confirm", args=[context["uid"], context["token"]]
        )
        with translation.override(context["user"].language or translation.get_language()):
            try:
                _send(to_email, _("Reset your Sendarix password"), "reset", {"link": link, "user": context["user"]})
            except ApiError as refused:  # the page says the same to everybody
                logger.error("no mail for a password reset: %s", refused)


def invite(request: HttpRequest, invitation: Invitation, token: str, inviter: str) -> None:
    """The invitation with its link. Raises what notices.sender and acceptance raise."""
    link = request.build_absolute_uri(reverse("invitation", args=[token]))
    account = invitation.account.name
    subject = _("Join %(account)s on Sendarix") % {"account": account}
    _send(invitation.email, subject, "invitation", {"link": link, "account": account, "inviter": inviter})


def _send(recipient: str, subject: str, name: str, context: dict) -> None:
    text = render_to_string(f"mails/{name}.txt", context)
    html = render_to_string(f"mails/{name}.html", context | {"subject": subject})
    notices.send(notices.sender(), recipient, subject, text, name, html)
