"""What supervisors and monitors ask: does the process answer, can it work, and how full is the queue."""

from collections.abc import Iterator

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from messaging.delivery import beats, queue
from webhooks import holds

LATE = 300.0
"""Seconds the oldest due message may wait before the service counts as not ready."""


def alive(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, its tables are there and no due message is left lying; else 503 with what is wrong. Late
    webhooks are only told: customers' servers make them late."""
    try:
        seen, webhooks = queue.look(1_000), holds.look()
    except Error as error:
        connection.close()
        return JsonResponse({"status": "unavailable", "database": type(error).__name__}, status=503)
    late = seen.oldest_age > LATE
    body = {
        "status": "late" if late else "ok",
        "database": "ok",
        "due": seen.due,
        "oldest_due_seconds": round(seen.oldest_age, 3),
        "last_worker_beat_seconds": None if seen.cluster_age is None else round(seen.cluster_age, 3),
        "last_dispatcher_round_seconds": None if seen.dispatcher_age is None else round(seen.dispatcher_age, 3),
        "oldest_due_webhook_seconds": round(webhooks.oldest_age or 0.0, 3),
    }
    return JsonResponse(body, status=503 if late else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    """Gauges of the queue in the Prometheus text format, read from the database at each scrape: the same from every process."""
    registry = CollectorRegistry()
    registry.register(_Gauges())
    try:
        return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")
    except Error:
        connection.close()
        return HttpResponse("the database is away\n", content_type="text/plain; charset=utf-8", status=503)


class _Gauges:
    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        tiers = GaugeMetricFamily("sendarix_queue_messages", "Messages by tier and state", labels=["tier", "state"])
        for tier, waiting, due, claimed in queue.by_tier():
            tiers.add_metric([tier, "waiting"], waiting)
            tiers.add_metric([tier, "due"], due)
            tiers.add_metric([tier, "claimed"], claimed)
        yield tiers
        seen = queue.look(1)
        yield GaugeMetricFamily("sendarix_queue_oldest_due_seconds", "Age of the oldest due message", seen.oldest_age)
        yield GaugeMetricFamily("sendarix_workers_beating", "Worker clusters that beat", beats.beating())
        if seen.dispatcher_age is not None:
            yield GaugeMetricFamily(
                "sendarix_dispatcher_last_round_seconds", "Since a dispatcher's last round", seen.dispatcher_age
            )
        oldest = holds.look().oldest_age or 0.0
        yield GaugeMetricFamily(
            "sendarix_webhooks_waiting", "Webhook deliveries that wait, due or not", holds.waiting()
        )
        yield GaugeMetricFamily(
            "sendarix_webhooks_oldest_due_seconds", "Age of the oldest due webhook delivery", oldest
        )
        yield GaugeMetricFamily("sendarix_queue_limit_messages", "Waiting messages allowed", settings.QUEUE_LIMIT)
