"""Who must not be mailed."""

from django.apps import AppConfig


class SuppressionsConfig(AppConfig):
    name = "suppressions"
