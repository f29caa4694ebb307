"""The secrets of a route: one sealed JSON object, opened once per process and text."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from sendarix.core import vault

PURPOSE = "route"


def sealed(secrets: Mapping[str, Any]) -> str | None:
    """The object sealed; None when there is nothing to seal."""
    return vault.seal(json.dumps(secrets).encode(), PURPOSE) if secrets else None


@functools.lru_cache(maxsize=1_000)
def opened(text: str | None) -> Mapping[str, Any]:
    """What `sealed` was given. Raises VaultError."""
    return json.loads(vault.reveal(text, PURPOSE)) if text else {}
