"""What the side bar lists, in order. A section appears for whoever may view it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from sendarix.dashboard.pages import Visit


@dataclass(frozen=True, slots=True)
class Section:
    """One line of the side bar: `name` is its page's URL name, `icon` a symbol of static/vendor/lucide.svg."""

    name: str
    label: str | Promise
    icon: str
    action: str


@dataclass(frozen=True, slots=True)
class Item:
    section: Section
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Group:
    label: str | Promise
    items: Sequence[Item]


GROUPS: Sequence[tuple[str | Promise, Sequence[Section]]] = (
    (
        "",
        (
            Section("overview", _("Overview"), "layout-dashboard", "overview.view"),
            Section("messages", _("Messages"), "mail", "messages.view"),
            Section("analytics", _("Analytics"), "chart-line", "analytics.view"),
            Section("alerts", _("Alerts"), "bell", "alerts.view"),
        ),
    ),
    (
        _("Sending"),
        (
            Section("templates", _("Templates"), "file-text", "templates.view"),
            Section("domains", _("Domains"), "globe", "domains.view"),
            Section("suppressions", _("Suppressions"), "user-x", "suppressions.view"),
            Section("inbox", _("Inbox"), "inbox", "inbox.view"),
        ),
    ),
    (
        _("Delivery"),
        (
            Section("routing", _("Routing"), "route", "routing.view"),
            Section("queues", _("Queues"), "layers", "queues.view"),
            Section("dead-letters", _("Dead letters"), "mail-x", "messages.view"),
        ),
    ),
    (
        _("Developers"),
        (
            Section("keys", _("API keys"), "key-round", "keys.view"),
            Section("webhooks", _("Webhooks"), "webhook", "webhooks.view"),
            Section("requests", _("Request log"), "scroll-text", "requests.view"),
        ),
    ),
    (
        _("Account"),
        (
            Section("members", _("Members"), "users", "members.view"),
            Section("audit", _("Audit log"), "history", "audit.view"),
            Section("settings", _("Settings"), "settings", "settings.view"),
        ),
    ),
)

OPERATOR = (
    Section("operator-accounts", _("Accounts"), "building-2", ""),
    Section("operator-platform", _("Platform"), "server", ""),
    Section("admin:index", _("Records"), "scroll-text", ""),
)


def menu(visit: "Visit", current: str) -> list[Group]:
    """The side bar as this person sees it."""
    groups = []
    for label, sections in GROUPS:
        items = [Item(s, visit.url(s.name), s.name == current) for s in sections if visit.may(s.action)]
        if items:
            groups.append(Group(label, items))
    return groups


def operator_menu(current: str) -> list[Item]:
    return [Item(section, reverse(section.name), section.name == current) for section in OPERATOR]
