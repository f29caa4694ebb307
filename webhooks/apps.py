"""Telling customers' servers what happened: signed, in order, again until they take it."""

from django.apps import AppConfig

from sendarix.core import events


class WebhooksConfig(AppConfig):
    name = "webhooks"

    def ready(self) -> None:
        from webhooks import forgetting, outbox

        events.recorded.connect(outbox.write, dispatch_uid="webhooks")
        events.erased.connect(forgetting.erase, dispatch_uid="webhooks")
        events.forgotten.connect(forgetting.forget, dispatch_uid="webhooks")
