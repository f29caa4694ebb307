"""gunicorn's thread worker, changed so that slow peers cost no thread.

A request is read whole before a thread gets it; what a peer does not take of its answer at once, the poller
sends. HTTP/1.1 only; TLS ends in a proxy.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from selectors import EVENT_READ, EVENT_WRITE
from socket import SHUT_WR
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from sendarix.core import errors, ids
from sendarix.web.buffers import Outbox, Replay
from sendarix.web.framing import Framing, HeadTooLarge

HEAD_SECONDS = 15.0  # from the first octet of a request to the end of its head
BODY_SECONDS = 20.0  # for a body or an answer, plus a second for every SLOWEST octets
SLOWEST = 2048
LINGER_SECONDS = 2.0  # for the peer to take the last answer before the connection closes
BODY_LIMIT = 51 * 1024 * 1024  # beyond it only the head is handed over; the API's own limit is a little lower
HELD_LIMIT = 1024 * 1024 * 1024  # octets of requests kept at a time
RECEIVE = 256 * 1024
SWEEP_SECONDS = 0.5


class Exchange:
    """One request on a connection, and its answer."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.framing, self.replay = Framing(BODY_LIMIT), Replay()
        self.begun = self.keep = False
        self.held = 0
        self.rest = b""
        self.outbox: Outbox | None = None

    def take(self, data: bytes, now: float) -> None:
        """Raises HeadTooLarge."""
        if not self.begun:
            self.begun, self.deadline = True, now + HEAD_SECONDS
        had_head = self.framing.head_done
        used = self.framing.feed(data)
        self.replay.keep(data[:used])
        self.held += used
        self.rest = data[used:]
        if self.framing.head_done:
            self.deadline = (self.deadline if had_head else now + BODY_SECONDS) + used / SLOWEST

    def close(self) -> None:
        self.replay.close()
        if self.outbox is not None:
            self.outbox.close()


class WholeRequestWorker(ThreadWorker):
    """Everything but `handle_request` and `handle_error` runs in the poller's thread and must not block.

    gthread calls `enqueue_req` for a connection with something to read and `finish_request` after its thread.
    """

    def init_process(self) -> None:
        self._exchanges: dict[TConn, Exchange] = {}
        self._watched: dict[TConn, int] = {}
        self._held = 0
        self._swept = 0.0
        super().init_process()

    # Reading a request

    def enqueue_req(self, conn: TConn, data: bytes = b"") -> None:
        known = conn.initialized
        conn.init()
        conn.sock.setblocking(False)
        self._exchanges[conn] = Exchange(time.monotonic() + (self.cfg.keepalive if known else HEAD_SECONDS))
        if data:
            self._take(conn, data)
        elif known:
            self._watch(conn, EVENT_READ, self._read)
        else:
            self._read(conn)

    def _read(self, conn: TConn) -> None:
        try:
            data = conn.sock.recv(RECEIVE)
        except BlockingIOError:
            self._watch(conn, EVENT_READ, self._read)
            return
        except OSError:
            data = b""
        if data:
            self._take(conn, data)
        else:
            self._drop(conn)

    def _take(self, conn: TConn, data: bytes) -> None:
        exchange = self._exchanges[conn]
        try:
            exchange.take(data, time.monotonic())
        except HeadTooLarge:
            self._refuse(conn, errors.BadRequest("The header is over 64 KiB."))
            return
        self._held += len(data) - len(exchange.rest)
        if exchange.framing.complete:
            self._hand_over(conn, exchange)
        elif self._held > HELD_LIMIT:
            self._refuse(conn, errors.Unavailable(code="busy"))
        else:
            self._invite(conn, exchange)
            self._watch(conn, EVENT_READ, self._read)

    def _invite(self, conn: TConn, exchange: Exchange) -> None:
        """A client that asked waits for this line before it sends a body (RFC 9110 section 10.1.1)."""
        if exchange.framing.head_done and exchange.framing.expects_continue:
            exchange.framing.expects_continue = False
            with suppress(OSError):
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: TConn, exchange: Exchange) -> None:
        self._unwatch(conn)
        exchange.replay.rewind()
        conn.parser.unreader = exchange.replay
        super().enqueue_req(conn)

    # In a thread

    def handle_request(self, req: Any, conn: TConn) -> bool:
        sock, outbox = conn.sock, Outbox(conn.sock)
        self._exchanges[conn].outbox = conn.sock = outbox
        try:
            keep: bool = super().handle_request(req, conn)
            outbox.push()
        finally:
            conn.sock = sock
        return keep

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """What gunicorn's parser refuses gets the one shape of errors. Nothing here quotes the request."""
        request_id = ids.new("req")
        if isinstance(exc, ParseException):
            self.log.warning("%s from %s refused: %s", request_id, addr and addr[0], type(exc).__name__)
            refusal: errors.ApiError = errors.BadRequest()
        else:
            errors.log(exc, request_id)
            refusal = errors.of(exc)
        with suppress(OSError):
            client.setblocking(False)
            client.send(_answer(refusal, request_id))

    # After it

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        exchange = self._exchanges[conn]
        try:
            conn.sock.setblocking(False)
            keep = not fs.cancelled() and fs.result()
            exchange.keep = bool(keep) and not exchange.framing.cut and exchange.replay.spent()
        except Exception:
            self.log.exception("A request failed outside the application")
            self._drop(conn)
            return
        self._release(exchange)
        if exchange.outbox is not None:
            exchange.deadline = time.monotonic() + BODY_SECONDS + exchange.outbox.waiting / SLOWEST
        self._write(conn)

    def _write(self, conn: TConn) -> None:
        exchange = self._exchanges[conn]
        try:
            if exchange.outbox is not None:
                exchange.outbox.flush()
        except OSError:
            self._drop(conn)
            return
        if exchange.outbox is not None and exchange.outbox.waiting:
            self._watch(conn, EVENT_WRITE, self._write)
            return
        self._unwatch(conn)
        exchange.close()
        if exchange.keep:
            self.enqueue_req(conn, exchange.rest)
        else:
            self._linger(conn)

    def _refuse(self, conn: TConn, refusal: errors.ApiError) -> None:
        self._release(self._exchanges[conn])
        self._exchanges[conn].close()
        self._unwatch(conn)
        with suppress(OSError):
            conn.sock.send(_answer(refusal, ids.new("req")))
        self._linger(conn)

    def _linger(self, conn: TConn) -> None:
        """Half closed until the peer closes too: a reset could lose the answer (RFC 9112 section 9.6)."""
        self._exchanges[conn] = Exchange(time.monotonic() + LINGER_SECONDS)
        try:
            conn.sock.shutdown(SHUT_WR)
        except OSError:
            self._drop(conn)
        else:
            self._watch(conn, EVENT_READ, self._discard)

    def _discard(self, conn: TConn) -> None:
        try:
            more = bool(conn.sock.recv(RECEIVE))
        except BlockingIOError:
            more = True
        except OSError:
            more = False
        if not more:
            self._drop(conn)

    # The poller

    def _watch(self, conn: TConn, events: int, callback: Callable[[TConn], None]) -> None:
        if self._watched.get(conn) != events:
            self._unwatch(conn)
            self._watched[conn] = events
            self.poller.register(conn.sock, events, lambda _: callback(conn))

    def _unwatch(self, conn: TConn) -> None:
        if self._watched.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: TConn) -> None:
        self._unwatch(conn)
        exchange = self._exchanges.pop(conn)
        self._release(exchange)
        exchange.close()
        self.nr_conns -= 1
        conn.close()

    def _release(self, exchange: Exchange) -> None:
        self._held -= exchange.held
        exchange.held = 0

    def murder_pending(self) -> None:
        """Called by gthread at every turn: closes what is overdue, and what is idle in a stopping worker."""
        now = time.monotonic()
        if now < self._swept + SWEEP_SECONDS:
            return
        self._swept = now
        for conn in [*self._watched]:
            exchange = self._exchanges[conn]
            if not self.alive:
                exchange.deadline = min(exchange.deadline, now + LINGER_SECONDS if exchange.begun else now)
            if exchange.deadline <= now:
                self._expire(conn, exchange)

    def _expire(self, conn: TConn, exchange: Exchange) -> None:
        if exchange.begun and exchange.outbox is None:
            self._refuse(conn, errors.BadRequest("The request did not arrive in time."))
        else:
            self._drop(conn)


def _answer(refusal: errors.ApiError, request_id: str) -> bytes:
    body = json.dumps(errors.body(refusal, request_id)).encode()
    fixed = {"Connection": "close", "Content-Type": "application/json", "X-Request-Id": request_id}
    headers = fixed | refusal.headers | {"Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n{head}\r\n".encode() + body
