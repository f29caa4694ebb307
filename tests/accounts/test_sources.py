"""Which address a request came from, with and without proxies."""

import pytest

from sendarix.accounts.sources import bucket, client_address

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("203.0.113.7", "", [], "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", [], "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", PROXIES, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", PROXIES, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", PROXIES, "198.51.100.1"),
        ("10.0.0.1", "", PROXIES, "10.0.0.1"),
        ("10.0.0.1", "nonsense", PROXIES, None),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", PROXIES, "198.51.100.1"),
        ("2001:db8:1::9", "2001:db8::5", PROXIES, "2001:db8::5"),
        ("", "198.51.100.1", PROXIES, None),
        ("", "198.51.100.1", ["unix"], "198.51.100.1"),
    ],
)
def test_only_trusted_proxies_speak_for_a_caller(peer, forwarded, trusted, client):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(environ, trusted) == client


def test_buckets_are_an_ipv4_address_or_an_ipv6_64():
    assert bucket("203.0.113.7") == "address:203.0.113.7"
    assert bucket("2001:db8::ffff:1") == bucket("2001:db8::2") == "address:2001:db8::/64"
    assert bucket(None) == "address:unknown"
