"""Bounce addresses: what comes back names the message, and nobody else can make one."""

import pytest

from messaging.delivery import verp
from sendarix.core import ids, tokens

HOST = "bounces.acme.example"


def test_a_bounce_address_names_its_message():
    message_id = ids.new("msg")
    assert verp.read(verp.address(message_id, HOST)) == message_id


def test_a_bounce_address_fits_and_needs_no_quoting():
    local, _, host = verp.address(ids.new("msg"), HOST).partition("@")
    assert (len(local), host) == (41, HOST)
    assert local.replace("-", "").isalnum()
    assert local == local.lower()


def test_a_server_that_changes_case_does_no_harm():
    message_id = ids.new("msg")
    assert verp.read(verp.address(message_id, HOST).upper()) == message_id


def test_a_changed_letter_makes_it_a_forgery():
    address = verp.address(ids.new("msg"), HOST)
    for place in range(len("b-"), address.index("@")):
        other = "a" if address[place] != "a" else "b"
        assert verp.read(address[:place] + other + address[place + 1 :]) is None


def test_a_token_for_another_purpose_is_no_bounce_address():
    assert verp.read(f"b-{tokens.make('unsubscribe', ids.new('msg'))}@{HOST}") is None


@pytest.mark.parametrize(
    "address", ["", "@", "b-", "b-@x", "kim@example.com", "b-kim@example.com", "b-" + "é" * 39 + "@x"]
)
def test_other_addresses_name_nothing(address):
    assert verp.read(address) is None


def test_a_token_without_its_prefix_names_nothing():
    assert verp.read(verp.address(ids.new("msg"), HOST).removeprefix("b-")) is None
