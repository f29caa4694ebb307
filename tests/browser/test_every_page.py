"""Every page of the menu, in both languages, light and dark, narrow and wide: nothing serious for axe, nothing cut off."""

from contextlib import suppress

import pytest
from playwright.sync_api import Page, TimeoutError

from sendarix.dashboard.navigation import GROUPS, OPERATOR
from tests.browser.conftest import AXE, missing

SECTIONS = [section.name for _, sections in GROUPS for section in sections]
WIDTHS = (360, 800, 1440)


def addresses(page: Page) -> list[str]:
    """The paths of the menu, as the owner sees them, and those of the platform."""
    page.goto("/app/demo/live/")
    paths = page.eval_on_selector_all(".sidebar nav a", "links => links.map(link => link.getAttribute('href'))")
    assert len(paths) == len(SECTIONS)
    page.goto("/operator/")
    platform = page.eval_on_selector_all(".sidebar nav a", "links => links.map(link => link.getAttribute('href'))")
    assert len(platform) == len(OPERATOR)
    return [*paths, *platform, "/profile", "/second-factor/setup", "/password"]


def serious(page: Page) -> list[str]:
    """What axe finds serious or worse, by rule and element."""
    if not AXE.exists():
        missing("axe-core")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html'][:160]}" for one in grave for node in one["nodes"]]


def wider_than_window(page: Page, width: int) -> bool:
    """Once a chart has had its time to follow."""
    page.set_viewport_size({"width": width, "height": 900})
    with suppress(TimeoutError):
        page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth", timeout=3_000)
        return False
    return True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    found = {}
    for path in addresses(page):
        page.goto(path)
        found[path] = serious(page)
    assert {path: faults for path, faults in found.items() if faults} == {}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_is_wider_than_its_window(page: Page, language: str) -> None:
    paths = addresses(page)
    page.context.add_cookies([{"name": "django_language", "value": language, "domain": "127.0.0.1", "path": "/"}])
    wide = []
    for path in paths:
        page.goto(path)
        assert page.get_attribute("html", "lang") == language
        wide += [(path, width) for width in WIDTHS if wider_than_window(page, width)]
    assert wide == []


def test_pages_say_what_they_may_load_and_run(page: Page) -> None:
    for path in addresses(page):
        answer = page.goto(path)
        policy = answer.headers["content-security-policy"] if answer else ""
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
