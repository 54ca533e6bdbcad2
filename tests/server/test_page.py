"""The page at /: it needs nothing from outside, and works by keyboard alone in a real browser."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge_embed.server.page import playground
from tests.support.serving import program

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def test_it_loads_nothing_and_may_load_nothing() -> None:
    response = playground()
    page = bytes(response.body).decode()
    places = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert places == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.findall(r"<(?:link|img|iframe)|\b(?:src|style|on\w+)=|@import|url\(", page)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_by_keyboard_in_a_browser(tiny_model: Path, tmp_path: Path, scheme: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        pytest.skip("needs chromium")
    with program("-m", f"tiny={tiny_model}") as server, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(color_scheme=scheme)
        complaints: list[str] = []
        hosts: set[str] = set()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(server.url)
        page.wait_for_selector(".heat td")
        for _ in range(2):  # past the link to the reference
            page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("The cat sleeps\nThe cat sleeps\nStocks fell <b>today</b>")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#status:text-matches('^3 texts')")
        assert page.locator(".heat td").count() == 9
        assert page.locator("#map circle").count() == 3
        assert "<b>today</b>" in page.inner_text("#heat")
        assert page.locator("#duplicates li").first.inner_text().startswith("1.00")
        for _ in range(2):  # past the button
            page.keyboard.press("Tab")
        page.keyboard.type("the cat sleeps")
        page.keyboard.press("Enter")
        page.wait_for_selector("#hits li")
        assert page.locator("#hits li").first.inner_text() == "1.00The cat sleeps"
        assert re.fullmatch(r"In the lines above, \d+ ms", page.inner_text("#where"))
        page.keyboard.press("Tab")
        page.keyboard.press("End")
        assert page.inner_text("#duplicates-from") == "1.00"
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        browser.close()
        # The search asks for an index once and learns that there is none.
        assert [text for text in complaints if "404" not in text] == []
        assert hosts == {server.address}
