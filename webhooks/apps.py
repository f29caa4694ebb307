"""Telling customers' servers what happened: signed, in order, again until they take it."""

from django.apps import AppConfig

from sendarix.core import events


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks import outbox

        events.recorded.connect(outbox.write, dispatch_uid="webhooks")
