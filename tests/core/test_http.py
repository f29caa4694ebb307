"""The client that POSTs to customers' hosts, against a real receiver that answers well, badly, or not at all."""

import asyncio
import re
import socket
import threading
from collections.abc import Sequence
from contextlib import closing, contextmanager

import pytest

from sendarix.core import http
from sendarix.core.http import Answer, Client, Failure
from sendarix.core.http_reply import Cause, Lost, Reply
from sendarix.core.outbound import LookupFailed, Target, read_url
from tests.webhooks import receiver
from tests.webhooks.receiver import Drip, Drop, Endless, Flood, Never, Raw, Receiver, Reset, gzip_bomb

HEADERS = {"webhook-id": "msg_1", "Content-Type": "application/json"}
BODY = b'{"type":"message.delivered"}'


def has_ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def answering(*addresses: str):
    async def lookup(name: str) -> Sequence[str]:
        return addresses

    return lookup


def client_of(server: Receiver, **options) -> Client:
    target = read_url(server.url, allow_http=True, allow_loopback=True)
    return Client(target, answering(), allow_loopback=True, tls=server.trust, **options)


def named(server: Receiver, name: str, *addresses: str, tls=None) -> Client:
    scheme = server.origin.partition(":")[0]
    lookup = answering(*addresses or ("127.0.0.1",))
    return Client(Target(scheme, name, server.port, "/hook"), lookup, allow_loopback=True, tls=tls or server.trust)


def post(client: Client, times: int = 1, *, deadline: float = 10.0) -> list[Answer | Failure]:
    """So many POSTs, one after the other, in a loop of their own."""

    async def run():
        answers = []
        with closing(client):
            for _ in range(times):
                answers.append(await client.post("/hook?a=1", HEADERS, BODY, deadline))
        return answers

    return asyncio.run(run())


def posted(step: receiver.Step, *, deadline: float = 10.0, tls: bool = False) -> Answer | Failure:
    with Receiver(tls=tls) as server:
        server.default = step
        return post(client_of(server), deadline=deadline)[0]


def test_the_request_is_as_asked_and_the_reply_comes_back():
    with Receiver() as server:
        server.default = receiver.Reply(202, {"X-Trace": "7", "Retry-After": "3"}, b"taken")
        (answer,) = post(client_of(server))
        (request,) = server.requests
    assert isinstance(answer, Answer)
    assert (answer.status, answer.text, answer.truncated, answer.address) == (202, "taken", False, "127.0.0.1")
    assert answer.headers == {"x-trace": "7", "retry-after": "3", "content-length": "5"}
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1", BODY)
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept-encoding": "identity",
        "content-length": str(len(BODY)),
        "webhook-id": "msg_1",
        "content-type": "application/json",
        "user-agent": "Sendarix",
    }


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 304, 400, 410, 429, 500, 503, 599])
def test_every_status_is_an_answer_and_no_redirect_is_followed(status: int):
    with Receiver() as elsewhere, Receiver() as server:
        server.default = receiver.Reply(status, {"Location": elsewhere.url}, b"")
        first, second = post(client_of(server), 2)
        assert first.status == second.status == status
        assert (server.connections, elsewhere.connections) == (1, 0)


@pytest.mark.parametrize(
    "reply",
    [
        receiver.Reply(body=b"x" * 900, chunked=True),
        receiver.Reply(body=b"x" * 900, length=False),
        receiver.Reply(body=b"x" * 900, version="1.0"),
        receiver.Reply(body=b"x" * 900, close=True),
        receiver.Reply(body=b"x" * 900, pause=0.05),
        Drip(receiver.Reply(body=b"x" * 900), every=0),
        Raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + b"x" * 900),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_every_framing_of_a_reply_is_read_whole(reply: receiver.Step, tls: bool):
    answer = posted(reply, tls=tls)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.truncated) == (200, b"x" * 900, False)


def test_connections_are_kept():
    with Receiver() as plain, Receiver(tls=True) as secure:
        for server in (plain, secure):
            assert {answer.status for answer in post(client_of(server), 50)} == {200}
            assert server.connections == 1


def test_posts_at_the_same_time_have_connections_of_their_own_and_four_are_kept():
    async def run(client: Client) -> tuple[int, int]:
        with closing(client):
            answers = await asyncio.gather(*[client.post("/", {}, BODY) for _ in range(10)])
            return len([one for one in answers if isinstance(one, Answer)]), client.kept

    with Receiver() as server:
        server.default = receiver.Reply(delay=0.05)
        assert asyncio.run(run(client_of(server))) == (10, 4)
        assert server.connections == 10


@pytest.mark.parametrize(
    "reply",
    [
        receiver.Reply(close=True),
        receiver.Reply(version="1.0"),
        receiver.Reply(length=False),
        Raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
            close=False,
        ),
    ],
)
def test_a_connection_that_is_over_or_has_said_too_much_is_not_used_again(reply: receiver.Step):
    with Receiver() as server:
        server.script = [reply]
        answers = post(client_of(server), 2)
        assert [(answer.status, answer.body) for answer in answers] == [(200, b"ok")] * 2
        assert server.connections == 2


def test_what_a_peer_says_unasked_never_answers_the_next_request():
    """Response smuggling: a second reply that comes while the connection is idle."""

    async def run(server: Receiver) -> list[Answer | Failure]:
        with closing(client_of(server)) as client:
            first = await client.post("/", {}, BODY)
            while client.kept:
                await asyncio.sleep(0.01)
            return [first, await client.post("/", {}, BODY)]

    with Receiver() as server:
        server.script = [receiver.Reply(unasked=b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")]
        assert [answer.text for answer in asyncio.run(run(server))] == ["ok", "ok"]
        assert server.connections == 2


def test_a_kept_connection_the_peer_has_closed_is_replaced():
    async def run(server: Receiver) -> list[Answer | Failure]:
        with closing(client_of(server)) as client:
            first = await client.post("/", {}, BODY)
            await asyncio.to_thread(server.hang_up)
            return [first, await client.post("/", {}, BODY)]

    with Receiver() as server:
        assert [answer.status for answer in asyncio.run(run(server))] == [200, 200]
        assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("step", [Drop(), Reset()])
def test_a_request_lost_on_a_kept_connection_is_sent_once_more_on_a_new_one(step: receiver.Step):
    with Receiver() as server:
        server.script = [receiver.Reply(), step]
        assert [answer.status for answer in post(client_of(server), 2)] == [200, 200]
        assert (server.connections, len(server.requests)) == (2, 3)
        server.script = [receiver.Reply(), step, step]
        first, second = post(client_of(server), 2)
        assert (first.status, second.cause, second.sent) == (200, "reset", True)


def test_a_request_whose_reply_had_begun_is_not_sent_again():
    with Receiver() as server:
        server.script = [receiver.Reply(), Drop(receiver.Reply(500), after=1)]
        _, failure = post(client_of(server), 2)
        assert (failure.cause, failure.status, len(server.requests)) == ("reset", 500, 2)


def test_a_kept_connection_grows_no_older_than_its_time():
    async def run(server: Receiver) -> tuple[int, int]:
        with closing(client_of(server, longest_kept=0.1)) as client:
            await client.post("/", {}, BODY)
            before = client.kept
            while client.kept:
                await asyncio.sleep(0.01)
            await client.post("/", {}, BODY)
            return before, server.connections

    with Receiver() as server:
        assert asyncio.run(run(server)) == (1, 2)


def test_a_connection_whose_time_ends_while_it_is_in_use_is_not_kept():
    with Receiver() as server:
        server.default = receiver.Reply(delay=0.2)
        assert [answer.status for answer in post(client_of(server, longest_kept=0.05), 2)] == [200, 200]
        assert server.connections == 2


def test_each_new_connection_asks_and_judges_the_name_again():
    answers = [("127.0.0.1",), ("10.0.0.1",), ("127.0.0.1",)]

    async def lookup(name: str) -> Sequence[str]:
        return answers.pop(0)

    with Receiver() as server:
        server.default = receiver.Reply(close=True)
        client = Client(Target("http", "hooks.example.com", server.port, "/"), lookup, allow_loopback=True)
        first, second, third = post(client, 3)
        assert (first.status, third.status, server.connections) == (200, 200, 2)
    assert (second.cause, second.sent, second.address) == ("refused", False, None)
    assert "10.0.0.1" not in second.detail


def test_a_name_without_an_answer_is_a_failure():
    async def fails(name: str) -> Sequence[str]:
        raise LookupFailed("no answer in time")

    target = Target("https", "hooks.example.com", 443, "/")
    for lookup in (fails, answering()):
        (failure,) = post(Client(target, lookup))
        assert (failure.cause, failure.sent) == ("resolve", False)


@pytest.mark.parametrize(
    ("step", "cause", "said"),
    [
        (Drop(), "reset", "closed without a reply"),
        (Reset(), "reset", "broke without a reply: Connection reset by peer"),
        (Drop(receiver.Reply(), after=1), "reset", r"within the reply \(status 200, 1 octets"),
        (Reset(receiver.Reply(), after=1), "reset", "broke within the reply"),
        (Drop(receiver.Reply(chunked=True), after=4), "reset", "within the reply"),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "reset", "within the head"),
        (Raw(b"220 mx.example.com ESMTP\r\n\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"\x16\x03\x01\x00\xa5\x01\x00\x00"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/2.0 200 OK\r\n\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n"), "protocol", "not HTTP/1.1"),
        (Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"e" * 99_000), "protocol", "not HTTP/1.1"),
        (Endless(), "too_large", "65,536"),
        (Endless(b"x" * 1000), "too_large", "65,536"),
        (Raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, close=False), "too_large", "65,536"),
    ],
)
def test_what_a_peer_does_is_a_failure_with_a_cause(step: receiver.Step, cause: str, said: str):
    failure = posted(step)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.sent, failure.address) == (cause, True, "127.0.0.1")
    assert re.search(said, failure.detail), failure.detail


@pytest.mark.parametrize(
    "step",
    [Never(), Drip(every=0.05), receiver.Reply(pause=30), receiver.Reply(delay=30), Raw(b"HTTP/1.1 200", close=False)],
)
@pytest.mark.parametrize("tls", [False, True])
def test_one_deadline_ends_every_wait_and_the_connection(step: receiver.Step, tls: bool):
    failure = posted(step, deadline=0.3, tls=tls)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.sent, failure.detail) == ("timeout", True, "the reply was not over after 0.3 s")


def test_the_deadline_includes_the_lookup_and_the_connection():
    async def hangs(name: str) -> Sequence[str]:
        await asyncio.sleep(3600)
        return ()

    (failure,) = post(Client(Target("https", "hooks.example.com", 443, "/"), hangs), deadline=0.05)
    assert (failure.cause, failure.sent) == ("timeout", False)
    with full_listener() as (host, port):
        target = read_url(f"http://{host}:{port}/", allow_http=True, allow_loopback=True)
        (failure,) = post(Client(target, answering(), allow_loopback=True), deadline=0.2)
    assert (failure.cause, failure.sent, failure.address) == ("timeout", False, host)


def test_the_deadline_includes_the_tls_handshake():
    with silent_listener() as (host, port):
        target = read_url(f"https://{host}:{port}/", allow_loopback=True)
        (failure,) = post(Client(target, answering(), allow_loopback=True), deadline=0.2)
    assert (failure.cause, failure.sent) == ("timeout", False)
    assert failure.detail == "the TLS handshake was not over after 0.2 s"


@pytest.mark.parametrize(
    "step",
    [
        Flood(100),
        Flood(100, chunked=True),
        gzip_bomb(100),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200_000),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"e" * 40_000 + b"\r\nx\r\n") * 9),
    ],
)
def test_of_a_boundless_body_only_the_beginning_is_read(step: receiver.Step):
    with Receiver() as server:
        server.script = [step]
        answer, after = post(client_of(server), 2)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.truncated) == (200, True)
        assert 0 < len(answer.body) <= 20_000
        assert (after.status, server.connections) == (200, 2)


def test_a_long_body_is_cut_at_20_000_octets_and_the_connection_kept():
    with Receiver() as server:
        server.script = [receiver.Reply(body=b"a" * 20_000), receiver.Reply(body=b"a" * 20_001)]
        whole, cut = post(client_of(server), 2)
        assert (len(whole.body), whole.truncated, len(cut.body), cut.truncated) == (20_000, False, 20_000, True)
        assert server.connections == 1


def test_the_body_as_text_has_no_nul_and_no_broken_utf_8():
    answer = posted(receiver.Reply(body=b"a\0\xff" + "é".encode()))
    assert answer.text == "a\ufffd\ufffdé"


def test_a_name_is_what_tls_and_host_speak_of_and_the_address_is_the_checked_one():
    with Receiver(tls=True, names=["hooks.example.com"]) as server:
        (answer,) = post(named(server, "hooks.example.com"))
        (request,) = server.requests
    assert (answer.status, answer.address) == (200, "127.0.0.1")
    assert (request.server_name, request.headers["host"]) == ("hooks.example.com", f"hooks.example.com:{server.port}")


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no ::1")
def test_an_ipv6_address_stands_in_brackets_in_host_and_url():
    with Receiver(tls=True, host="::1") as server:
        (answer,) = post(client_of(server))
        assert (answer.status, answer.address) == (200, "::1")
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


def test_a_certificate_of_another_name_or_authority_is_refused():
    with Receiver(tls=True, names=["hooks.example.com"]) as server:
        (wrong_name,) = post(named(server, "other.example.com"))
        (unknown,) = post(named(server, "hooks.example.com", tls=http.system_trust()))
        assert server.requests == []
    assert (wrong_name.cause, wrong_name.sent) == (unknown.cause, unknown.sent) == ("tls", False)
    assert "certificate is not valid for 'other.example.com'" in wrong_name.detail
    assert "unable to get local issuer certificate" in unknown.detail


def test_https_to_a_plain_server_is_a_tls_failure():
    with early_listener() as port:
        (failure,) = post(Client(Target("https", "127.0.0.1", port, "/"), answering(), allow_loopback=True))
    assert (failure.cause, failure.sent) == ("tls", False)
    assert "wrong version number" in failure.detail


def test_the_next_address_is_tried_when_one_does_not_answer():
    with Receiver() as server:
        (answer,) = post(named(server, "hooks.example.com", "127.0.0.3", "127.0.0.1"))
        assert (answer.status, answer.address) == (200, "127.0.0.1")
    (failure,) = post(named(server, "hooks.example.com", "127.0.0.3", "127.0.0.1"))
    assert (failure.cause, failure.sent, failure.address) == ("connect", False, "127.0.0.1")
    assert failure.detail == "no connection: Connection refused"


def test_an_address_that_hangs_takes_only_its_share_of_the_time():
    with Receiver() as server, full_listener("127.0.0.2", server.port):
        (answer,) = post(named(server, "hooks.example.com", "127.0.0.2", "127.0.0.1"), deadline=2.0)
        assert (answer.status, answer.address) == (200, "127.0.0.1")


def test_no_proxy_of_the_environment_is_used(monkeypatch):
    with Receiver() as proxy, Receiver() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        assert post(client_of(server))[0].status == 200
        assert proxy.connections == 0


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", {}),
        ("/\r\nX: y", {}),
        ("a", {}),
        ("/é", {}),
        ("/", {"X\r\nY": "z"}),
        ("/", {"X": "a\r\nY: z"}),
        ("/", {"X": "é"}),
        ("/", {"X": "\0"}),
        ("/", {"Host": "example.com"}),
        ("/", {"Content-length": "0"}),
        ("/", {"": "x"}),
    ],
)
def test_what_can_not_stand_in_a_request_never_leaves(path: str, headers: dict[str, str]):
    client = Client(Target("http", "127.0.0.1", 9, "/"), answering(), allow_loopback=True)
    with pytest.raises(ValueError, match=r"can't stand in a request|is no path"):
        asyncio.run(client.post(path, headers, BODY))


def test_a_post_given_up_by_its_caller_leaves_no_connection_behind():
    async def run(server: Receiver) -> int:
        with closing(client_of(server)) as client:
            going = asyncio.create_task(client.post("/", {}, BODY))
            await asyncio.to_thread(server.wait, 1)
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
            return client.kept

    with Receiver() as server:
        server.default = Never()
        assert asyncio.run(run(server)) == 0


def test_a_large_request_answered_early_is_an_answer_and_the_connection_is_given_up():
    async def run(port: int) -> tuple[Answer | Failure, int]:
        target = Target("http", "127.0.0.1", port, "/")
        with closing(Client(target, answering(), allow_loopback=True)) as client:
            return await client.post("/", {}, b"x" * 50_000_000), client.kept

    with early_listener() as port:
        answer, kept = asyncio.run(run(port))
    assert (answer.status, kept) == (413, 0)


def test_a_reply_may_come_in_any_pieces():
    wire = b"HTTP/1.1 200 OK\r\nX: 1\r\nx: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\nT: 1\r\n\r\n"
    for size in range(1, len(wire) + 1):
        reply = Reply()
        whole = [reply.feed(wire[at : at + size]) for at in range(0, len(wire), size)]
        assert whole == [False] * (len(whole) - 1) + [True]
        assert (reply.status, reply.body, reply.headers["x"], reply.keeps) == (200, b"abcde", "1, 2", True)


def test_a_body_in_tiny_chunks_is_cut_before_it_costs_much():
    reply = Reply()
    assert reply.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000)
    assert (len(reply.body), reply.cut, reply.keeps) == (1001, True, False)


def test_a_reply_that_never_came_is_lost():
    with pytest.raises(Lost, match="closed without a reply") as lost:
        Reply().end()
    assert lost.value.cause is Cause.RESET


@contextmanager
def full_listener(host: str = "127.0.0.1", port: int = 0):
    """Its queue of connections is full: a further one is neither taken nor refused."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind((host, port))
        listener.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()


@contextmanager
def silent_listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@contextmanager
def early_listener():
    """Answers 413 at the first octets, and reads no more."""
    done = threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(100)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        done.set()
        thread.join(10)
