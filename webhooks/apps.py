"""Telling customers' servers what happened: signed, in order, again until they take it."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
