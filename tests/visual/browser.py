"""Pages in a real Chromium without a window, driven through Playwright."""

import contextlib
import shutil

import pytest
from playwright import sync_api

# Milliseconds after which a page counts as hanging.
HANGING = 600_000
NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: the tests may run as root, and open only pages that they made.
ARGUMENTS = ("--no-sandbox", "--disable-gpu")


@pytest.fixture(scope="session")
def browser():
    """One for all tests of a process; they skip where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"pages are not tested: none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """`open_page(path, width=1440, **settings)` opens a file; settings are those of `new_context`.

    At the end of the test it fails if a page wrote to its console, threw an exception, or asked for
    anything but its own file.
    """
    complaints, contexts = [], contextlib.ExitStack()

    def open_page(path, width=1440, height=900, **settings):
        address = path.resolve().as_uri()

        def note_request(request):
            if request.url != address and not request.url.startswith("data:"):
                complaints.append(f"request: {request.url}")

        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.callback(context.close)
        context.set_default_timeout(HANGING)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        page.on("request", note_request)
        page.goto(address)
        return page

    with contexts:
        yield open_page
    if complaints:
        pytest.fail("\n".join(complaints))


def scrolls_sideways(page):
    """Whether the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
