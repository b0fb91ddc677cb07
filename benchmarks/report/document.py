"""A report as a list of sections, written as Markdown and as one self-contained HTML file.

A section consists of blocks: a str (a paragraph), `Notice`, `Table`, `Pictures` or `Code`.
"""

import dataclasses
import html
import re
import struct

from keras_sagan.pages.html import data_url, make_page

LINK = re.compile(r"https?://[^\s<>,;)]+")


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and its content."""

    heading: str
    blocks: list


@dataclasses.dataclass(frozen=True)
class Notice:
    """A paragraph that stands out."""

    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose cells are text."""

    caption: str
    header: list[str]
    rows: list[list[str]]  # Each as long as `header`.
    texts: int = 1  # Number of leading text columns; the others are right-aligned.


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file."""

    path: str  # Relative to the report.
    data: bytes
    alt: str  # Text alternative.
    caption: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Several pictures, side by side if there is room."""

    members: list[Picture]
    pixels: bool = False  # Whether to enlarge them without smoothing.


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines that are collapsed under a summary."""

    summary: str
    lines: list


def to_markdown(title: str, sections: list[Section]) -> str:
    parts = [f"# {escape_markdown(title)}"]
    for section in sections:
        parts += [f"## {escape_markdown(section.heading)}", *map(block_to_markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def block_to_markdown(block):
    match block:
        case Notice(text):
            return f"> **Note.** {escape_markdown(text)}"
        case Table(caption, header, rows, texts):
            rule = ["---"] * texts + ["---:"] * (len(header) - texts)
            body = [[escape_markdown(cell) for cell in line] for line in (header, *rows)]
            lines = [f"| {' | '.join(line)} |" for line in (body[0], rule, *body[1:])]
            return "\n".join([f"*{escape_markdown(caption)}*", "", *lines])
        case Pictures(members):
            images = [f"![{escape_markdown(each.alt)}]({each.path})" for each in members]
            captions = [f"*{escape_markdown(each.caption)}*" for each in members]
            return "\n\n".join(part for pair in zip(images, captions, strict=True) for part in pair)
        case Code(summary, lines):
            text = f"<pre>\n{html.escape(chr(10).join(lines), quote=False)}\n</pre>"
            return f"<details><summary>{html.escape(summary)}</summary>\n{text}\n</details>"
        case _:
            return escape_markdown(block)


def escape_markdown(text):
    """Text on one line, with all markup escaped."""
    escaped = re.sub(r"([\\`*|<\[\]]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return " ".join(escaped.split())


def to_html(title: str, sections: list[Section]) -> str:
    links, body = [], []
    for section in sections:
        name = re.sub(r"\W+", "-", section.heading.lower())
        heading = html.escape(section.heading)
        blocks = "\n".join(map(block_to_html, section.blocks))
        links.append(f'<a href="#{name}">{heading}</a>')
        opening = f'<section aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n'
        body.append(f"{opening}{blocks}\n</section>")
    nav = f'<nav aria-label="Sections">{" ".join(links)}</nav>'
    header = f"<header>\n<h1>{html.escape(title)}</h1>\n{nav}\n</header>"
    return make_page(title, f"{header}\n<main>\n" + "\n".join(body) + "\n</main>")


def block_to_html(block):
    match block:
        case Notice(text):
            return f'<p class="notice">{link_addresses(text)}</p>'
        case Table():
            return table_to_html(block)
        case Pictures(members, pixels):
            kind = "pictures pixels" if pixels else "pictures"
            return f'<div class="{kind}">\n' + "\n".join(map(picture_to_html, members)) + "\n</div>"
        case Code(summary, lines):
            text = f"<pre>{html.escape(chr(10).join(lines))}</pre>"
            return f"<details><summary>{html.escape(summary)}</summary>{text}</details>"
        case _:
            return f"<p>{link_addresses(block)}</p>"


def table_to_html(table):
    def line(cells, tag):
        parts = [cell_to_html(cell, i, tag, table.texts) for i, cell in enumerate(cells)]
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(line(row, "td") for row in table.rows)
    label = html.escape(table.caption)
    # Outside the table, the caption stays in view while the table scrolls.
    return (
        f"<figure><figcaption>{link_addresses(table.caption)}</figcaption>\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table aria-label="{label}">\n<thead>{line(table.header, "th")}</thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div></figure>"
    )


def cell_to_html(cell, place, tag, texts):
    """A cell; the first of a line is its heading, and long text gets more width."""
    kind = "number" if place >= texts else "text long" if len(cell) > 40 else "text"
    if tag == "td" and place:
        return f'<td class="{kind}">{link_addresses(cell)}</td>'
    scope = "col" if tag == "th" else "row"
    return f'<th scope="{scope}" class="{kind}">{link_addresses(cell)}</th>'


def picture_to_html(picture):
    width, height = struct.unpack(">II", picture.data[16:24])
    return (
        f'<figure><img src="{data_url(picture.data)}" alt="{html.escape(picture.alt)}" '
        f'width="{width}" height="{height}">'
        f"<figcaption>{link_addresses(picture.caption)}</figcaption></figure>"
    )


def link_addresses(text):
    """Escaped text with links for its addresses; long names can break at underscores."""
    parts, end = [], 0
    for found in LINK.finditer(text):
        address = html.escape(found.group())
        name = address.partition("//")[2]
        parts += [escape_breakable(text[end : found.start()]), f'<a href="{address}">{name}</a>']
        end = found.end()
    return "".join([*parts, escape_breakable(text[end:])])


def escape_breakable(text):
    return html.escape(text).replace("_", "_<wbr>")
