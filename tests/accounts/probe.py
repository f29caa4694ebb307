"""A URLconf of small calls that show what the base view does for all of them."""

import threading
from typing import Annotated, Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from pydantic import Field
from rest_framework.exceptions import Throttled

from sendarix.accounts.api import ANY_KEY, ApiView, UnknownPath
from sendarix.core.answers import answer
from sendarix.core.shapes import Instant, Page, Shape
from sendarix.dashboard import docs


class Letter(Shape):
    sender: str = Field(alias="from")
    subject: Annotated[str, Field(max_length=10)] | None = None
    text: str = ""


class LetterQuery(Page):
    status: list[str] = []
    metadata: dict[str, str] = {}
    after: Instant | None = None


class Letters(ApiView):
    scopes = {"GET": "messages:read", "POST": "messages:send"}
    queries = {"GET": LetterQuery}

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(self.query(LetterQuery).model_dump())

    def post(self, request: HttpRequest) -> HttpResponse:
        return answer({"octets": len(self.read(Letter).text)}, 202)


class Gate(ApiView):
    """Stays in its handler until the gate is opened."""

    scopes = {"POST": ANY_KEY}
    inside = threading.Semaphore(0)
    opened = threading.Event()

    def post(self, request: HttpRequest) -> HttpResponse:
        self.read(Letter)
        self.inside.release()
        assert self.opened.wait(20)
        return answer({})


class Broken(ApiView):
    """Fails in the way its path names."""

    scopes = {"GET": ANY_KEY}

    def get(self, request: HttpRequest, how: str) -> HttpResponse:
        faults: dict[str, Any] = {"value": ValueError("recipient anna@acme.example"), "throttled": Throttled()}
        if how in faults:
            raise faults[how]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return answer({})


def page(request: HttpRequest) -> HttpResponse:
    raise ValueError("recipient anna@acme.example")


urlpatterns = [
    path("v1/letters", Letters.as_view()),
    path("v1/gate", Gate.as_view()),
    path("v1/broken/<how>", Broken.as_view()),
    path("v1/page", page),
    re_path(r"^v1(?:/.*)?$", UnknownPath.as_view()),
    path("docs/errors", docs.errors),
]
