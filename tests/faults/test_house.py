"""The whole house killed under load, and started again on the same data."""

import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import psycopg2
import pytest

from sendarix import postgres
from tests.faults import record
from tests.faults.record import Sink
from tests.faults.stage import MAIL, ROOT, Actor, eventually, free_port, manage


class House:
    """`manage.py up` on a home of its own, with a mail server as its only route."""

    def __init__(self, home: Path, mail_port: int) -> None:
        self.home, self.port = home, free_port()
        plain = {
            name: value for name, value in os.environ.items() if not name.startswith(("SENDARIX_", "DATABASE_URL"))
        }
        named = {"SENDARIX_HOME": str(home), "PORT": str(self.port), "SENDARIX_HELO": "out.sendarix.test"}
        route = {
            "SENDARIX_DEFAULT_ROUTE": f"smtp://127.0.0.1:{mail_port}?tls=none",
            "SENDARIX_RETRY_LADDER": "1,1,2,2,2",
        }
        self.environment = plain | named | route | {"PYTHONPATH": str(ROOT)}
        self.up = self.start()

    def start(self) -> Actor:
        self.up = Actor("up", manage("up"), self.environment, self.home / "up.log")
        return self.up

    def answers(self) -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def post(self) -> str | None:
        """The id of an accepted message; None when there was no 202."""
        key = json.loads((self.home / "demo.json").read_text())["live_key"]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        mail = json.dumps(MAIL | {"from": "no-reply@hanbit.example"}).encode()
        with suppress(OSError, HTTPException):
            request = Request(f"http://127.0.0.1:{self.port}/v1/messages", mail, headers)
            with urlopen(request, timeout=5) as answer:
                return json.load(answer)["message_id"]
        return None

    def query(self, sql: str, *values: object) -> list[tuple]:
        connection = psycopg2.connect(postgres.url(self.home))
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def settled(self) -> bool:
        return self.query("SELECT count(*) FROM messages WHERE due_at IS NOT NULL OR worker IS NOT NULL")[0][0] == 0


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_house_killed_under_load_loses_nothing(note) -> None:
    home, mail_port = Path(tempfile.mkdtemp(prefix="sendarix-house-")), free_port()
    house = House(home, mail_port)
    ids: list[str | None] = []
    over = threading.Event()

    def load() -> None:
        while not over.wait(0.02):
            ids.append(house.post())

    try:
        with Sink(mail_port) as sink:
            assert eventually(house.answers, 60, 0.1), house.up.text[-2000:]
            thread = threading.Thread(target=load)
            thread.start()
            assert eventually(lambda: len(sink.record()) > 50, 20), house.up.text[-2000:]
            house.up.family()
            house.up.process.kill()
            house.up.process.wait()
            died, before, asked = time.monotonic(), len(sink.record()), len(ids)
            again = house.start()
            assert eventually(lambda: len(sink.record()) > before + 50, 60), again.text[-2000:]
            over.set()
            thread.join()
            assert eventually(house.settled, 60, 0.1), again.text[-2000:]
            audit = record.of(house, sink, [one for one in ids if one])
            back = sink.dots_of(next(one for one in ids[asked:] if one))[0].at - died
            note(f"manage.py up killed under load and started again: {audit}; next new message sent after {back:.1f} s")
            assert not audit.faults
    finally:
        over.set()
        house.up.end()
        shutil.rmtree(home, ignore_errors=True)
