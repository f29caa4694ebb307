"""The web worker on a real socket: slow peers cost nothing, and bytes become the requests they say they are."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest

ROOT = Path(__file__).resolve().parents[2]

QUICK = 10.0
"""Seconds that twenty requests may take on a busy machine; a peer that silences somebody does it for 15 and more."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = f"{ROOT}{os.pathsep}{Path(__file__).parent}"
    environment = os.environ | {"PORT": str(port), "PYTHONPATH": path, "WEB_WORKERS": "1", "WEB_THREADS": "4"}
    log = (tmp_path_factory.mktemp("web") / "log").open("w+")
    command = [sys.executable, "-m", "gunicorn", "-c", "python:sendarix.gunicorn", "tiny_app:app"]
    with log, subprocess.Popen(command, env=environment, stderr=log) as server:
        while not listens(port):
            time.sleep(0.05)
        yield port
        server.terminate()
    assert "hunter2" not in Path(log.name).read_text()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def connect(port: int, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(data)
    return connection


def answers(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """The next final answers and their bodies; 100 Continue is passed over."""
    with connection.makefile("rb") as stream:
        return [answer(stream) for _ in range(count)]


def answer(stream: BinaryIO) -> tuple[int, bytes]:
    status = int(stream.readline().split()[1])
    headers = http.client.parse_headers(stream)
    return answer(stream) if status == 100 else (status, stream.read(int(headers["Content-Length"])))


def seconds_of_normal_requests(port: int, count: int = 20) -> float:
    began = time.monotonic()
    for _ in range(count):
        with connect(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok") as normal:
            assert answers(normal, 1) == [(200, b"ok")]
    return time.monotonic() - began


def test_sixty_four_peers_that_send_a_byte_a_second_silence_nobody(port: int) -> None:
    with ExitStack() as stack:
        slow = [
            stack.enter_context(connect(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"))
            for _ in range(32)
        ]
        slow += [stack.enter_context(connect(port, b"P")) for _ in range(32)]
        for byte in (b"\r", b"\n", b"a"):
            assert seconds_of_normal_requests(port) < QUICK
            for each in slow[:32]:
                each.sendall(byte)
        for each in slow[:32]:
            each.sendall(b"bcdefghi")
        assert [answers(each, 1) for each in slow[:32]] == [[(200, b"abcdefghi")]] * 32


def test_peers_that_do_not_read_their_answers_silence_nobody(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            deaf = stack.enter_context(socket.socket())
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        assert seconds_of_normal_requests(port) < QUICK


def test_peers_that_keep_a_closed_connection_silence_nobody(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(connect(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert seconds_of_normal_requests(port) < QUICK


def test_a_large_answer_arrives_whole(port: int) -> None:
    with connect(port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        time.sleep(0.2)
        assert answers(connection, 1) == [(200, b"x" * 8_000_000)]


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    requests = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(3)]
    with connect(port, b"".join(requests)) as connection:
        assert answers(connection, 3) == [(200, b"0"), (200, b"1"), (200, b"2")]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_chunked_body_ends_where_its_trailers_end(port: int, step: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    stream = head + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nT: 1\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(port) as connection:
        for at in range(0, len(stream), step):
            connection.sendall(stream[at : at + step])
        assert answers(connection, 2) == [(200, b"hello world"), (200, b"")]


def test_who_expects_100_continue_is_invited_before_the_body(port: int) -> None:
    with connect(
        port, b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    ) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"hi")
        assert answers(connection, 1) == [(200, b"hi")]


HOSTILE = {
    "an unknown version": b"GET / HTTP/9.1\r\nHost: x\r\n\r\n",
    "a bad chunk size": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
    "an endless header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 70_000,
}


@pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_get_one_refusal_in_json_and_no_second_request(port: int, request_bytes: bytes) -> None:
    with connect(port, request_bytes + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        status, body = answers(connection, 1)[0]
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_request")
        assert connection.recv(100) == b""


def test_a_broken_application_costs_its_request_only(port: int) -> None:
    with connect(port, b"GET /broken?hunter2 HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        status, body = answers(connection, 1)[0]
        assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    assert seconds_of_normal_requests(port, 1) < QUICK
