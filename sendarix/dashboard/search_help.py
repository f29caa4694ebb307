"""The words of the search language as pages explain them."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

WORDS: tuple[tuple[str, str | Promise], ...] = (
    ("kim@example.com", gettext_lazy("an address, or a part of it")),
    ("msg_…", gettext_lazy("a message; req_… the messages of a request")),
    ('"order 7"', gettext_lazy("words of the subject, a metadata value, an idempotency key")),
    ("to:kim@example.com", gettext_lazy("the recipient, or a part of it")),
    ("from:billing@example.com", gettext_lazy("the sender, or a part of it")),
    ("domain:naver.com", gettext_lazy("the recipient's domain")),
    ("subject:invoice", gettext_lazy("a part of the subject")),
    ("status:bounced,deferred", gettext_lazy("where it stands")),
    ("template:otp-code", gettext_lazy("its template")),
    ("tag:billing", gettext_lazy("one of its tags")),
    ('meta.order:"A 7"', gettext_lazy("a metadata value")),
    ("key:key_…", gettext_lazy("the API key that sent it")),
    ("route:backup", gettext_lazy("a route it was tried on")),
    ("code:5.1.1", gettext_lazy("a reply code, an enhanced one, or a cause")),
    ("tier:critical", gettext_lazy("its priority")),
    ("after:2026-04-19", gettext_lazy("received then or later; 3h and 7d mean ago")),
    ("before:7d", gettext_lazy("received earlier")),
    ("slower:30s", gettext_lazy("took longer to its end")),
    ("is:waiting", gettext_lazy("waiting, stuck (due for over 5 minutes) or dead")),
    ("has:attachment", gettext_lazy("carries files")),
    ("-status:delivered", gettext_lazy("a minus turns a word around")),
)

VIEWS: tuple[tuple[str, str | Promise], ...] = (
    ("is:stuck", gettext_lazy("Stuck over 5 minutes")),
    ("tier:critical slower:30s", gettext_lazy("Codes slower than 30 s")),
    ("status:deferred", gettext_lazy("Deferred")),
    ("status:deferred domain:naver.com", gettext_lazy("Deferred by Naver")),
    ("status:deferred domain:gmail.com", gettext_lazy("Deferred by Gmail")),
    ("is:dead", gettext_lazy("Dead letters")),
)
"""Searches that everybody has."""
