"""Whatever a request is, its answer has the one shape and the headers, and is never a 500 of the request's making."""

import io
import json

import pytest
from django.test.client import ClientHandler

from tests import builders
from tests.api_client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.probe")]

DEEP = b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def check(answer, status, code):
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert error["request_id"].startswith("req_")
    assert error["doc_url"] == f"/docs/errors#{code}"
    assert error["message"]
    assert ("errors" in error) == (status in (400, 422))
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= answer.headers.keys()


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nowhere", "/v1/letters/", "/v1/broken/a%00b", "/v1/%ff%fe"])
def test_an_unknown_path_is_404_with_a_key_and_401_without(api, path):
    check(api.get(path), 404, "not_found")
    check(Api(None).get(path), 401, "unauthorized")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_a_wrong_method_is_405_and_names_the_right_ones(api, method):
    answer = api.call(method, "/v1/letters")
    check(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


def test_head_is_get_without_the_body(api):
    answer = api.call("HEAD", "/v1/letters?limit=3")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("media_type", "headers", "status"),
    [
        ("application/json", {}, 202),
        ("application/json; charset=UTF-8", {}, 202),
        ("Application/JSON", {}, 202),
        ("application/json; charset=latin-1", {}, 415),
        ("text/plain", {}, 415),
        ("application/x-www-form-urlencoded", {}, 415),
        ("multipart/form-data; boundary=x", {}, 415),
        ("", {}, 415),
        (";;=", {}, 415),
        ("application/json", {"Content-Encoding": "gzip"}, 415),
    ],
)
def test_a_body_is_json_in_utf8_or_415(api, media_type, headers, status):
    answer = api.call("POST", "/v1/letters", body=b'{"from":"x"}', media_type=media_type, headers=headers)
    assert answer.status == status
    if status == 415:
        check(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"from"',
        b"null",
        b"\xff\xfe{\x00}\x00",
        b'{"from":"\xff"}',
        b'{"from":"a","from":"b"}',
        b'{"from":"a\\u0000"}',
        b'{"from":"\\ud800"}',
        b'{"from":1e400}',
        b'{"from":NaN}',
        b'{"from":' + b"9" * 5000 + b"}",
        DEEP,
    ],
)
def test_a_body_that_is_no_sound_json_object_is_400(api, body):
    check(api.call("POST", "/v1/letters", body=body), 400, "bad_json")


def test_a_body_over_the_limit_is_413_before_it_is_read(api, settings):
    settings.MAX_BODY_BYTES = 1000
    check(api.call("POST", "/v1/letters", body=b" " * 1001), 413, "too_large")
    assert api.post("/v1/letters", {"from": "x"}).status == 202


def chunked(token, body, **rest):
    """A request as a server hands it over that came with Transfer-Encoding: chunked."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/letters",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    response = ClientHandler()(environ | rest)
    return response.status_code, json.loads(response.content)


def test_a_chunked_body_is_read_whole_and_within_the_limit(acme, settings):
    settings.MAX_BODY_BYTES = 1000
    token = builders.api_key(acme)
    assert chunked(token, b'{"from":"x","text":"%s"}' % (b"a" * 900)) == (202, {"octets": 900})
    status, refused = chunked(token, b'{"from":"x","text":"%s"}' % (b"a" * 1000))
    assert (status, refused["error"]["code"]) == (413, "too_large")


def test_a_body_that_breaks_off_or_has_no_end_is_400(acme):
    token = builders.api_key(acme)
    assert chunked(token, b"{}", **{"wsgi.input_terminated": False})[0] == 400
    assert chunked(token, b'{"from"', CONTENT_LENGTH="500")[0] == 400
    assert chunked(token, b"{}", CONTENT_LENGTH="-5")[0] == 400


@pytest.mark.parametrize("query", ["limit=%zz", "limit=%", "cursor=%ff", "cursor=%00", "&".join(["a=1"] * 300)])
def test_a_query_string_that_cant_be_read_is_400(api, query):
    check(api.get(f"/v1/letters?{query}"), 400, "bad_query")


def test_every_fault_of_a_query_is_told(api):
    answer = api.get("/v1/letters?limit=101&nonsense=1&after=2026-01-01T00:00:00&cursor=a&cursor=b")
    check(answer, 422, "validation_failed")
    assert answer.faults == {
        "cursor": "repeated",
        "limit": "out_of_range",
        "after": "invalid_value",
        "nonsense": "unknown_field",
    }


def test_lists_repeat_and_objects_are_written_with_brackets(api):
    answer = api.get("/v1/letters?status=a&status=b&metadata[order]=7&limit=3&after=2026-01-01T01:00:00%2B01:00")
    assert answer.json == {
        "limit": 3,
        "cursor": None,
        "status": ["a", "b"],
        "metadata": {"order": "7"},
        "after": "2026-01-01T00:00:00.000Z",
    }


def test_a_query_string_is_a_fault_where_none_is_known(api):
    answer = api.post("/v1/letters?dry_run=1", {"from": "x"})
    check(answer, 422, "validation_failed")
    assert answer.faults == {"dry_run": "unknown_field"}


def test_a_callers_own_request_id_is_not_taken(api):
    assert api.get("/v1/letters", headers={"X-Request-Id": "mine"}).headers["X-Request-Id"].startswith("req_")
