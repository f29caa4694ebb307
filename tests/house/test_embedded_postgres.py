"""The embedded PostgreSQL: what it promises to those who never asked for a database server."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg2
import pytest

from sendarix import postgres
from sendarix.postgres import place
from sendarix.postgres.place import Identity, socket_directory

ROOT = Path(__file__).resolve().parents[2]


def query(home: Path, sql: str) -> list[tuple]:
    host = parse_qs(urlsplit(postgres.url(home)).query)["host"][0]
    connection = psycopg2.connect(host=host, user="sendarix", dbname="postgres")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def python(home: Path, code: str) -> "subprocess.Popen[str]":
    """A process of its own, as a manage.py command is, that uses the cluster under `home`."""
    environment = os.environ | {"SENDARIX_HOME": str(home), "PYTHONPATH": str(ROOT)}
    del environment["DATABASE_URL"]
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Path]:
    """A home whose cluster was made, and is not running."""
    home = Path(tempfile.mkdtemp(prefix="sendarix-pg-"))
    postgres.start(home, durable=False).stop()
    yield home
    shutil.rmtree(home)


@pytest.fixture
def home(fresh: Path) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="sendarix-pg-"))
    shutil.copytree(fresh / "pg", home / "pg")
    yield home
    shutil.rmtree(home)


def test_it_speaks_utf8_behind_a_socket_that_only_its_owner_can_reach(home: Path) -> None:
    server = postgres.start(home, durable=False)
    try:
        assert postgres.running(home)
        assert query(home, "SELECT upper('ärger'), current_setting('listen_addresses')") == [("ÄRGER", "")]
        assert (home / "pg").stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
    assert not postgres.running(home)


def test_what_was_committed_outlives_a_killed_server(home: Path) -> None:
    server = postgres.start(home)
    query(home, "CREATE TABLE kept AS SELECT 1 AS one")
    server.process.kill()
    server.process.wait()
    server = postgres.start(home)
    try:
        assert query(home, "SELECT one FROM kept") == [(1,)]
    finally:
        server.stop()


def test_a_pid_file_that_names_a_foreign_process_does_not_hinder(home: Path) -> None:
    (home / "pg" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{home}/pg/data\n0\n5432\n\n\n\nready\n")
    server = postgres.start(home, durable=False)
    server.stop()


def test_it_ends_when_its_owner_is_killed(home: Path) -> None:
    owner = python(home, "import sendarix.postgres as p, time; p.start(p.home()); print(1, flush=True); time.sleep(60)")
    assert owner.stdout is not None
    owner.stdout.readline()
    server = psutil.Process(owner.pid).children()[0]
    owner.kill()
    owner.communicate()
    assert eventually(lambda: not server.is_running())
    assert "database system is shut down" in (home / "pg" / "log").read_text()


def test_commands_that_race_share_one_server_and_the_last_one_ends_it(home: Path) -> None:
    code = (
        "import time, sendarix.postgres as p\n"
        "with p.for_command(['shell']):\n"
        "    assert p.running(p.home()); time.sleep(WAIT); assert p.running(p.home())"
    )
    racers = [python(home, code.replace("WAIT", wait)) for wait in ("0.1", "0.5", "0.9")]
    for racer in racers:
        racer.communicate(timeout=90)
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert not postgres.running(home)


def test_a_command_that_needs_no_database_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("SENDARIX_HOME", str(tmp_path / "home"))
    for argv in (["help"], ["up"], ["makemigrations", "--check"], ["migrate", "--help"], []):
        with postgres.for_command(argv):
            assert not (tmp_path / "home").exists()


def test_a_path_too_long_for_a_socket_gets_a_private_directory(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    assert len(str(socket_directory(long) / ".s.PGSQL.5432")) < 100
    assert socket_directory(long) == socket_directory(long) != socket_directory(tmp_path / ("y" * 100))
    assert str(socket_directory(long)) in postgres.url(long)


def test_a_socket_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100)
    socket_directory(home).mkdir()
    socket_directory(home).chmod(0o777)
    try:
        with pytest.raises(postgres.PostgresError, match="mode 0700"):
            postgres.start(home)
    finally:
        socket_directory(home).rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_without_user_namespaces_runs_it_as_nobody() -> None:
    home = Path(tempfile.mkdtemp(prefix="sendarix-pg-"))
    nobody = pwd.getpwnam("nobody")
    try:
        server = postgres.start(home, durable=False, ways=iter([Identity(nobody.pw_uid, nobody.pw_gid)]))
        server.stop()
        again = postgres.start(home, durable=False)
        assert psutil.Process(again.process.pid).uids().real == nobody.pw_uid
        again.stop()
    finally:
        shutil.rmtree(home)


def test_where_nothing_works_the_message_names_database_url(tmp_path: Path) -> None:
    with pytest.raises(postgres.PostgresError, match="DATABASE_URL"):
        postgres.start(tmp_path, ways=iter([]))


def test_old_binaries_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
    (tmp_path / "postgres").chmod(0o755)
    assert place.major(tmp_path) == 14
    monkeypatch.setenv("PATH", str(tmp_path))
    assert place.major(place.find_binaries()) >= place.OLDEST


def test_ctrl_c_in_the_terminal_does_not_reach_it(home: Path) -> None:
    server = postgres.start(home, durable=False)
    try:
        assert os.getpgid(server.process.pid) != os.getpgid(0)
        assert os.getsid(server.process.pid) != os.getsid(0)
    finally:
        server.stop()
