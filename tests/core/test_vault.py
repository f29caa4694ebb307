"""Secrets at rest: sealed with the newest key, opened with the one that sealed them, for their purpose only."""

from base64 import urlsafe_b64encode

import pytest

from sendarix.core import vault
from sendarix.core.vault import VaultError

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture(autouse=True)
def keys(settings):
    settings.ENCRYPTION_KEYS = {1: OLD}


@pytest.mark.parametrize("secret", [b"", b"\x00\xff", b"whsec" * 2000])
def test_what_was_sealed_is_opened_again(secret):
    assert vault.reveal(vault.seal(secret, "dkim"), "dkim") == secret


def test_the_same_secret_is_sealed_differently_each_time_and_nowhere_in_clear():
    one, two = (vault.seal(b"correct horse", "dkim") for _ in range(2))
    assert one != two
    assert "correct" not in one
    assert urlsafe_b64encode(b"correct horse").decode()[:12] not in one


def test_a_secret_of_one_purpose_is_not_opened_for_another():
    sealed = vault.seal(b"secret", "dkim")
    with pytest.raises(VaultError, match="something else"):
        vault.reveal(sealed, "webhook")


@pytest.mark.parametrize("place", [5, 20, -1])
def test_an_altered_text_is_not_opened(place):
    sealed = vault.seal(b"secret", "dkim")
    letter = "A" if sealed[place] != "A" else "Q"
    altered = sealed[:place] + letter + sealed[place:][1:]
    with pytest.raises(VaultError):
        vault.reveal(altered, "dkim")


def test_a_text_of_a_form_we_do_not_know_is_not_opened():
    sealed = vault.seal(b"secret", "dkim")
    with pytest.raises(VaultError):
        vault.reveal(sealed.replace("v1.", "v2."), "dkim")


def test_after_a_new_key_older_secrets_are_still_opened(settings):
    sealed = vault.seal(b"secret", "dkim")
    settings.ENCRYPTION_KEYS = {2: NEW, 1: OLD}
    assert vault.reveal(sealed, "dkim") == b"secret"
    assert not vault.is_current(sealed)
    assert vault.is_current(vault.seal(b"secret", "dkim"))


def test_the_newest_key_is_the_first_whatever_its_number(settings):
    settings.ENCRYPTION_KEYS = vault.parse(f"1:{encoded(NEW)},7:{encoded(OLD)}")
    assert vault.seal(b"secret", "dkim").startswith("v1.1.")


def test_without_its_key_a_secret_is_lost_and_the_fault_names_the_key(settings):
    sealed = vault.seal(b"secret", "dkim")
    settings.ENCRYPTION_KEYS = {2: NEW}
    with pytest.raises(VaultError, match="key 1 is not configured"):
        vault.reveal(sealed, "dkim")


def encoded(key: bytes) -> str:
    return urlsafe_b64encode(key).decode()


def test_keys_are_read_from_the_environments_form_padded_or_not():
    assert vault.parse(f" 2:{encoded(NEW)} , 1:{encoded(OLD).rstrip('=')},") == {2: NEW, 1: OLD}


@pytest.mark.parametrize(
    "text", ["", ",", "1", f"x:{encoded(NEW)}", f"1:{encoded(b'short')}", "1:", f":{encoded(NEW)}", f"²:{encoded(NEW)}"]
)
def test_keys_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"NUMBER:BASE64|at least one key"):
        vault.parse(text)


@pytest.mark.parametrize("text", ["", "secret", "v1.1", "v1.x.AAAA", "v1.1.", "v1.1.AAAA", "v1.1.é", "v1.1.AAAAA"])
def test_what_is_no_sealed_text_is_a_fault_of_its_own(text):
    with pytest.raises(VaultError):
        vault.reveal(text, "dkim")
