"""A small SMTP server that notes when each final dot arrives: a line "Message-ID seconds" on stdout, by the machine's monotonic
clock, which other processes share. Accepts everything, keeps nothing. python -m bench.sink PORT [--silent]: with --silent it
takes connections and never says a word."""

import asyncio
import re
import sys
import time

HELLO = b"250-sink.test\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"
REPLIES = {b"EHLO": HELLO, b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
message_id = re.compile(rb"^Message-ID:\s*<([^>@]+)", re.IGNORECASE | re.MULTILINE)


class Session(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        self.transport = transport
        self.received = bytearray()
        self.in_data = False
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (self._message if self.in_data else self._command)():
            pass

    def _command(self) -> bool:
        line, found, rest = self.received.partition(b"\r\n")
        if not found:
            return False
        self.received = rest
        verb = bytes(line[:4]).upper()
        self.transport.write(REPLIES.get(verb, b"250 2.0.0 ok\r\n"))
        self.in_data = verb == b"DATA"
        if verb == b"QUIT":
            self.transport.close()
        return verb != b"QUIT"

    def _message(self) -> bool:
        end = self.received.find(b"\r\n.\r\n")
        if end < 0:
            return False
        now = time.monotonic()
        found = message_id.search(bytes(self.received[:end]))
        del self.received[: end + 5]
        self.in_data = False
        self.transport.write(b"250 2.0.0 ok\r\n")
        if found:
            print(found[1].decode(), now, flush=True)
        return True


async def main(port: int, silent: bool) -> None:
    protocol = asyncio.Protocol if silent else Session
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, backlog=200)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), "--silent" in sys.argv))
