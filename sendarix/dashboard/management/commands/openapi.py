"""`manage.py openapi`: keep docs/openapi.json equal to what the code serves."""

import difflib
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sendarix.dashboard import openapi

MOST_LINES = 40
"""Lines of a difference that are shown."""


class Command(BaseCommand):
    help = "Write the API's document to docs/openapi.json, or with --check fail where they differ."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, fail when the file is not up to date")
        parser.add_argument("--file", type=Path, default=settings.BASE_DIR / "docs" / "openapi.json")

    def handle(self, *args: Any, **options: Any) -> None:
        file, made = options["file"], openapi.text()
        if not options["check"]:
            file.write_text(made)
            return
        kept = file.read_text() if file.exists() else ""
        if kept != made:
            lines = difflib.unified_diff(kept.splitlines(), made.splitlines(), str(file), "the code", lineterm="")
            shown = "\n".join(islice(lines, MOST_LINES))
            raise CommandError(f"{file.name} is not what the code says; run manage.py openapi\n{shown}")
