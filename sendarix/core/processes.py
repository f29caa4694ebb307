"""Ending processes: when told, with their parent (Linux; elsewhere nothing), or as a whole group."""

import contextlib
import ctypes
import os
import signal
import sys
import threading

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int, parent: int) -> None:
    """The kernel sends `number` to this process when the thread that forked it ends.

    To be called in the child, after any change of user, with the pid of the process that forked it.
    """
    if LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Descendants whose parent died become children of this process, not of init: it can end them."""
    if LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(leader: int) -> None:
    """SIGKILL every process of the group whose leader this was."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def told_to_end() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on, instead of ending the process. Main thread only."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told
