"""The product's settings, with django-q2 naming its processes in the log: the tests choose whom to kill by it."""

from sendarix.settings import *  # noqa: F403 - settings are made of every name there is
from sendarix.settings import LOGGING

LOGGING["loggers"] = {"django-q": {"level": "INFO"}}
