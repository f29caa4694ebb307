"""The guard before connections to hosts that customers name: what it refuses, however it is written, and what it allows."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendarix.core import outbound
from sendarix.core.http import Answer, Client
from sendarix.core.outbound import LookupFailed, Names, Refused, Target, read_url, resolve
from tests.delivery.dns_server import DnsServer
from tests.webhooks.receiver import Receiver

PUBLIC_V4, PUBLIC_V6 = "193.0.6.139", "2606:4700:4700::1111"

FORBIDDEN_HOSTS = [
    # loopback in every spelling a C library or a browser would take
    *("127.0.0.1", "127.0.0.1.", "127.255.255.254", "127.1", "127.0.1", "0177.0.0.1", "0177.1", "0x7f.0.0.1", "0x7f.1"),
    *("0x7f000001", "0X7F000001", "2130706433", "02130706433", "017700000001", "127.0.0.01", "127.000.000.001"),
    *("0x7f.0x0.0x0.0x1", "0300.0250.0.1", "127.0.0.1.1", "4294967297", "0x100000000007f000001", "0x", "0", "1"),
    *("localhost", "LOCALHOST", "LocalHost.", "localhost.localdomain", "app.localhost", "a.b.LOCALHOST."),
    *("0.0.0.0", "0.1.2.3", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]"),
    # private, link-local, carriers, documentation, multicast, broadcast
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1", "100.64.0.1"),
    *("100.127.255.254", "169.254.1.1", "192.0.0.8", "192.0.2.1", "198.51.100.7", "203.0.113.7", "198.18.0.1"),
    *("198.19.255.255", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "224.0.0.1", "239.1.2.3"),
    *("240.0.0.1", "255.255.255.255", "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[100::1]"),
    *("[2001:db8::1]", "[3fff::1]", "[2001:2::1]", "[2001:10::1]", "[2001:20::1]", "[3ffe::1]", "[5f00::1]", "[4000::1]"),
    # IPv6 that carries IPv4: mapped, compatible, translated, NAT64, 6to4, Teredo
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:10.0.0.1]", "[::ffff:8.8.8.8]", "[::127.0.0.1]", "[::7f00:1]"),
    *("[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::808:808]", "[64:ff9b:1::a00:1]"),
    *("[2002:7f00:1::]", "[2002:a00:1::1]", "[2002:c0a8:101::1]", "[2001:0:7f00:1::]", "[2001::a9fe:a9fe]"),
    # metadata services
    *("169.254.169.254", "169.254.169.254.", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fd20:ce::254]", "100.100.100.200"),
    *("192.0.0.192", "168.63.129.16", "metadata", "metadata.google.internal", "Metadata.Google.Internal."),
    *("instance-data", "instance-data.ec2.internal", "kubernetes.default.svc.cluster.local", "169.254.170.2"),
    # names of the inside
    *("db", "intranet", "printer.local", "router.lan", "nas.home", "wiki.corp", "git.internal", "x.home.arpa", "a.onion"),
    # Unicode that means ASCII
    *("１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "𝟏𝟐𝟕.𝟎.𝟎.𝟏"),
    *("１６９.２５４.１６９.２５４", "0ｘ7f000001"),
    *("lo\u00adcalhost", "127.0.0.1\u200b", "example.com／@127.0.0.1", "ｅxample.com＠127.0.0.1", "example。local", "⑩.0.0.1"),
    # percent-encoding, zones, user information, ports and slashes out of place
    *("%31%32%37.0.0.1", "127.0.0.1%00.example.com", "localhost%2eexample.com", "%6c%6f%63%61%6c%68%6f%73%74"),
    *("[fe80::1%25eth0]", "[fe80::1%eth0]", "[2606:4700::1%25lo]", "[::1%251]", "[v1.127.0.0.1]", "[127.0.0.1]", "[::1"),
    *("example.com@127.0.0.1", "a:b@example.com", "@example.com", "example.com:443@127.0.0.1", "127.0.0.1:443@example.com"),
    *("127.0.0.1\\@example.com", "example.com\\.local", "example.com\t", "exam\nple.com"),
    *("example.com\r\nHost: x", "exa mple.com"),
    *("example.com\x00.local", "", ".", "..", "example..com", ".example.com", "example.com.."),
    *("-a.example.com", "a-.example.com"),
    *(f"{'a' * 64}.example.com", f"{'a.' * 130}com", "example.com:", "example.com:0", "example.com:65536", "example.com:-1"),
    *("example.com:٤٤٣", "example.com:443:443", "example.com:22", "example.com:25", "example.com:6379", "::1", "2606:4700::1"),
]  # fmt: skip

FORBIDDEN_URLS = [
    *("", "example.com", "//example.com/", "/hook", "https:", "https:/example.com/", "https:example.com", "https:///hook"),
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:443/", "HTTP://example.com/"),
    *("javascript://example.com/", "https://example.com/#part", "https://example.com#@127.0.0.1/", "https://example.com/ "),
    *(" https://example.com/", "ht\ntps://example.com/", "https://example.com/a b", "https://example.com/a\\b"),
    *("https://example.com/é", "https://example.com/%zz", "https://example.com/\u2028", "https://example.com/{id}"),
    *("https:\\\\example.com\\", "https://example.com/\r\nX: y", "https://example.com/" + "a" * 2048, "https://?@/"),
]  # fmt: skip

ALLOWED = [
    ("https://example.com", Target("https", "example.com", 443, "/")),
    ("https://example.com/", Target("https", "example.com", 443, "/")),
    ("HTTPS://Hooks.Example.COM/In?a=1&b=%2F", Target("https", "hooks.example.com", 443, "/In?a=1&b=%2F")),
    ("https://example.com.:8443/x", Target("https", "example.com", 8443, "/x")),
    ("https://example.com?token=1", Target("https", "example.com", 443, "/?token=1")),
    ("https://example.com:443//a//b", Target("https", "example.com", 443, "//a//b")),
    ("https://my_hooks.example.com/", Target("https", "my_hooks.example.com", 443, "/")),
    ("https://bücher.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
    ("https://BÜCHER。example/", Target("https", "xn--bcher-kva.example", 443, "/")),
    ("https://한국.example/", Target("https", "xn--3e0b707e.example", 443, "/")),
    ("https://straße.example/", Target("https", "xn--strae-oqa.example", 443, "/")),
    ("https://xn--3e0b707e.example/", Target("https", "xn--3e0b707e.example", 443, "/")),
    ("https://1.example/", Target("https", "1.example", 443, "/")),
    ("https://127.0.0.1.example.com/", Target("https", "127.0.0.1.example.com", 443, "/")),
    ("https://localhost.example.com/", Target("https", "localhost.example.com", 443, "/")),
    ("https://internal.example.com/", Target("https", "internal.example.com", 443, "/")),
    ("https://0x7f.example/", Target("https", "0x7f.example", 443, "/")),
    ("https://8.8.8.8/dns", Target("https", "8.8.8.8", 443, "/dns")),
    ("https://172.32.0.1:9443/", Target("https", "172.32.0.1", 9443, "/")),
    ("https://100.128.0.1/", Target("https", "100.128.0.1", 443, "/")),
    ("https://[2606:4700:4700:0::1111]:8443/", Target("https", "2606:4700:4700::1111", 8443, "/")),
    ("https://[2A00:1450:4001::1A]/", Target("https", "2a00:1450:4001::1a", 443, "/")),
]

BAD_ANSWERS = [
    *("127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.7.7", "169.254.169.254", "100.64.1.1", "100.100.100.200", "0.0.0.0"),
    *("168.63.129.16", "224.0.0.251", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "::ffff:8.8.8.8"),
    *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "2002:7f00:1::1", "2001:0:7f00:1::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%eth0", "2606:4700:4700::1111%eth0", "ff02::1", "2001:db8::1", "not an address"),
]  # fmt: skip


def answering(*addresses: str):
    async def lookup(name: str) -> Sequence[str]:
        return addresses

    return lookup


async def never_asked(name: str) -> Sequence[str]:
    raise AssertionError(f"{name} was looked up")


def resolved(url: str, lookup, **options) -> tuple[str, ...]:
    return asyncio.run(resolve(read_url(url, **options), lookup, **options))


def test_the_table_is_as_long_as_it_claims():
    assert len(set(FORBIDDEN_HOSTS)) == len(FORBIDDEN_HOSTS) > 150


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_a_forbidden_host_is_refused_before_any_lookup(host: str):
    with pytest.raises(Refused) as refused:
        read_url(f"https://{host}/hook")
    assert refused.value.code in ("invalid_value", "too_long", "not_public")
    assert refused.value.message


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_a_forbidden_host_stays_forbidden_with_http_and_a_port(host: str):
    with pytest.raises(Refused):
        read_url(f"http://{host}:8080/hook", allow_http=True)


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_what_is_no_absolute_https_url_is_refused(url: str):
    with pytest.raises(Refused):
        read_url(url)


@pytest.mark.parametrize(("url", "target"), ALLOWED)
def test_a_public_host_is_allowed(url: str, target: Target):
    assert read_url(url) == target
    assert read_url(target.url) == target
    assert asyncio.run(resolve(target, answering(PUBLIC_V4)))


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 110, 587, 2375, 3306, 5432, 6379, 9200, 11211])
def test_a_port_where_no_web_server_listens_is_refused(port: int):
    with pytest.raises(Refused, match=f"port {port} is not allowed"):
        read_url(f"https://example.com:{port}/")
    assert read_url(f"https://example.com:{port}/", ports=None).port == port


@pytest.mark.parametrize("authority", ["acme@example.com", "acme:secret@example.com", "@example.com"])
def test_a_refusal_says_what_is_wrong_and_repeats_no_password(authority: str):
    with pytest.raises(Refused, match="holds a user name or password") as refused:
        read_url(f"https://{authority}/")
    assert "secret" not in refused.value.message


def test_plain_http_needs_leave():
    assert read_url("http://example.com/", allow_http=True) == Target("http", "example.com", 80, "/")
    with pytest.raises(Refused, match="must begin with https://"):
        read_url("http://example.com/")


@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_a_name_that_leads_to_one_bad_address_is_refused_whatever_else_it_has(bad: str):
    for answer in ((bad,), (PUBLIC_V4, bad), (bad, PUBLIC_V4, PUBLIC_V6), (PUBLIC_V4,) * 30 + (bad,)):
        with pytest.raises(Refused) as refused:
            resolved("https://hooks.example.com/", answering(*answer))
        assert refused.value.code == "not_public"
        assert bad not in refused.value.message


def test_the_addresses_of_a_name_are_those_of_one_lookup_ipv4_first():
    assert resolved("https://example.com/", answering(PUBLIC_V6, PUBLIC_V4, PUBLIC_V6)) == (PUBLIC_V4, PUBLIC_V6)
    many = [f"193.0.6.{number}" for number in range(1, 200)]
    assert resolved("https://example.com/", answering(*many)) == tuple(many[:8])


def test_an_address_is_never_looked_up():
    assert resolved("https://8.8.8.8/", never_asked) == ("8.8.8.8",)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://127.8.9.1:1/", "https://[::1]:25/", "http://127.0.0.1./"]
)
def test_development_may_reach_loopback_on_any_port(url: str):
    assert resolved_in_development(url, never_asked)


def test_development_knows_localhost_without_asking():
    assert resolved_in_development("http://localhost:8123/", never_asked) == ("127.0.0.1", "::1")
    assert resolved_in_development("http://App.Localhost/", never_asked) == ("127.0.0.1", "::1")
    assert resolved_in_development("http://dev.example.com/", answering("127.0.0.1")) == ("127.0.0.1",)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0", "[fd00::1]", "2130706433", "metadata", "a.lan"],
)
def test_development_may_reach_nothing_else_of_the_inside(host: str):
    with pytest.raises(Refused):
        resolved_in_development(f"http://{host}/", answering(PUBLIC_V4))
    with pytest.raises(Refused):
        resolved_in_development("http://example.com/", answering("127.0.0.1", host.strip("[]")))


def resolved_in_development(url: str, lookup) -> tuple[str, ...]:
    target = read_url(url, allow_http=True, allow_loopback=True)
    return asyncio.run(resolve(target, lookup, allow_loopback=True))


@given(st.text(max_size=60), st.sampled_from(["", "https://", "https://example.com", "https://[", "http://1"]))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_target_or_refused(text: str, start: str):
    try:
        target = read_url(start + text, allow_http=True)
    except Refused:
        return
    assert read_url(target.url, allow_http=True) == target


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_no_number_is_a_host(number: int, spelling: str):
    with pytest.raises(Refused):
        read_url(f"https://{spelling.format(number)}/")


def test_names_are_resolved_by_the_given_name_servers():
    zones = {
        "hooks.example.com": {"A": [PUBLIC_V4], "AAAA": [PUBLIC_V6]},
        "alias.example.com": {"CNAME": ["hooks.example.com."]},
        "inside.example.com": {"CNAME": ["db.corp.example."]},
        "db.corp.example": {"A": ["10.0.0.5"]},
        "half.example.com": {"A": [PUBLIC_V4], "AAAA": "SERVFAIL"},
    }
    with DnsServer(zones) as server:
        names = Names([server.address])
        assert resolved("https://hooks.example.com/", names) == (PUBLIC_V4, PUBLIC_V6)
        assert resolved("https://alias.example.com/", names) == (PUBLIC_V4, PUBLIC_V6)
        assert resolved("https://half.example.com/", names) == (PUBLIC_V4,)
        with pytest.raises(Refused, match="not of the open Internet"):
            resolved("https://inside.example.com/", names)


@pytest.mark.parametrize(
    ("records", "said"),
    [("SERVFAIL", "SERVFAIL"), ("SILENT", "no answer in time"), ({}, "no address"), (None, "does not exist")],
)
def test_a_name_without_an_answer_is_unresolvable_not_forbidden(records, said: str):
    zones = {} if records is None else {"hooks.example.com": records}
    with DnsServer(zones) as server, pytest.raises(Refused, match=said) as refused:
        outbound.check("https://hooks.example.com/", Names([server.address], lifetime=0.3))
    assert refused.value.code == "unresolvable"


def test_a_check_ends_in_time_whatever_the_name_servers_do():
    async def hangs(name: str) -> Sequence[str]:
        await asyncio.sleep(3600)
        return ()

    with pytest.raises(Refused, match="no answer in time") as refused:
        outbound.check("https://example.com/", hangs, seconds=0.05)
    assert refused.value.code == "unresolvable"


def test_a_check_answers_the_target():
    assert outbound.check("https://Example.com/x", answering(PUBLIC_V4)) == Target("https", "example.com", 443, "/x")


def test_a_lookup_that_fails_is_told_in_words():
    async def fails(name: str) -> Sequence[str]:
        raise LookupFailed("the name servers can't be reached")

    with pytest.raises(Refused, match=r"hooks.example.com could not be looked up: the name servers can't be reached\."):
        resolved("https://hooks.example.com/", fails)


def test_a_name_that_changes_its_answer_between_check_and_connection_leads_nowhere_else():
    """Rebinding: the first answer is allowed, every later one is the trap. One connection asks once."""
    with Receiver(host="127.0.0.1") as honest, Receiver(host="127.0.0.2", port=honest.port) as trap:
        asked: list[str] = []

        async def rebinding(name: str) -> Sequence[str]:
            asked.append(name)
            return ("127.0.0.1",) if len(asked) == 1 else ("127.0.0.2",)

        target = Target("http", "rebinding.example.com", honest.port, "/")
        answer = asyncio.run(posted(Client(target, rebinding, allow_loopback=True)))
        assert isinstance(answer, Answer)
        assert answer.address == "127.0.0.1"
        assert asked == ["rebinding.example.com"]
        assert (honest.connections, trap.connections) == (1, 0)
        assert honest.requests[0].headers["host"] == f"rebinding.example.com:{honest.port}"


def test_a_name_rebound_to_loopback_is_refused_at_the_next_connection():
    with DnsServer({"rebinding.example.com": {"A": [PUBLIC_V4]}}, ttl=0) as server, Receiver() as trap:
        names = Names([server.address])
        assert outbound.check("https://rebinding.example.com/", names)
        server.zones["rebinding.example.com"] = {"A": ["127.0.0.1"]}
        failure = asyncio.run(posted(Client(Target("http", "rebinding.example.com", trap.port, "/"), names)))
        assert (failure.cause, failure.sent, failure.address) == ("refused", False, None)
        assert trap.connections == 0


async def posted(client: Client):
    try:
        return await client.post("/", {}, b"{}")
    finally:
        client.close()
