"""Counts, latency and alerts, from the events of messages."""

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"
