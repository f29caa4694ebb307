"""The API as a caller meets it, over Django's handler and middleware without a socket. Every answer is held against the
API's document."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests import openapi_check


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `json` is the decoded body, or None when it is no JSON."""

    status: int
    json: Any
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error."""
        return self.json["error"]["code"]

    @property
    def faults(self) -> dict[str, str]:
        """The codes of an error's faults by field."""
        return {fault["field"]: fault["code"] for fault in self.json["error"]["errors"]}


class Api:
    """Calls with one key, from one address. `Api(None)` calls without a key."""

    def __init__(self, key: str | None, address: str = "127.0.0.1") -> None:
        self._fixed = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = Client(raise_request_exception=False, REMOTE_ADDR=address)

    def get(self, path: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Answer:
        return self.call("GET", f"{path}?{urlencode(query, doseq=True)}" if query else path, headers=headers)

    def post(self, path: str, json: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.call("POST", path, json, headers=headers)

    def put(self, path: str, json: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.call("PUT", path, json, headers=headers)

    def patch(self, path: str, json: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.call("PATCH", path, json, headers=headers)

    def delete(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.call("DELETE", path, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        payload: Any = None,
        *,
        body: bytes | None = None,
        media_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Any request: `payload` is sent as JSON, `body` as it is."""
        if body is None:
            body = b"" if payload is None else json.dumps(payload).encode()
        sent = self._fixed | (headers or {})
        response = self._client.generic(method, path, body, content_type=media_type, headers=sent)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        decoded = json.loads(content) if response.get("Content-Type") == "application/json" and content else None
        openapi_check.check(method, path, response.status_code, response.headers, decoded, payload)
        return Answer(response.status_code, decoded, dict(response.headers), content)
