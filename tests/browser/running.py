"""The running product that the browser looks at: `manage.py up` on a home of its own, its demo account, and on loopback a mail
server that takes, defers or refuses as told, a DNS server, and a receiver of webhooks."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.delivery.dns_server import DnsServer
from tests.delivery.smtp_sink import SmtpSink
from tests.webhooks.receiver import Receiver

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240.0


class Site:
    """One running product. `api` calls with the demo account's live key; `sink` is the mail server its mail goes to, where
    `replies` says what it answers to whom (a part of RCPT's line); `dns` is whom it asks for names."""

    def __init__(self, home: Path, port: int, sink: SmtpSink, dns: DnsServer, receiver: Receiver) -> None:
        self.home, self.sink, self.dns, self.receiver = home, sink, dns, receiver
        self.url = f"http://127.0.0.1:{port}"
        self.replies: dict[str, str] = {}
        sink.script["rcpt"] = lambda line: next((reply for part, reply in self.replies.items() if part in line), None)
        self.log = home / "up.log"
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
            "SENDARIX_HOME": str(home),
            "PORT": str(port),
            "RELAY_PORT": "0",
            "RELAY_TLS_PORT": "0",
            "WEB_WORKERS": "1",
            "SENDARIX_DELIVERY_PROCESSES": "1",
            "SENDARIX_DNS": "{}:{}".format(*dns.address),
            "SENDARIX_DEFAULT_ROUTE": f"smtp://127.0.0.1:{sink.port}?tls=none",
        }
        with self.log.open("wb") as log:
            argv = [sys.executable, str(ROOT / "manage.py"), "up"]
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        self.demo: dict[str, str] = {}

    @cached_property
    def api(self) -> httpx.Client:
        return self.client(self.demo["live_key"])

    def client(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)

    def send(self, **fields: Any) -> str:
        """The id of an accepted mail."""
        mail = {"recipient": "kim@hanbit.example", "subject": "Your order", "text": "It is on its way."} | fields
        answer = self.api.post("/v1/messages", json=mail)
        assert answer.status_code == 202, answer.text
        return answer.json()["message_id"]

    def until(self, message_id: str, *statuses: str) -> dict[str, Any]:
        """The message once it has one of these statuses."""
        ends = time.monotonic() + 30
        while (shown := self.api.get(f"/v1/messages/{message_id}").json())["status"] not in statuses:
            assert time.monotonic() < ends, shown
            time.sleep(0.05)
        return shown

    def manage(self, *arguments: str) -> str:
        """What a command of manage.py says, on this home."""
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment |= {"SENDARIX_HOME": str(self.home), "SENDARIX_PUBLIC_URL": self.url}
        argv = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout

    def end(self) -> None:
        if "api" in self.__dict__:
            self.api.close()
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        psutil.wait_procs(family, 20)

    def await_readiness(self) -> None:
        ends = time.monotonic() + PATIENCE
        while "Send one yourself" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.1)
        self.demo = json.loads((self.home / "demo.json").read_text())


@contextmanager
def running() -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    home = Path(tempfile.mkdtemp(prefix="sendarix-browser-"))
    try:
        with SmtpSink() as sink, DnsServer({}) as dns, Receiver() as receiver:
            site = Site(home, port, sink, dns, receiver)
            try:
                site.await_readiness()
                yield site
            finally:
                site.end()
    finally:
        shutil.rmtree(home, ignore_errors=True)
