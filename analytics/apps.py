"""Counts, latency and alerts, from the events of messages."""

from django.apps import AppConfig

from sendarix.core import chores, events
from sendarix.core.chores import Chore


class AnalyticsConfig(AppConfig):
    name = "analytics"

    def ready(self) -> None:
        from analytics import erasing, rollup
        from analytics.alerts import rounds

        chores.add("rollups", Chore("rollups", rollup.run, 5.0), Chore("old counts", rollup.forget, 3600.0))
        events.address_erased.connect(erasing.erase, dispatch_uid="analytics")
        chores.add("alerts", Chore("alerts", rounds.run, rounds.EVERY))
