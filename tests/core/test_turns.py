"""Turns at what may hold a thread: so many in all, fewer for one account, and nobody waits."""

from contextlib import ExitStack

import pytest

from sendarix.core.errors import Unavailable
from sendarix.core.turns import Turns, outside

ACME, GLOBEX, INITECH = 1, 2, 3


def take(turns: Turns, held: ExitStack, *accounts: int) -> None:
    for account in accounts:
        held.enter_context(turns.turn(account))


def test_an_account_has_fewer_turns_than_there_are():
    turns = Turns(most=3, each=2)
    with ExitStack() as held:
        take(turns, held, ACME, ACME)
        with pytest.raises(Unavailable, match="2 calls of this account") as refused:
            take(turns, held, ACME)
        take(turns, held, GLOBEX)
    assert (refused.value.code, refused.value.status) == ("busy", 503)
    assert int(refused.value.headers["Retry-After"]) > 0


def test_all_turns_together_are_limited():
    turns = Turns(most=3, each=2)
    with ExitStack() as held:
        take(turns, held, ACME, ACME, GLOBEX)
        with pytest.raises(Unavailable, match="Too many"):
            take(turns, held, INITECH)


def test_a_turn_is_given_back_whatever_happens():
    turns = Turns(most=1, each=1)
    with pytest.raises(KeyError), turns.turn(ACME):
        raise KeyError
    with turns.turn(GLOBEX):
        pass


def test_most_threads_of_a_process_never_wait_outside(settings):
    assert outside.each < outside.most <= settings.WEB_THREADS // 3
