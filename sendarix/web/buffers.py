"""What a connection has sent and what it is still to be sent; small in memory, large in a temporary file."""

import socket
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any

from gunicorn.http.unreader import Unreader

IN_MEMORY = 256 * 1024
BLOCK = 64 * 1024


class Replay(Unreader):
    """Gives gunicorn's parser a request that has arrived whole; after it comes the end, never the socket."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._pieces: list[bytes] = []
        self._spilled: IO[bytes] | None = None

    def keep(self, data: bytes) -> None:
        self.size += len(data)
        if self._spilled is None and self.size > IN_MEMORY:
            self._spilled = TemporaryFile()  # noqa: SIM115  # closed by close()
            self._spilled.writelines(self._pieces)
            self._pieces.clear()
        if self._spilled is None:
            self._pieces.append(data)
        else:
            self._spilled.write(data)

    def rewind(self) -> None:
        if self._spilled is None:
            self._pieces = [b"".join(self._pieces)]
        else:
            self._spilled.seek(0)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """From memory all of it at once."""
        if self._spilled is None:
            return self._pieces.pop() if self._pieces else b""
        return self._spilled.read(max(size_hint or 0, BLOCK))

    def spent(self) -> bool:
        """Whether the parser took every octet: if not, it saw another request than framing did."""
        return not self.buf.getvalue() and not self.chunk(1)

    def close(self) -> None:
        if self._spilled is not None:
            self._spilled.close()


class Outbox:
    """Stands in for the socket while the application answers: sends what the kernel takes, keeps the rest."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._gathered = bytearray()
        self._kept: SpooledTemporaryFile[bytes] | None = None
        self._written = self._sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        self._gathered += data
        if len(self._gathered) >= BLOCK:
            self.push()

    def push(self) -> None:
        """Sends what was gathered, or keeps it behind what waits already. OSError when the peer is gone."""
        sent = 0 if self.waiting else self._try(self._gathered)
        if sent < len(self._gathered):
            self._kept = self._kept or SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by close()
            self._kept.seek(self._written)
            self._kept.write(bytes(self._gathered[sent:]))
            self._written += len(self._gathered) - sent
        self._gathered.clear()

    @property
    def waiting(self) -> int:
        """Octets that the kernel has not taken yet."""
        return self._written - self._sent

    def flush(self) -> None:
        """Sends on, as far as the kernel takes it now."""
        while self._kept and self.waiting:
            self._kept.seek(self._sent)
            block = self._kept.read(BLOCK)
            sent = self._try(block)
            self._sent += sent
            if sent < len(block):
                return

    def close(self) -> None:
        if self._kept:
            self._kept.close()

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
