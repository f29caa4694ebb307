"""The WSGI application. Everything a request needs is imported here, once, before gunicorn forks."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendarix.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  # imports every view

from messaging.domains import names  # noqa: E402  # these need the settings
from sendarix.accounts import request_log  # noqa: E402  # its models too

names.suffixes()
request_log.keep()
