"""Where one HTTP/1.1 request ends in a stream of bytes (RFC 9112 section 6).

It judges nothing else: gunicorn's parser does, on exactly these bytes; if they disagree the connection closes.
"""

import re

HEAD_LIMIT = 64 * 1024
LINE_LIMIT = 8 * 1024
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
_CODING = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_EXPECT = re.compile(rb"^expect:[ \t]*100-continue[ \t]*\r$", re.IGNORECASE | re.MULTILINE)


class HeadTooLarge(Exception):
    """The head is over HEAD_LIMIT octets."""


class Framing:
    """Fed with what arrives; `complete` once the request is whole, and `cut` where it grew too long."""

    def __init__(self, body_limit: int) -> None:
        self.complete = self.cut = self.expects_continue = False
        self.head_done = False
        self._limit = body_limit
        self._head = bytearray()
        self._left = 0
        self._chunks: _Chunks | None = None

    def feed(self, data: bytes) -> int:
        """How many of these octets belong to the request. Raises HeadTooLarge."""
        if self.head_done:
            return self._feed_body(data)
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        if (len(self._head) if end < 0 else end) > HEAD_LIMIT:
            raise HeadTooLarge
        if end < 0:
            return len(data)
        self._read_head(bytes(self._head[: end + 4]))
        used = end + 4 - before
        return used + self._feed_body(data[used:])

    def _read_head(self, head: bytes) -> None:
        self.head_done = True
        self._head.clear()
        self.expects_continue = bool(_EXPECT.search(head))
        if _CODING.search(head):
            self._chunks, self._left = _Chunks(), self._limit
        elif length := _LENGTH.search(head):
            self._left = int(length[1])
            if self._left > self._limit:
                self._left, self.cut = 0, True

    def _feed_body(self, data: bytes) -> int:
        used = len(data) if self._chunks is None else self._chunks.feed(data)
        too_long = self._chunks is not None and used > self._left
        used = min(used, self._left)
        self._left -= used
        if self._chunks is None:
            self.complete = self._left == 0
        else:
            self.cut = too_long or (self._left == 0 and not self._chunks.done)
            self.complete = self.cut or self._chunks.done
        return used


class _Chunks:
    """Follows chunk sizes to the end of the trailers (RFC 9112 section 7.1). What is malformed is done."""

    def __init__(self) -> None:
        self.done = False
        self._line = bytearray()
        self._skip = 0
        self._trailer = False

    def feed(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.done:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = data.find(b"\n", at)
            stop = len(data) if end < 0 else end + 1
            self._line += data[at:stop]
            at = stop
            if end >= 0:
                self._take(bytes(self._line).strip())
                self._line.clear()
            self.done = self.done or len(self._line) > LINE_LIMIT
        return at

    def _take(self, line: bytes) -> None:
        size = re.match(rb"[0-9a-fA-F]+", line)
        if self._trailer:
            self.done = not line
        elif size is None:
            self.done = True
        elif octets := int(size[0], 16):
            self._skip = octets + 2
        else:
            self._trailer = True
