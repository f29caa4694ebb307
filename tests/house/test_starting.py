"""What starts again and again, each time with somebody waiting, imports what it needs and no more."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = """
import json, sys
import django
django.setup()
from django.core.management import get_commands, load_command_class
views = {}
def note(name):
    views[name] = "sendarix.urls" in sys.modules
for name in sys.argv[1:]:
    command = load_command_class(get_commands()[name], name)
    command.handle = lambda **options: note(name)
    command.run_from_argv(["manage.py", name])
print(json.dumps(views))
"""


def test_processes_that_serve_no_view_import_none() -> None:
    commands = ["worker", "dispatcher", "webhooks", "relay"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "sendarix.settings"}
    argv = [sys.executable, "-c", START, *commands]
    answer = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == dict.fromkeys(commands, False)
