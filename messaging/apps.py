"""Messages: acceptance, queue, delivery, lifecycle."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"
