"""A web page in one file: markup, style, script and data, and nothing from elsewhere."""

import base64
import html
import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
# The browser refuses every request of the page; all it shows stands in the file.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def source(name):
    """Text of a style or a script that stands beside this file."""
    return (FOLDER / name).read_text()


def make_page(title, body, style="", script="", data=None):
    """A self-contained page in the styles that all pages of this project share (`page.css`).

    Args:
        title: str, plain text.
        body: str, markup.
        style: str, what the page adds to `page.css`.
        script: str, a JavaScript module; it runs when the body is there.
        data: dict from names, which become ids of elements, to what JSON can hold. The script reads
            one with `JSON.parse(document.getElementById(name).textContent)`, when it needs it.

    Returns:
        str, HTML.

    Raises:
        ValueError: if `style` or `script` would end its own element.
    """
    for text, tag in ((style, "style"), (script, "script")):
        if re.search(f"</{tag}|<!--", text, re.IGNORECASE):
            raise ValueError(f"expected neither </{tag} nor <!-- in it. Received: {tag}={text!r}")
    data = [
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
        f"{body}\n{''.join(data)}{script}</body>\n</html>\n"
    )


def script_json(value):
    """JSON in which nothing ends the script element that it stands in.

    Raises:
        ValueError: if it holds a number that is not finite, which JSON has no word for.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def data_url(data, kind="image/png"):
    """The bytes of a file as an address that needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
