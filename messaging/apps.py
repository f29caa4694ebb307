"""Messages: acceptance, queue, delivery, lifecycle."""

from django.apps import AppConfig

from sendarix.core import events


class MessagingConfig(AppConfig):
    name = "messaging"

    def ready(self) -> None:
        from messaging import lifecycle, queries

        events.keep(queries.Feed())
        events.noted.connect(lifecycle.write_note, dispatch_uid="messaging")
