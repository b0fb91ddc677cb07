"""What the tests of pages share."""

from browser import browser, open_page

__all__ = ["browser", "open_page"]
