"""A real DNS server on loopback, UDP and TCP, for tests: answers from a dict of names, or fails as told.

`DnsServer({"example.com": {"MX": ["10 mx.example.com."]}, "mx.example.com": {"A": ["193.0.6.139"]}})`; a
name's value may also be "SERVFAIL", "REFUSED" or "SILENT", and so may the value of one type. `txt("…")` writes a TXT value as
zone files do, in strings of 255 octets.
"""

import socketserver
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = dict[str, "str | dict[str, list[str] | str]"]


def txt(value: str | bytes, cut: int = 255) -> str:
    """In quotes, other octets than printable ASCII escaped; any zone file would read it."""
    data = value.encode() if isinstance(value, str) else value
    strings = [data[start : start + cut] for start in range(0, len(data), cut)] or [b""]
    return " ".join(f'"{"".join(_escaped(octet) for octet in string)}"' for string in strings)


def _escaped(octet: int) -> str:
    return chr(octet) if 32 <= octet < 127 and octet not in b'"\\' else f"\\{octet:03d}"


class DnsServer:
    """Serves until `stop`. `asked` lists (name, type) of every question; `truncate` makes UDP answers say:
    ask by TCP."""

    def __init__(self, zones: Records, *, ttl: int = 60, truncate: bool = False) -> None:
        self.zones = {name.lower().rstrip("."): records for name, records in zones.items()}
        self.ttl = ttl
        self.truncate = truncate
        self.asked: list[tuple[str, str]] = []
        self.by_tcp = 0
        self._tcp = _Tcp(("127.0.0.1", 0), _TcpQuestion)
        self._udp = _Udp(self._tcp.server_address, _UdpQuestion)
        self._tcp.dns = self._udp.dns = self

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._tcp.server_address[1]

    def start(self) -> "DnsServer":
        for server in (self._tcp, self._udp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        for server in (self._tcp, self._udp):
            server.shutdown()
            server.server_close()

    def __enter__(self) -> "DnsServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if udp and self.truncate:
            return self._by_tcp(response)
        if not self._fill(response, name, kind):
            return None
        try:
            return response.to_wire(max_size=1232 if udp else 65535)
        except dns.exception.TooBig:
            return self._by_tcp(response)

    def _by_tcp(self, response: dns.message.Message) -> bytes:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str, depth: int = 0) -> bool:
        records = self.zones.get(name)
        if records is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return True
        found = records if isinstance(records, str) else records.get(kind, [])
        if isinstance(found, str):
            if found != "SILENT":
                response.set_rcode(dns.rcode.from_text(found))
            return found != "SILENT"
        if isinstance(records, dict) and "CNAME" in records and kind != "CNAME":
            return self._follow(response, name, kind, records["CNAME"][0], depth)
        if found:
            response.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", kind, found))
        return True

    def _follow(self, response: dns.message.Message, name: str, kind: str, target: str, depth: int) -> bool:
        response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", target))
        if depth > 20:
            return True
        return self._fill(response, target.rstrip(".").lower(), kind, depth + 1)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    dns: DnsServer


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    dns: DnsServer


class _UdpQuestion(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        data, sock = self.request
        answer = self.server.dns.answer(data, udp=True)
        if answer is not None:
            sock.sendto(answer, self.client_address)


class _TcpQuestion(socketserver.StreamRequestHandler):
    server: _Tcp

    def handle(self) -> None:
        while head := self.rfile.read(2):
            self.server.dns.by_tcp += 1
            answer = self.server.dns.answer(self.rfile.read(struct.unpack("!H", head)[0]), udp=False)
            if answer is None:
                return
            self.wfile.write(struct.pack("!H", len(answer)) + answer)
