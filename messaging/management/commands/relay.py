"""manage.py relay: takes mails in over SMTP, and what comes back to the bounce domain, until SIGTERM or SIGINT."""

import asyncio
import gc
import signal
import socket

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from messaging.domains import names
from messaging.inbound import certificates
from messaging.inbound.relay import Relay
from sendarix.accounts import request_log


class Command(BaseCommand):
    help = "Listen on RELAY_PORT and RELAY_TLS_PORT: SMTP submission with an API key as password, and bounces."
    requires_system_checks: list[str] = []  # they import every view, and none is served here

    def handle(self, *args, **options) -> None:
        names.suffixes()
        request_log.keep()
        try:
            uvloop.run(self._serve())
        finally:
            request_log.stop()

    async def _serve(self) -> None:
        relay = Relay(settings.RELAY_NAME or settings.HELO_NAME or socket.getfqdn(), certificates.context())
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        try:
            await relay.start(settings.RELAY_HOST, settings.RELAY_PORT or None, settings.RELAY_TLS_PORT or None)
        except OSError as error:
            raise CommandError(
                f"The relay can't listen: {error}. RELAY_PORT and RELAY_TLS_PORT choose others."
            ) from error
        self.stdout.write(f"relay listens on {settings.RELAY_HOST}, ports {relay.ports}")
        self.stdout.flush()
        gc.freeze()
        await told.wait()
        await relay.stop()
