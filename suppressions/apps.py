"""Who must not be mailed."""

from django.apps import AppConfig


class SuppressionsConfig(AppConfig):
    name = "suppressions"

    def ready(self) -> None:
        from suppressions import expiry  # noqa: F401  # registers its check
