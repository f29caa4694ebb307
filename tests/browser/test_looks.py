"""What a page shows at a glance: nothing that is broken over two lines, cut off, or without a sign that there is more."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Site

LIVE = "/app/demo/live/"


def cut_off(page: Page) -> list[str]:
    """Names of the tables that are wider than their cards."""
    wide = "tables => tables.filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText.slice(0, 60))"
    return page.eval_on_selector_all("main .table", wide)


def test_a_kept_search_is_as_high_as_its_neighbours(site: Site, page: Page) -> None:
    site.send(subject="News of autumn")
    page.goto(LIVE + "messages?q=subject:news")
    page.click('[data-open="#save-search"]')
    page.fill("#save-search [name=name]", "News mail")
    page.click("#save-search button.primary")
    kept = page.locator("nav.chips > .chip", has_text="News mail")
    expect(kept).to_be_visible()
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        heights = page.eval_on_selector_all("nav.chips > .chip", "chips => chips.map(chip => chip.offsetHeight)")
        assert max(heights) < 36, (width, heights)
    page.once("dialog", lambda dialog: dialog.accept())
    kept.locator("button").click()
    expect(kept).to_have_count(0)


def test_the_list_of_messages_fits_a_phone(site: Site, page: Page) -> None:
    site.send()
    page.set_viewport_size({"width": 360, "height": 900})
    page.goto(LIVE + "messages")
    page.eval_on_selector_all("tbody time", "times => times.forEach(one => { one.textContent = '2026-11-27 12:36' })")
    assert cut_off(page) == []


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_tables_of_the_queue_fit_their_cards(site: Site, page: Page, language: str) -> None:
    site.until(site.send(), "delivered")
    page.context.add_cookies([{"name": "django_language", "value": language, "domain": "127.0.0.1", "path": "/"}])
    page.goto(LIVE + "queues")
    assert cut_off(page) == []


@pytest.mark.parametrize("path", ["messages", "queues"])
def test_what_unfolds_has_a_mark_that_says_so(page: Page, path: str) -> None:
    page.goto(LIVE + path)
    mark = "summary => getComputedStyle(summary, '::after').borderBottomWidth"
    assert page.eval_on_selector(".card.fold > summary", mark) == "2px"
