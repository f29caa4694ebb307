"""Attachment bytes: whole on the disk before their path is known, or not there at all."""

import asyncio
import os
from pathlib import Path

import pytest
from django.core.files.storage import storages

from messaging import content


@pytest.fixture
def directory(tmp_path, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        content.ALIAS: {
            "BACKEND": "messaging.content.DurableFileSystemStorage",
            "OPTIONS": {"location": tmp_path / "attachments"},
        },
    }
    return tmp_path / "attachments"


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def blocks(path: str) -> list[bytes]:
    return [block async for block in content.open_blocks(path)]


def test_stored_bytes_are_read_back_in_blocks(directory):
    data = os.urandom(1_000_000)
    path = content.store(data)
    found = asyncio.run(blocks(path))
    assert b"".join(found) == data
    assert {len(block) for block in found[:-1]} == {content.BLOCK}


def test_equal_bytes_are_kept_apart_under_names_nobody_can_guess(directory):
    first, second = content.store(b"same"), content.store(b"same")
    assert first != second
    assert [len(step) for step in first.split("/")] == [2, 2, 28]
    assert {path.stat().st_mode & 0o777 for path in files(directory)} == {0o600}


def test_the_file_and_every_new_directory_are_synced(directory, monkeypatch):
    synced = []
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    path = directory / content.store(b"x")
    assert {str(path.parent), str(path.parent.parent), str(directory)} <= set(synced)
    assert any(name.startswith(f"{path.parent}/.") for name in synced)


def test_a_full_disk_is_reported_and_leaves_no_half_file(directory, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(content.StorageUnavailable):
        content.store(b"x" * 100_000)
    assert files(directory) == []


def test_a_deleted_file_is_gone_and_may_be_deleted_again(directory):
    path = content.store(b"x")
    content.delete(path)
    content.delete(path)
    assert files(directory) == []
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(blocks(path))


def test_a_reader_may_stop_early(directory):
    async def first(path: str) -> bytes:
        reader = content.open_blocks(path)
        block = await anext(reader)
        await reader.aclose()
        return block

    assert asyncio.run(first(content.store(b"x" * 200_000))) == b"x" * content.BLOCK


def test_the_settings_use_durable_storage():
    assert isinstance(storages[content.ALIAS], content.DurableFileSystemStorage)
