"""The API's document: valid, complete, true, and shown by a page that needs nobody else."""

import json
import re

import pytest
from django.contrib.staticfiles import finders
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import path
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from messaging.views.messages import Messages
from sendarix.accounts.api import ANY_KEY, ApiView
from sendarix.accounts.calls import AnswerShape, Call
from sendarix.dashboard import openapi
from tests import openapi_check
from tests.accounts import probe
from tests.accounts.test_permissions import calls

HEADERS = {
    "X-Request-Id": f"req_{'0' * 26}", "X-RateLimit-Limit": "9", "X-RateLimit-Remaining": "8", "X-RateLimit-Reset": "1795476000",
}  # fmt: skip
ACCEPTED = {
    "message_id": f"msg_{'0' * 26}", "status": "queued", "recipient": "kim@hanbit.example",
    "created_at": "2026-04-19T14:30:00.000Z",
}  # fmt: skip


@pytest.fixture
def document():
    return json.loads(openapi.text())


def operations(document):
    return [operation for item in document["paths"].values() for operation in item.values()]


def parts(value, name):
    """Every value of this name, at any depth."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if key == name:
            yield child
        yield from parts(child, name)


def judge(status=202, headers=HEADERS, answer=ACCEPTED, sent=None, query=""):
    openapi_check.check("POST", f"/v1/messages{query}", status, headers, answer, sent)


def test_it_is_valid_openapi_3_1(document):
    validate_schema(document)
    assert document["openapi"] == "3.1.1"


def test_its_schemas_are_valid_and_its_references_lead_somewhere(document):
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert all(openapi_check.resolved({"$ref": target}) for target in parts(document, "$ref"))


def test_every_path_and_method_of_v1_is_in_it_with_its_scope(document):
    found = {re.sub(r"<\w+:(\w+)>", r"{\1}", route): view.scopes for route, view in calls().items() if view.scopes}
    shown = {
        route: {method.upper(): operation["security"][0]["apiKey"][0] for method, operation in item.items()}
        for route, item in document["paths"].items()
        if route != "/v1/openapi.json"
    }
    assert shown == found


def test_every_call_has_a_name_of_its_own_a_summary_and_a_tag_that_is_explained(document):
    names = [operation["operationId"] for operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in operations(document))
    assert {tag for operation in operations(document) for tag in operation["tags"]} == openapi.TAGS.keys()


def test_its_examples_are_true(document):
    media = [content.get("application/json", {}) for content in parts(document["paths"], "content")]
    shown = [item for item in media if "example" in item]
    assert len(shown) >= 5
    assert [openapi_check.faults(item["schema"], item["example"]) for item in shown] == [[]] * len(shown)


def test_a_query_tells_lists_objects_and_limits(document):
    query = {item["name"]: item for item in document["paths"]["/v1/messages"]["get"]["parameters"]}
    assert query["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}
    assert query["status"]["schema"]["type"] == "array"
    assert (query["metadata"]["style"], query["metadata"]["explode"]) == ("deepObject", True)
    assert query["created_after"]["schema"] == {"type": "string", "format": "date-time"}


def test_the_kept_file_is_what_the_code_says():
    call_command("openapi", "--check")


def test_a_file_that_differs_fails_the_gate_and_is_written_anew(tmp_path):
    file = tmp_path / "openapi.json"
    file.write_text(openapi.text().replace("message_id", "messageId"))
    with pytest.raises(CommandError, match="messageId"):
        call_command("openapi", "--check", "--file", str(file))
    call_command("openapi", "--file", str(file))
    assert file.read_text() == openapi.text()


def test_a_call_that_nobody_described_fails():
    with pytest.raises(ImproperlyConfigured, match=r"Letters.calls does not describe GET /v1/letters"):
        openapi.described([path("v1/letters", probe.Letters.as_view())])


def test_two_shapes_of_one_name_fail():
    class Accepted(AnswerShape):
        letter: int

    class Letters(ApiView):
        scopes = {"POST": ANY_KEY}
        calls = {"POST": Call(name="postLetter", summary="Post a letter", answer=Accepted)}

        def post(self, request):
            raise NotImplementedError

    with pytest.raises(openapi.Undescribed, match="two different schemas are called Accepted"):
        openapi.described([path("v1/letters", Letters.as_view()), path("v1/messages", Messages.as_view())])


def test_an_answer_as_documented_passes():
    judge()
    judge(sent={"recipient": "kim@hanbit.example", "template": "welcome"})
    openapi_check.check("HEAD", "/v1/messages", 200, HEADERS, None)


@pytest.mark.parametrize(
    "lie",
    [
        {"answer": ACCEPTED | {"colour": "red"}},
        {"answer": {name: value for name, value in ACCEPTED.items() if name != "status"}},
        {"answer": ACCEPTED | {"created_at": "2026-04-19T16:30:00.000+02:00"}},
        {"answer": None},
        {"status": 201},
        {"status": 404, "answer": {"error": {}}},
        {"headers": {name: value for name, value in HEADERS.items() if name != "X-RateLimit-Reset"}},
        {"sent": {"recipient": "kim@hanbit.example", "colour": "red"}},
        {"query": "?colour=red"},
    ],
    ids=lambda lie: ",".join(lie),
)
def test_the_tests_notice_an_answer_that_is_not_documented(lie):
    with pytest.raises(AssertionError, match=r"POST /v1/messages -> \d+"):
        judge(**lie)


def test_anybody_may_read_it(db, document):
    answer = Client().get("/v1/openapi.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == document
    openapi_check.check("GET", "/v1/openapi.json", 200, answer.headers, answer.json())


def test_it_can_only_be_read(db):
    answer = Client().post("/v1/openapi.json")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    openapi_check.check("POST", "/v1/openapi.json", 405, answer.headers, answer.json())


def test_the_page_runs_nothing_but_our_own_files():
    answer = Client().get("/docs/api")
    page = answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' data:;")
    assert re.findall(r"<script(?! src=)|<style| style=| on\w+=|https?://", page) == []
    files = re.findall(r'"/static/([^"]+)"', page)
    assert len(files) == 5
    assert all(finders.find(file) for file in files)


def test_the_pages_of_calls_and_errors_lead_to_each_other():
    assert 'href="/docs/errors"' in Client().get("/docs/api").content.decode()
    assert 'href="/docs/api"' in Client().get("/docs/errors").content.decode()
