"""The line to a provider's API: a session that connects only to the addresses it was given, by TLS for the name asked for, with
no proxy, no redirect and no endless answer; it asks before the first byte goes out and knows how far it got."""

import functools
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.poolmanager import PoolManager

CONNECT = 5.0
"""Seconds for each address."""

SILENCE = 30.0
"""Seconds without a byte."""

MOST_ADDRESSES = 3

MOST_ANSWER = 1024 * 1024
"""Octets of an answer that are read; the rest is cut off with its connection."""

BLOCK = 64 * 1024


class NotAllowed(Exception):
    """The message is no longer ours to send; nothing was sent."""


class Call:
    """One request. `allow` is asked once, before the first byte; `begun`: bytes may have gone out; `whole`: all of them have."""

    def __init__(self, allow: Callable[[], bool]) -> None:
        self._allow = allow
        self.begun = False
        self.whole = False
        self.expired = False

    def begin(self) -> None:
        if self.begun:
            return
        if self.expired or not self._allow():
            raise NotAllowed
        self.begun = True


class Line:
    """What the connections of one session share: where they may lead, the call under way, and the socket it uses. One call at a
    time; `break_off` may come from any thread."""

    def __init__(self, host: str, *, plain: bool) -> None:
        self.host = host
        self.plain = plain
        self.addresses: Sequence[str] = ()
        self.call = Call(lambda: False)
        self.address: str | None = None
        self.tls: str | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """To the first address that answers. Raises NewConnectionError: nothing was sent."""
        if connection.host.strip("[]") != self.host:
            raise NewConnectionError(connection, f"{connection.host} is not this route's host")
        failure: OSError = OSError("no address")
        for address in self.addresses[:MOST_ADDRESSES]:
            try:
                found = socket.create_connection((address, connection.port), CONNECT)
            except OSError as error:
                failure = error
                continue
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.settimeout(SILENCE)
            self.use(found)
            self.address, self.tls = address, None
            return found
        raise NewConnectionError(connection, f"{self.host}: {failure}") from failure

    def use(self, found: socket.socket) -> None:
        with self._lock:
            self._socket = found
            expired = self.call.expired
        if expired:
            _shut(found)

    def break_off(self) -> None:
        """The call's time is over: whoever waits for its socket goes on at once, with an error."""
        with self._lock:
            self.call.expired = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(found: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(found, socket.SHUT_RDWR)  # not SSLSocket's, which would take the session from its reader


class _Lined(HTTPConnection):
    line: Line

    def _new_conn(self) -> socket.socket:
        return self.line.connect(self)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.line.use(self.sock)
        if isinstance(self.sock, ssl.SSLSocket):
            self.line.tls = self.sock.version()
        self.line.call.begin()
        super().send(data)

    def request(self, *arguments: Any, **options: Any) -> None:
        super().request(*arguments, **options)
        self.line.call.whole = True


class _PlainConnection(_Lined):
    pass


class _SecureConnection(_Lined, HTTPSConnection):
    pass


def _made(kind: type[_Lined], line: Line, *arguments: Any, **options: Any) -> _Lined:
    made = kind(*arguments, **options)
    made.line = line
    return made


class _Adapter(HTTPAdapter):
    """Pools whose connections belong to the line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        self.poolmanager = manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        plain = _pool(HTTPConnectionPool, _PlainConnection, self.line)
        secure = _pool(HTTPSConnectionPool, _SecureConnection, self.line)
        manager.pool_classes_by_scheme = {"http": plain, "https": secure}


def _pool(kind: type, connection: type[_Lined], line: Line) -> type:
    made = functools.partial(_made, connection, line)
    return type(kind.__name__, (kind,), {"ConnectionCls": staticmethod(made)})


class Session(requests.Session):
    """A requests session over a line: nothing from the environment, and answers read up to MOST_ANSWER octets."""

    def __init__(self, line: Line, verify: bool | str = True) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = verify
        self.headers["User-Agent"] = "Sendarix"
        self.headers["Accept-Encoding"] = "identity"
        self.adapters.clear()
        self.mount("https://", _Adapter(line))
        if line.plain:
            self.mount("http://", _Adapter(line))

    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        options |= {"allow_redirects": False, "stream": True}
        response = super().request(*arguments, **options)
        response._content = _start(response)  # as requests keeps what it has read
        return response


def _start(response: requests.Response) -> bytes:
    """As much of the answer as came: its status is known whatever happens to the rest."""
    found = bytearray()
    try:
        while block := response.raw.read(BLOCK, decode_content=False):
            found += block
            if len(found) > MOST_ANSWER:
                response.raw.close()
                break
    except (HTTPError, OSError):
        response.raw.close()
    return bytes(found[:MOST_ANSWER])
