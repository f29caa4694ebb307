"""What strangers send, made safe to look at: a bounded body that is one JSON object, and a query string
without surprises."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import parse_header_parameters

from sendarix.core import shapes, strictjson
from sendarix.core.errors import BadRequest, FieldError, TooLarge, UnsupportedMediaType, ValidationFailed

MAX_PARAMETERS = 200
BLOCK = 1024 * 1024

Model = TypeVar("Model", bound=shapes.Shape)

_broken_escape = re.compile("%(?![0-9A-Fa-f]{2})").search
_indexed = re.compile(r"(\w+)\[([^\[\]]+)\]").fullmatch


def body(request: HttpRequest, also: Collection[str] = ()) -> bytes:
    """The whole body of a request in JSON, or in one of the media types `also`. Raises UnsupportedMediaType, TooLarge or
    BadRequest."""
    length = declared_length(request)
    if length != 0:
        _check_media_type(request.META, also)
    raw = _chunked(request) if length is None else _exactly(request, length)
    if not raw:
        raise BadRequest("The body is empty; send one JSON object.", code="bad_json")
    return raw


def json_object(raw: bytes) -> dict[str, Any]:
    """The one object a body must be. Raises BadRequest (bad_json)."""
    try:
        value = strictjson.loads(raw)
    except strictjson.JsonError as error:
        raise BadRequest(str(error), code="bad_json") from None
    if type(value) is not dict:
        raise BadRequest("The body must be one JSON object.", code="bad_json")
    return value


def declared_length(request: HttpRequest) -> int | None:
    """Content-Length, or None for a body in chunks. Raises TooLarge over MAX_BODY_BYTES."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if request.META.get("HTTP_TRANSFER_ENCODING") and not text:
        return None
    if not text.isascii() or not (text.isdecimal() or text == ""):
        raise BadRequest("Content-Length is not a number.")
    if len(text) > 18 or int(text or 0) > settings.MAX_BODY_BYTES:
        raise TooLarge()
    return int(text or 0)


def query(request: HttpRequest, model: type[Model]) -> Model:
    """The query string as a model: a list field may repeat, an object field is written `name[key]`.

    Raises BadRequest (bad_query) for what can't be read, ValidationFailed for the rest."""
    text = request.META.get("QUERY_STRING", "")
    payload, repeated = _payload(_pairs(text), model) if text else ({}, [])
    try:
        found = shapes.validate(model, payload)
    except ValidationFailed as failed:
        raise ValidationFailed([*repeated, *failed.errors]) from None
    if repeated:
        raise ValidationFailed(repeated)
    return found


def _check_media_type(meta: Mapping[str, str], also: Collection[str]) -> None:
    declared = meta.get("CONTENT_TYPE", "")
    if declared != "application/json":
        kind, parameters = parse_header_parameters(declared)
        if kind not in ("application/json", *also) or parameters.get("charset", "utf-8").lower() not in (
            "utf-8",
            "utf8",
        ):
            raise UnsupportedMediaType()
    if meta.get("HTTP_CONTENT_ENCODING", "identity").lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body uncompressed: Content-Encoding is not supported.")


def _exactly(request: HttpRequest, length: int) -> bytes:
    raw = _read(request, length)
    if len(raw) != length:
        raise BadRequest("The body ended before Content-Length.")
    return raw


def _chunked(request: HttpRequest) -> bytes:
    """Django shows no body without Content-Length: read the server's stream, up to the limit and a byte."""
    if not request.META.get("wsgi.input_terminated"):
        raise BadRequest("Send Content-Length with the body.")
    blocks, room = [], settings.MAX_BODY_BYTES
    while block := _read(request.META["wsgi.input"], min(BLOCK, room + 1)):
        blocks.append(block)
        room -= len(block)
        if room < 0:
            raise TooLarge()
    return b"".join(blocks)


def _read(stream: Any, size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:  # servers have classes of their own for broken chunks and vanished clients
        raise BadRequest("The body could not be read to its end.") from error


def _pairs(text: str) -> list[tuple[str, str]]:
    if _broken_escape(text):
        raise BadRequest("A % in the query string is not followed by two hex digits.", code="bad_query")
    try:
        pairs = parse_qsl(
            text.encode("latin-1").decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeError:
        raise BadRequest("The query string is not UTF-8.", code="bad_query") from None
    except ValueError:
        message = f"The query string has more than {MAX_PARAMETERS} parameters."
        raise BadRequest(message, code="bad_query") from None
    if "%00" in text:
        raise BadRequest("The query string holds a NUL.", code="bad_query")
    return pairs


def _payload(pairs: list[tuple[str, str]], model: type[shapes.Shape]) -> tuple[dict[str, Any], list[FieldError]]:
    lists, objects = _plural_fields(model)
    payload: dict[str, Any] = {}
    repeated = []
    for name, value in pairs:
        indexed = _indexed(name)
        if name in lists:
            payload.setdefault(name, []).append(value)
            continue
        home, key = (payload, name)
        if indexed and indexed[1] in objects:
            home, key = payload.setdefault(indexed[1], {}), indexed[2]
        if key in home:
            repeated.append(FieldError(name[:200], "repeated", "Must stand only once."))
        home[key] = value
    return payload, repeated


@lru_cache(maxsize=256)
def _plural_fields(model: type[shapes.Shape]) -> tuple[frozenset[str], frozenset[str]]:
    kinds: dict[type, set[str]] = {list: set(), dict: set()}
    for name, field in model.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if (origin := get_origin(part) or part) in kinds:
                kinds[origin].add(field.alias or name)
    return frozenset(kinds[list]), frozenset(kinds[dict])
