"""How long a suppression holds when nobody says: by reason, in days, from settings.SUPPRESSION_EXPIRY; a reason not named there
holds for ever."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from suppressions.models import Reason


def default_end(reason: Reason, now: datetime) -> datetime | None:
    """When a record of this reason ends that begins now; None: never."""
    days = settings.SUPPRESSION_EXPIRY.get(reason, 0)
    return now + timedelta(days=days) if days else None


@register
def expiry_is_by_known_reasons(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    return [
        Error(
            f"SENDARIX_SUPPRESSION_EXPIRY: {name}={days} is not a reason ({', '.join(Reason)}) with days from 0 on.",
            id="suppressions.E001",
        )
        for name, days in settings.SUPPRESSION_EXPIRY.items()
        if name not in set(Reason) or not 0 <= days <= 36500
    ]
