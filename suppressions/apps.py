"""Who must not be mailed."""

from django.apps import AppConfig


class SuppressionsConfig(AppConfig):
    name = "suppressions"

    def ready(self) -> None:
        from sendarix.core import chores
        from sendarix.core.chores import Chore
        from suppressions import expiry, imports  # noqa: F401  # expiry registers its check

        chores.add(
            "suppressions", Chore("imports", imports.work, 1.0), Chore("old imports", imports.forget_old, 3600.0)
        )
