"""The state of the embedded PostgreSQL, as its pid file and the kernel tell it."""

import os
import socket
import subprocess
from pathlib import Path

from sendarix.core.processes import LINUX
from sendarix.postgres.place import SOCKET, socket_directory


def running(home: Path) -> bool:
    """Whether a server under `home` accepts queries now."""
    data = home / "pg" / "data"
    pid = recorded_pid(data)
    if pid is None or not ready(data, pid) or not alive(pid):
        return False
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(socket_directory(home) / SOCKET)) == 0


def ready(data: Path, pid: int) -> bool:
    """The eighth line of postmaster.pid is the postmaster's own word for its state (pg_ctl waits for it)."""
    lines = _pid_file(data)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def recorded_pid(data: Path) -> int | None:
    first = _pid_file(data)[:1]
    return int(first[0]) if first and first[0].isdecimal() else None


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def serves(pid: int, data: Path) -> bool:
    """Whether this process is a postmaster of this directory: a postmaster works inside its data."""
    if not LINUX:
        listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return str(data) in listed.stdout
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except OSError:
        return False
