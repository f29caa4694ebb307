"""Answers that carry what somebody else wrote: a mail's HTML for a frame in which nothing runs and nothing is fetched, its source
as text, its files as downloads."""

import email
import email.policy
from collections.abc import Iterable
from email.message import EmailMessage
from typing import TypeVar
from urllib.parse import quote

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from messaging import content
from messaging.models import CapturedMail

Answer = TypeVar("Answer", bound=HttpResponseBase)

LARGEST_SHOWN = 5 * 1024 * 1024
"""Octets of a captured source that are parsed for a page; a larger mail is shown by its first part."""

FRAME_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
DOWNLOAD_POLICY = "sandbox; default-src 'none'"


def framed(html: str) -> HttpResponse:
    """For an iframe with `sandbox`, which holds also when the address is opened by itself."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = FRAME_POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Referrer-Policy"] = "no-referrer"
    return _private(response)


def plain(octets: bytes) -> HttpResponse:
    return _private(HttpResponse(octets, content_type="text/plain; charset=utf-8"))


def download(path: str, filename: str) -> FileResponse:
    """A stored file, never shown by the browser. Raises OSError."""
    response = FileResponse(content.opened(path), content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    response["Content-Security-Policy"] = DOWNLOAD_POLICY
    return _private(response)


def table(blocks: Iterable[bytes], filename: str, size: int | None = None) -> StreamingHttpResponse:
    """A CSV file as a download, read or made as it is sent; `size` in octets, where that is known."""
    response = StreamingHttpResponse(blocks, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    if size is not None:
        response["Content-Length"] = str(size)
    return _private(response)


def captured(mail: CapturedMail) -> EmailMessage:
    """A captured mail, parsed. Raises OSError."""
    source = content.read(mail.path, LARGEST_SHOWN)
    return email.message_from_bytes(source, _class=EmailMessage, policy=email.policy.default)


def _private(response: Answer) -> Answer:
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response
