"""A real browser on the running product. Whatever a test does, no page may write an error to the console, ask another host, or be
wider than its window."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.browser.running import Site, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
PATIENCE = 60_000
"""Milliseconds for what a page has to show."""

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
]


expect.set_options(timeout=PATIENCE)


def missing(what: str) -> None:
    (pytest.fail if os.environ.get("SENDARIX_GATE") else pytest.skip)(f"{what} is not installed (see .ci/run)")


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    if CHROMIUM is None:
        missing("Chromium")
    with running() as site:
        yield site


@pytest.fixture(scope="package")
def browser(site: Site) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def login(site: Site, browser: Browser) -> dict:
    """The cookies of the demo account's owner."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    page.goto("/login")
    page.fill("[name=username]", site.demo["username"])
    page.fill("[name=password]", site.demo["password"])
    page.click("main button.primary")
    page.wait_for_url("**/app/demo/live/")
    state = context.storage_state()
    context.close()
    return state


EXPECTED = ("the server responded with a status of 4", "frame is sandboxed", '"img-src data:"')
"""A form with a fault is a 422; scripts and pictures that the frame of a mail holds back are just what is wanted."""


class Watch:
    """What a page did that it must not."""

    def __init__(self, page: Page, host: str) -> None:
        self.faults: list[str] = []
        self._host = host
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in EXPECTED):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != self._host:
            self.faults.append(f"asked another host: {request.url}")


@pytest.fixture
def context(site: Site, browser: Browser, login: dict) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=site.url, storage_state=login, viewport={"width": 1280, "height": 900}, locale="en-US"
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(site: Site, context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    watch = Watch(page, urlsplit(site.url).netloc)
    yield page
    assert watch.faults == []
