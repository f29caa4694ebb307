"""Programs nobody here wrote, which some tests talk to."""

import os
import shutil
from pathlib import Path

import pytest

PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def program(name: str, package: str = "") -> str:
    """Its path; `package` is Debian's name of what brings it, if another."""
    return shutil.which(name, path=PATHS) or missing(f"no {name} here (Debian: apt-get install {package or name})")


def package(folder: Path, name: str) -> Path:
    """An npm package that the folder's lock file pins."""
    found = folder / "node_modules" / name
    return found if found.is_dir() else Path(missing(f"no {name} here (npm ci --prefix {folder})"))


def missing(what: str) -> str:
    """The gate has every peer; whoever runs the tests elsewhere is told which ones did not run."""
    (pytest.fail if os.environ.get("SENDARIX_GATE") else pytest.skip)(what)
    raise AssertionError
