"""Framing finds the same end of a request however its octets arrive."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sendarix.web.framing import Framing

NEXT = b"GET /next HTTP/1.1\r\n\r\n"
bodies = st.binary(max_size=300)


def with_length(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def in_chunks(body: bytes) -> bytes:
    parts = [body[at : at + 7] for at in range(0, len(body), 7)]
    chunks = b"".join(b"%x;x=1\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nA: b\r\n\r\n"


@given(st.builds(with_length, bodies) | st.builds(in_chunks, bodies), st.integers(1, 50))
def test_the_end_does_not_depend_on_the_pieces(request: bytes, step: int) -> None:
    framing, used, stream = Framing(1000), 0, request + NEXT
    while not framing.complete:
        used += framing.feed(stream[used : used + step])
    assert stream[used:] == NEXT
    assert not framing.cut


@given(st.sampled_from([with_length, in_chunks]), st.integers(400, 2000))
def test_a_body_over_the_limit_is_cut_and_not_awaited(write: Callable[[bytes], bytes], size: int) -> None:
    framing, request = Framing(300), write(b"x" * size)
    assert framing.feed(request) < len(request)
    assert framing.complete
    assert framing.cut


@given(st.binary(max_size=200))
def test_any_octets_after_a_chunked_head_end_or_are_awaited_but_never_raise(noise: bytes) -> None:
    framing = Framing(1000)
    data = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + noise
    assert 0 <= framing.feed(data) <= len(data)
