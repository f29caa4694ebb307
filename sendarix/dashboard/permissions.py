"""Who may do what on the pages of an account: one table, which every page asks and a test walks."""

from sendarix.accounts.models import Role

VIEW = frozenset(
    {
        "overview.view",
        "messages.view",
        "suppressions.view",
        "templates.view",
        "domains.view",
        "webhooks.view",
        "routing.view",
        "queues.view",
        "analytics.view",
        "alerts.view",
        "inbox.view",
    }
)
"""What every member sees. Addresses and bodies are masked without messages.unmasked."""

SUPPORT = VIEW | {
    "messages.reveal",
    "messages.act",
    "suppressions.write",
    "requests.view",
}

DEVELOPER = SUPPORT | {
    "messages.unmasked",
    "messages.export",
    "suppressions.export",
    "templates.write",
    "domains.write",
    "webhooks.write",
    "keys.view",
    "keys.write_test",
    "queues.write",
    "alerts.write",
    "audit.view",
}

ADMIN = DEVELOPER | {
    "keys.write",
    "routing.write",
    "queues.purge",
    "settings.view",
    "settings.write",
    "members.view",
    "members.write",
    "suppressions.erase",
}

OWNER = ADMIN | {"members.write_owners"}

ALLOWED: dict[str, frozenset[str]] = {
    Role.READ_ONLY: VIEW,
    Role.SUPPORT: SUPPORT,
    Role.DEVELOPER: DEVELOPER,
    Role.ADMIN: ADMIN,
    Role.OWNER: OWNER,
}

OPERATOR = ADMIN
"""An operator who acts as an account."""

ACTIONS = OWNER
"""Every action there is."""
