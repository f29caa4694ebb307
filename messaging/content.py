"""Attachment bytes, kept outside the database under the storage alias "attachments". A file is whole and on the disk
before its path is handed out, so that the row that names it never names less."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, storages

BLOCK = 57 * 1024
"""Octets of one block: whole lines of base64."""

_BLOCKS_READ = 16  # in one visit to a thread

ALIAS = "attachments"


class StorageUnavailable(Exception):
    """The bytes could not be kept (disk full, store away); nothing of them is left."""


class DurableFileSystemStorage(FileSystemStorage):
    """Files that survive a crash: written aside, synced, moved into place, and their directory synced."""

    def _save(self, name: str, content: File) -> str:
        path = Path(self.path(name))
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        _make_directory(path.parent, Path(self.location))
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
        return name


def fresh_path() -> str:
    """One that no file has."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:4]}/{name[4:]}"


def store(data: bytes, path: str = "") -> str:
    """Keep `data`, under this or a fresh path, and say under which; raises StorageUnavailable."""
    try:
        return storages[ALIAS].save(path or fresh_path(), ContentFile(data))
    except Exception as error:  # each storage has its own exceptions, an OSError in the case of a disk
        raise StorageUnavailable("attachments cannot be stored now") from error


async def open_blocks(path: str, block: int = BLOCK) -> AsyncIterator[bytes]:
    """The file in blocks, read in threads so that a slow store does not hold up the loop. Raises OSError."""
    file = await asyncio.to_thread(storages[ALIAS].open, path, "rb")
    try:
        while data := await asyncio.to_thread(file.read, _BLOCKS_READ * block):
            for start in range(0, len(data), block):
                yield data[start : start + block]
    finally:
        await asyncio.to_thread(file.close)


def opened(path: str) -> File:
    """The file, to be read in blocks and closed. Raises OSError."""
    return storages[ALIAS].open(path, "rb")


def read(path: str, most: int) -> bytes:
    """The first `most` octets of the file. Raises OSError."""
    with storages[ALIAS].open(path, "rb") as file:
        return file.read(most)


def delete(path: str) -> None:
    """Forget the file; one that is gone already is no fault."""
    storages[ALIAS].delete(path)


def _make_directory(directory: Path, root: Path) -> None:
    """Make `directory` and sync each directory that got a new entry, up to `root`."""
    missing = [directory, *directory.parents]
    missing = [parent for parent in missing[: missing.index(root)] if not parent.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_directory(made.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
