"""What people come for, in a real browser on the running product: each story ends with what they wanted, seen from outside."""

import re
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Site
from tests.delivery.dns_server import txt
from tests.webhooks.receiver import Reply

LIVE = "/app/demo/live/"
CLICKS = "addEventListener('click', () => sessionStorage.setItem('clicks', 1 + Number(sessionStorage.getItem('clicks'))), true)"


def pressed(page: Page, name: str | re.Pattern[str]) -> None:
    page.locator("main").get_by_role("button", name=name).first.click()


def found(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator("main").get_by_text(text).locator("visible=true").first).to_be_visible()


def test_support_finds_a_missing_code_and_says_why_in_under_five_clicks(site: Site, page: Page) -> None:
    site.replies["seoyeon@"] = "450 4.7.1 Greylisted, come back in five minutes"
    fields = {"template": "otp-code", "template_data": {"code": "847291", "expires_in": "5 minutes"}}
    message_id = site.send(recipient="seoyeon@naver.com", subject=None, text=None, **fields)
    site.until(message_id, "deferred")
    page.add_init_script(CLICKS)
    page.goto(LIVE)
    page.keyboard.press("/")
    page.keyboard.type("seoyeon@naver.com")
    page.keyboard.press("Enter")
    page.locator(f"tr#{message_id} a").click()
    found(page, re.compile(r"Naver asked us to try later \(greylisting\)"))
    found(page, "Greylisted, come back in five minutes")
    assert page.evaluate("Number(sessionStorage.getItem('clicks'))") < 5


def test_an_admin_makes_a_key_sees_it_once_and_sends_with_it(site: Site, page: Page) -> None:
    page.goto(f"{LIVE}keys/new")
    page.fill("[name=name]", "Checkout")
    pressed(page, "Create the key")
    token = page.locator(".copy code").first.inner_text()
    assert token.startswith("sk_live_")
    mail = {"recipient": "kim@hanbit.example", "subject": "By the new key", "text": "Hello"}
    with site.client(token) as key:
        message_id = key.post("/v1/messages", json=mail).json()["message_id"]
    site.until(message_id, "delivered")
    page.goto(f"{LIVE}keys")
    found(page, "Checkout")
    assert token not in page.content()
    page.get_by_role("link", name="Checkout").click()
    page.wait_for_url("**/keys/key_*")
    assert token not in page.content()


def test_a_suppression_is_added_and_removed(site: Site, page: Page) -> None:
    page.goto(f"{LIVE}suppressions")
    page.locator("form[method=post] [name=recipient]").fill("no.more@hanbit.example")
    page.locator("form[method=post] [name=note]").fill("Asked us by phone")
    pressed(page, "Suppress")
    site.until(site.send(recipient="no.more@hanbit.example"), "suppressed")
    page.goto(f"{LIVE}suppressions?q=no.more")
    page.get_by_role("link", name="no.more@hanbit.example").click()
    page.fill("[name=why]", "Asked us to mail again")
    page.once("dialog", lambda dialog: dialog.accept())
    pressed(page, "Remove the suppression")
    page.wait_for_url("**/suppressions")
    site.until(site.send(recipient="no.more@hanbit.example"), "delivered")


def test_a_template_is_changed_and_published(site: Site, page: Page) -> None:
    page.goto(f"{LIVE}templates/welcome")
    page.fill("[name=subject]", "Good to see you here")
    expect(page.frame_locator("iframe").locator("body")).not_to_be_empty()
    pressed(page, "Save and publish")
    found(page, re.compile("published", re.IGNORECASE))
    data = {"name": "Kim", "product": "Hanbit", "start_url": "https://hanbit.example/"}
    message_id = site.send(subject=None, text=None, template="welcome", template_data=data, locale="en")
    assert site.until(message_id, "delivered")["subject"] == "Good to see you here"


def test_a_domain_is_verified_once_its_records_are_published(site: Site, page: Page) -> None:
    page.goto(f"{LIVE}domains")
    page.fill("[name=domain]", "shop.hanbit.example")
    pressed(page, "Add")
    found(page, "Required records")
    pressed(page, "Check now")
    found(page, re.compile("does not exist|There is no"))
    for record in site.api.get("/v1/domains/shop.hanbit.example").json()["records"]:
        value = txt(record["value"]) if record["type"] == "TXT" else f"{record['value']}."
        site.dns.zones[record["host"].lower().rstrip(".")] = {record["type"]: [value]}
    pressed(page, "Check now")
    expect(page.locator(".page-head")).to_contain_text("verified")
    assert site.api.get("/v1/domains/shop.hanbit.example").json()["status"] == "verified"


def test_a_webhook_is_delivered_again(site: Site, page: Page) -> None:
    page.goto(f"{LIVE}webhooks/new")
    page.fill("[name=url]", site.receiver.url)
    page.check("[name=event_types][value='message.delivered']")
    pressed(page, "Add")
    found(page, "whsec_")
    message_id = site.send(recipient="webhook@hanbit.example")
    first = site.receiver.wait(1)[0]
    site.until(message_id, "delivered")
    page.goto(f"{LIVE}webhooks")
    page.get_by_role("link", name=site.receiver.url).click()
    page.get_by_role("link", name="message.delivered").first.click()
    found(page, "message.delivered")
    pressed(page, "Deliver again")
    again = site.receiver.wait(2)[1]
    assert (again.headers["webhook-id"], again.body) == (first.headers["webhook-id"], first.body)


def test_an_operator_pauses_a_destination_asks_the_simulator_and_drives_dead_letters_again(
    site: Site, page: Page
) -> None:
    site.replies["lost@dasan.example"] = "550 5.1.1 No such user here"
    lost = site.send(recipient="lost@dasan.example")
    site.until(lost, "bounced")
    page.goto(f"{LIVE}queues?destination=dasan.example#pause")
    page.fill("#pause [name=destination]", "dasan.example")
    page.fill("#pause [name=reason]", "Their server is being moved")
    pressed(page, "Pause")
    found(page, "Their server is being moved")
    page.goto(f"{LIVE}routing/simulator?recipient=park@dasan.example&tier=normal")
    found(page, "It would be held.")
    page.goto(f"{LIVE}queues")
    pressed(page, "Resume")
    page.goto(f"{LIVE}routing/simulator?recipient=park@dasan.example&tier=normal")
    found(page, re.compile("It would leave by"))
    del site.replies["lost@dasan.example"]
    assert site.api.delete("/v1/suppressions/lost@dasan.example").status_code in (200, 204)
    page.goto(f"{LIVE}dead-letters")
    page.check(f"[name=id][value={lost}]")
    pressed(page, "Queue the ticked again")
    pressed(page, "Queue this message again")
    site.until(lost, "delivered")


SCRIPT = "<script>window.ran=1</script><img src=x onerror=window.ran=1>"
WORD = "W" * 10_000
BIDI = "\u202etxt.exe\u202c \u2066\u200f"


@pytest.fixture
def hostile(site: Site) -> str:
    """A message whose every text is somebody's attack; its id."""
    site.replies["=1+1"] = f"450 4.2.0 {SCRIPT} {WORD[:300]} {BIDI}"
    site.receiver.default = Reply(500, {"content-type": "text/html"}, f"{SCRIPT}{WORD}{BIDI}".encode())
    with site.client(site.demo["live_key"]) as api:
        api.post("/v1/webhooks", json={"url": f"{site.receiver.origin}/hostile?{quote(SCRIPT)}", "description": SCRIPT})
    message_id = site.send(
        recipient="=1+1@hanbit.example",
        subject=f"=HYPERLINK(1) {SCRIPT} {BIDI} {WORD[:700]}",
        html=f"{SCRIPT}<p>{WORD}</p>",
        text=f"{SCRIPT} {WORD} {BIDI}",
        metadata={"order": SCRIPT, "name": WORD[:400], "cell": "=cmd|' /C calc'!A0"},
        tags=["=tag", "<b>bold</b>"],
    )
    site.until(message_id, "deferred")
    return message_id


def tried(site: Site) -> tuple[str, str]:
    """The hostile endpoint, and a delivery that it has answered."""
    listed = site.api.get("/v1/webhooks").json()["data"]
    webhook = next(one["id"] for one in listed if one["description"] == SCRIPT)
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        for delivery in site.api.get(f"/v1/webhooks/{webhook}/deliveries").json()["data"]:
            if delivery["attempt"]:
                return webhook, delivery["id"]
        time.sleep(0.1)
    raise AssertionError("the hostile endpoint was never asked")


def test_hostile_text_runs_nothing_and_breaks_no_page(site: Site, page: Page, hostile: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    webhook, delivery = tried(site)
    paths = (
        f"messages?q={quote(SCRIPT)}", "messages", f"messages/{hostile}", f"messages/{hostile}/recipient", "webhooks",
        f"webhooks/{webhook}", f"webhooks/{webhook}/deliveries/{delivery}", "requests", "queues", "audit", "",
    )  # fmt: skip
    for path in paths:
        page.set_viewport_size({"width": 360, "height": 800})
        answer = page.goto(f"{LIVE}{path}")
        assert (answer.status if answer else None) == 200, path
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), (path, width)
        assert page.evaluate("window.ran") is None, path
        assert all(frame.evaluate("window.ran") is None for frame in page.frames[1:]), path


def test_cells_of_a_table_for_a_spreadsheet_hold_no_formula(site: Site, page: Page) -> None:
    site.api.post(
        "/v1/suppressions", json={"recipient": "=2+2@hanbit.example", "reason": "manual", "note": "=HYPERLINK(1)"}
    )
    table = page.request.get(f"{site.url}{LIVE}suppressions/export").text()
    assert "'=2+2@hanbit.example" in table
    assert not re.search(r'(?m)(^|,)"?[=@+-]', table)
