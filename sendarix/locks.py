"""Locks between processes of one machine: files in SENDARIX_HOME, freed by the kernel with their holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[int] = set()


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Holds the lock for the block, with our pid in it; False, and no lock, if it is taken and not `wait`."""
    with _flock(path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)) as got:
        if got:
            path.write_text(f"{os.getpid()}\n")
        yield got


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Holds the lock beside other sharers, waiting for an exclusive holder."""
    with _flock(path, fcntl.LOCK_SH):
        yield


def holder(path: Path) -> str:
    """The pid that last took the lock exclusively, or "unknown"."""
    try:
        return path.read_text().strip() or "unknown"
    except OSError:
        return "unknown"


@contextmanager
def _flock(path: Path, kind: int) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        if descriptor in _held:
            _held.discard(descriptor)
            os.close(descriptor)


def _forget() -> None:
    """An flock lives as long as any copy of its descriptor: a forked worker must not keep its parent's."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_forget)
