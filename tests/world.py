"""What the stories of the API and of delivery begin with: committed data, a company with its keys, a mail server on loopback, a
route to it, and a queue to drain. The conftest of each folder that tells such stories takes these fixtures in."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import connection, connections

from messaging import demo_templates as demo
from messaging.delivery import default_route, destinations, routebook, transports, worker
from messaging.models import EmailTemplate, SenderDomain
from messaging.templating import Source, publishing
from messaging.templating.rendering import PARTS
from sendarix.accounts.audit import Actor
from sendarix.accounts.models import Account
from sendarix.core import addresses, ids
from suppressions import services as suppressions
from suppressions.models import Reason
from tests import builders
from tests.api_client import Answer, Api
from tests.delivery.smtp_sink import SmtpSink

TABLES = (
    "messages", "message_contents", "attachments", "events", "attempts", "idempotency_keys", "dead_letters",
    "captured_mail", "exports", "retention_runs", "discarded_files",
    "inbound_mail",
    "webhook_attempts", "webhook_deliveries", "webhook_endpoints", "webhook_workers", "audit_log", "dkim_keys", "sender_domains",
    "queue_pauses", "routes", "routing_rule_sets", "delivery_policies", "path_health", "path_changes", "pace_windows",
    "mail_domains",
    "suppression_import_parts", "suppression_imports", "suppressions", "template_builds", "template_versions", "email_templates",
    "delivery_workers", "django_q_ormq",
    "hour_counts", "hour_latencies", "minute_counts", "minute_latencies", "rollup_positions", "rollup_rounds",
    "alerts", "alert_rules",
    "rate_windows", "api_requests", "request_counts", "api_keys", "invitations", "saved_searches", "memberships", "accounts",
    "otp_totp_totpdevice", "otp_static_statictoken", "otp_static_staticdevice", "users", "django_session",
)  # fmt: skip

SERVER = connection.settings_dict["HOST"]

MAIL = {"recipient": "kim@hanbit.example", "subject": "Your order", "text": "It is on its way."}


@pytest.fixture(scope="session")
def _left_behind(django_db_setup, django_db_blocker) -> Iterator[None]:
    """At the end the connections that worker threads still hold are closed, so that the test database can be dropped."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def transactional_db(_left_behind, django_db_blocker) -> Iterator[None]:
    """Data that other connections and threads see. It takes the place of pytest-django's fixture, which flushes every table there
    is and is twenty times as slow; only the tables of the product are emptied here."""
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            cursor.execute(";".join(f"DELETE FROM {table}" for table in TABLES))


@dataclass(frozen=True, slots=True)
class Company:
    """An account with a live and a test key, both of all scopes."""

    account: Account
    live: Api
    test: Api

    def key(self, **options: Any) -> Api:
        """Another key of this company."""
        return Api(builders.api_key(self.account, **options))

    def template(self, source: Source | None = None, key: str = "", **changes: Any) -> EmailTemplate:
        """A published template: the demo account's otp-code, unless a source or parts tell otherwise."""
        content = dict(demo.OTP_CODE)
        if source or changes.keys() & set(PARTS):
            content = {part: getattr(source, part, None) or None for part in PARTS}
        else:
            demo.install_layout(self.actor, self.account.pk)
        content |= {name: value or None for name, value in changes.items()}
        key = key or (source.key if source else "otp-code")
        return publishing.create(self.actor, self.account.pk, key, "template", content, publish=True).template

    @property
    def actor(self) -> Actor:
        return Actor(self.account.pk, "operator")


def company(slug: str, **fields: Any) -> Company:
    """It has the sender domain `<slug>.example`."""
    account = builders.account(slug, **fields)
    made = Company(account, Api(builders.api_key(account)), Api(builders.api_key(account, livemode=False)))
    domain(made.account, f"{slug}.example")
    return made


def domain(owner: Company | Account, name: str, **fields: Any) -> SenderDomain:
    """A sender domain, verified by an operator's word and without keys (making them takes a tenth of a second): its mail goes out
    unsigned."""
    parts = {
        "owned": True,
        "trusted": True,
        "status": "verified",
        "return_path": f"bounces.{name}",
        "ownership_token": "0" * 32,
    }
    account = owner.account if isinstance(owner, Company) else owner
    return SenderDomain.objects.create(account=account, id=ids.new("dom"), domain=name, **parts | fields)


@pytest.fixture
def acme(transactional_db) -> Company:
    return company("acme")


@pytest.fixture
def globex(transactional_db) -> Company:
    """Another customer, who must see nothing of Acme's."""
    return company("globex")


@pytest.fixture
def api(acme) -> Api:
    """Acme's live key."""
    return acme.live


@pytest.fixture
def take_route(settings) -> Iterator[Callable[[str], None]]:
    """Sets the default route, as SENDARIX_DEFAULT_ROUTE does."""
    settings.HELO_NAME = "out.sendarix.test"

    def take(url: str) -> None:
        settings.DEFAULT_ROUTE = url
        forget_routes()

    yield take
    forget_routes()


def forget_routes() -> None:
    default_route.default_route.cache_clear()
    routebook.forget()
    destinations.forget()
    transports.resolver.cache_clear()


@pytest.fixture
def sink(take_route) -> Iterator[SmtpSink]:
    """A mail server, and the route to it."""
    with SmtpSink() as server:
        take_route(f"smtp://127.0.0.1:{server.port}?tls=none")
        yield server


def post(api: Api, **fields: Any) -> Answer:
    """POST of an ordinary mail with some fields of its own; a field given as None is left out."""
    return api.post("/v1/messages", {name: value for name, value in (MAIL | fields).items() if value is not None})


def send(api: Api, **fields: Any) -> str:
    """The id of an accepted mail."""
    answer = post(api, **fields)
    assert answer.status == 202, answer.json
    return answer.json["message_id"]


def message(api: Api, message_id: str) -> dict[str, Any]:
    answer = api.get(f"/v1/messages/{message_id}")
    assert answer.status == 200, answer.json
    return answer.json


def status(api: Api, message_id: str) -> str:
    return message(api, message_id)["status"]


def story(api: Api, message_id: str) -> list[str]:
    """The types of a message's events without their prefix, in order."""
    return [event["type"].removeprefix("message.") for event in message(api, message_id)["events"]]


def attempts(api: Api, message_id: str) -> list[dict[str, Any]]:
    return api.get(f"/v1/messages/{message_id}/attempts").json["data"]


def drain(budget: float = 60.0) -> int:
    """Deliver what is due, in this process; returns how many attempts that took."""
    return worker.drain(budget=budget, linger=0)


def sql(statement: str, *values: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def listen() -> None:
    """From now on what becomes of every account's messages is told."""
    sql("UPDATE accounts SET listened = true")


def cut_connections() -> None:
    """As when the database restarts: every connection but this one is gone."""
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


def bring_due() -> None:
    """As if the time that waiting messages wait for had come."""
    sql("UPDATE messages SET due_at = clock_timestamp() - interval '1 millisecond' WHERE due_at > clock_timestamp()")


def created(message_id: str, at: str) -> str:
    """As if the message had been accepted then; its id, which tells its time, becomes another one."""
    moved = ids.floor("msg", datetime.fromisoformat(at))[:-16] + message_id[-16:]
    sql("UPDATE messages SET id = %s, created_at = %s WHERE id = %s", moved, at, message_id)
    for table in ("message_contents", "events", "attempts", "attachments"):
        sql(f"UPDATE {table} SET message_id = %s WHERE message_id = %s", moved, message_id)
    return moved


def dying_worker(*message_ids: str, marked: bool = False) -> None:
    """As if a worker had claimed these messages and ended without a word, `marked`: just before or after its final dot."""
    sql(
        "UPDATE messages SET status = 'accepted', due_at = NULL, waits_for = NULL, worker = 'gone', fence = fence + 1,"
        " marked = %s WHERE id = ANY(%s)",
        marked,
        list(message_ids),
    )
    sql(
        "INSERT INTO delivery_workers (id, cluster, beat_at, looks_until) VALUES ('gone', 'delivery', now() - interval '1 hour',"
        " '-infinity') ON CONFLICT DO NOTHING"
    )


def together(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run the calls at the same moment, each in a thread with a connection of its own."""
    calls = list(calls)
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def in_background(call: Callable[..., Any], *arguments: Any) -> "Background":
    return Background(functools.partial(call, *arguments))


class Background:
    """A call in a thread with a connection of its own; `result()` waits for its end."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(self._run, call)

    def _run(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    @property
    def done(self) -> bool:
        return self._future.done()

    def result(self, seconds: float = 90.0) -> Any:
        try:
            return self._future.result(seconds)
        finally:
            self._pool.shutdown(wait=False)


def suppress(owner: Company, recipient: str, reason: str, livemode: bool = True) -> None:
    key = addresses.parse(recipient).key
    suppressions.suppress(owner.account.id, livemode, recipient, key, Reason(reason))


def from_now(**delta: float) -> str:
    """An ISO 8601 time so far from now."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Look again and again until the condition holds; what it answered then."""
    ends = monotonic() + seconds
    while not (found := condition()):
        assert monotonic() < ends, "it did not come about in time"
        sleep(0.01)
    return found


def demo_templates(owner: Company) -> None:
    demo.install(owner.actor, owner.account.pk)
