"""A web page in a single file: markup, style, script and data."""

import base64
import html
import json
import pathlib
import re
from typing import Any

FOLDER = pathlib.Path(__file__).parent
# The browser blocks every request of the page, because the file contains everything.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def source(name: str) -> str:
    """Text of a style, script or template beside this file."""
    return (FOLDER / name).read_text("utf-8")


def make_page(
    title: str, body: str, style: str = "", script: str = "", data: dict[str, Any] | None = None
) -> str:
    """A self-contained HTML page in the style that all pages of this project share (`page.css`).

    Args:
        title: plain text.
        body: markup.
        style: added to `page.css`.
        script: a JavaScript module, which runs after the body was parsed.
        data: JSON-serializable values by name. Names become ids of elements, which the script reads
            with `JSON.parse(document.getElementById(name).textContent)`.

    Raises:
        ValueError: if `style` or `script` would end its own element.
    """
    for text, tag in ((style, "style"), (script, "script")):
        if re.search(f"</{tag}|<!--", text, re.IGNORECASE):
            raise ValueError(f"expected neither </{tag} nor <!-- in it. Received: {tag}={text!r}")
    elements = [
        f'<script type="application/json" id="{html.escape(name)}">{script_json(value)}</script>\n'
        for name, value in (data or {}).items()
    ]
    script = f'<script type="module">\n{script}</script>\n' if script else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>\n{source('page.css')}{style}</style>\n</head>\n<body>\n"
        f"{body}\n{''.join(elements)}{script}</body>\n</html>\n"
    )


def script_json(value: Any) -> str:
    """JSON that cannot end the script element that contains it.

    Raises:
        ValueError: if it has a number that is not finite, which JSON cannot represent.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def data_url(content: bytes, kind: str = "image/png") -> str:
    """The content of a file as a URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
