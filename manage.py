#!/usr/bin/env python
"""Command line of Sendarix. Without DATABASE_URL a command joins the embedded PostgreSQL, or runs one for its own lifetime."""

import os
import sys

from django.core.management import execute_from_command_line

from sendarix import postgres


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
    with postgres.for_command(sys.argv[1:]):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
