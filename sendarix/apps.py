from django.apps import AppConfig


class SendarixConfig(AppConfig):
    """The whole product: the command that runs it and the checks of what it stands on. It has no tables."""

    name = "sendarix"

    def ready(self) -> None:
        from sendarix import checks  # noqa: F401  # registers them
