"""References to messages for links and bounce addresses: short, ours, and each good for one purpose."""

import re

import pytest

from sendarix.core import ids, tokens

KIM = "msg_01kpk3p5gz8v6c2m9x4t7q0rde"


def test_a_token_names_its_message():
    message_id = ids.new("msg")
    assert tokens.read("unsubscribe", tokens.make("unsubscribe", message_id)) == message_id


def test_it_is_short_lower_case_and_safe_in_a_local_part():
    assert re.fullmatch(r"[0-9a-z]{39}", tokens.make("bounce", KIM))
    assert len(f"b-{tokens.make('bounce', KIM)}") <= 64


def test_mail_servers_that_change_the_case_do_no_harm():
    assert tokens.read("bounce", tokens.make("bounce", KIM).upper()) == KIM


def test_it_is_good_for_one_purpose_only():
    assert tokens.read("unsubscribe", tokens.make("bounce", KIM)) is None


@pytest.mark.parametrize("place", [0, 10, 25, 26, 38])
def test_one_changed_character_makes_it_nothing(place):
    token = tokens.make("bounce", KIM)
    changed = token[:place] + ("a" if token[place] != "a" else "b") + token[place + 1 :]
    assert tokens.read("bounce", changed) is None


@pytest.mark.parametrize(
    "text", ["", "msg_", KIM, "a" * 38, "a" * 40, "é" * 39, "１" * 39, "a" * 38 + "\n", "İ" * 39, "a" * 10_000]
)
def test_what_is_no_token_is_nothing(text):
    assert tokens.read("bounce", text) is None


def test_a_token_of_another_installation_is_nothing(settings):
    token = tokens.make("bounce", KIM)
    settings.SECRET_KEY = "another"
    assert tokens.read("bounce", token) is None


def test_after_a_new_secret_key_older_links_still_work(settings):
    token = tokens.make("unsubscribe", KIM)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert tokens.read("unsubscribe", token) == KIM
    assert tokens.make("unsubscribe", KIM) != token
