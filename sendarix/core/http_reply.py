"""Reading one HTTP/1.1 reply to a POST, octet by octet if need be, by h11: bounded in size and in work, never unpacked.
It knows no sockets."""

from enum import StrEnum

import h11

HEAD_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024
BODY_PIECES = 1000
_SLICE = 16 * 1024

# What h11 is told was sent: it wants some request to read the reply by, and a GET's costs it least. Replies to POST have
# the same framing.
_ASKED = h11.Request(method="GET", target="/", headers=[("Host", "-")])
_ASKED_END = h11.EndOfMessage()


class Cause(StrEnum):
    """Why there is no answer. `refused`: the host is not of the open Internet. `connect`, `tls`: it never came to a
    request. `reset`: the connection ended too early, with or without RST. `protocol`: what came is not HTTP/1.1.
    `too_large`: a head over 64 KB."""

    RESOLVE = "resolve"
    REFUSED = "refused"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    RESET = "reset"
    TOO_LARGE = "too_large"


class Lost(Exception):
    """There will be no whole reply."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


class Reply:
    """Fed until `feed` or `end` says it is whole. Of the body at most 64 KB and 1,000 pieces (chunks) are read: then
    `cut` is True, and the connection is of no more use."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""
        self.cut = False
        self.heard = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._wire = 0
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._h11.send(_ASKED)
        self._h11.send(_ASKED_END)

    def feed(self, data: bytes) -> bool:
        """Takes what came; True once the reply is whole. Raises Lost."""
        self.heard = True
        for at in range(0, len(data), _SLICE):
            self._h11.receive_data(data[at : at + _SLICE])
            self._wire += min(_SLICE, len(data) - at)
            if self._read():
                return True
        return False

    def end(self) -> bool:
        """The peer closed its side; True when that makes the reply whole (RFC 9112 section 6.3). Raises Lost."""
        self._h11.receive_data(b"")
        try:
            return self._events()
        except h11.RemoteProtocolError:
            raise Lost(Cause.RESET, f"the connection was closed {self.progress}") from None

    @property
    def progress(self) -> str:
        """How far the reply has come, to end a sentence with."""
        if self.status is None:
            return "within the head of the reply" if self.heard else "without a reply"
        return f"within the reply (status {self.status}, {self._size:,} octets of its body)"

    @property
    def keeps(self) -> bool:
        """The peer lets the connection live, and has said nothing after the reply."""
        return self._h11.their_state is h11.DONE and not self.cut and not self._h11.trailing_data[0]

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case names; repeated ones joined by a comma."""
        joined: dict[str, str] = {}
        for raw_name, raw in self._headers:
            name, said = raw_name.decode("latin-1"), raw.decode("latin-1")
            joined[name] = f"{joined[name]}, {said}" if name in joined else said
        return joined

    def _read(self) -> bool:
        try:
            return self._events()
        except h11.RemoteProtocolError as error:
            if self.status is None and error.error_status_hint == 431:
                raise self._too_large() from None
            raise Lost(Cause.PROTOCOL, f"the reply is not HTTP/1.1: {error}") from None

    def _events(self) -> bool:
        while True:
            match self._h11.next_event():
                case h11.Response() as response:
                    if response.http_version not in (b"1.0", b"1.1"):
                        raise Lost(Cause.PROTOCOL, "the reply is not HTTP/1.1")
                    self.status = response.status_code
                    self._headers = list(response.headers)
                case h11.Data() as data:
                    if self._is_enough(bytes(data.data)):
                        return True
                case h11.EndOfMessage():
                    self.body = b"".join(self._pieces)
                    return True
                case h11.NEED_DATA | h11.PAUSED:
                    if self.status is None and self._wire > HEAD_BYTES:
                        raise self._too_large()
                    return self._wire > HEAD_BYTES + BODY_BYTES and self._is_enough(b"", at_most=0)

    def _is_enough(self, piece: bytes, at_most: int = BODY_BYTES) -> bool:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size <= at_most and len(self._pieces) <= BODY_PIECES:
            return False
        self.body, self.cut = b"".join(self._pieces)[:BODY_BYTES], True
        return True

    @staticmethod
    def _too_large() -> Lost:
        return Lost(Cause.TOO_LARGE, f"the reply's head is over {HEAD_BYTES:,} octets")
