"""A report as a list of sections, written as Markdown and as one self-contained HTML file.

A section holds blocks: a str (a paragraph), `Notice`, `Table`, `Pictures` or `Code`.
"""

import dataclasses
import html
import re
import struct

from keras_sagan.pages.html import data_url, make_page

LINK = re.compile(r"https?://[^\s<>,;)]+")


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: list


@dataclasses.dataclass(frozen=True)
class Notice:
    """What must not be overlooked."""

    text: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells as text.

    Args:
        caption: str.
        header: list of str.
        rows: list of lists of str, each as long as `header`.
        texts: int, how many of the first columns are text; the others are right-aligned.
    """

    caption: str
    header: list
    rows: list
    texts: int = 1


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file.

    Args:
        path: str, relative to the report.
        data: bytes.
        alt: str, what is to be seen, for those who cannot see it.
        caption: str.
    """

    path: str
    data: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Several of them, side by side where there is room.

    Args:
        members: list of `Picture`.
        pixels: whether they are small images, to be enlarged without smoothing.
    """

    members: list
    pixels: bool = False


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines that are folded away under a summary."""

    summary: str
    lines: list


def to_markdown(title, sections):
    parts = [f"# {markdown_text(title)}"]
    for section in sections:
        parts += [f"## {markdown_text(section.heading)}", *map(markdown, section.blocks)]
    return "\n\n".join(parts) + "\n"


def markdown(block):
    match block:
        case Notice(text):
            return f"> **Note.** {markdown_text(text)}"
        case Table(caption, header, rows, texts):
            rule = ["---"] * texts + ["---:"] * (len(header) - texts)
            body = [[markdown_text(cell) for cell in line] for line in (header, *rows)]
            lines = [f"| {' | '.join(line)} |" for line in (body[0], rule, *body[1:])]
            return "\n".join([f"*{markdown_text(caption)}*", "", *lines])
        case Pictures(members):
            images = [f"![{markdown_text(each.alt)}]({each.path})" for each in members]
            captions = [f"*{markdown_text(each.caption)}*" for each in members]
            return "\n\n".join(part for pair in zip(images, captions, strict=True) for part in pair)
        case Code(summary, lines):
            text = f"<pre>\n{html.escape(chr(10).join(lines), quote=False)}\n</pre>"
            return f"<details><summary>{html.escape(summary)}</summary>\n{text}\n</details>"
        case _:
            return markdown_text(block)


def markdown_text(text):
    """Text on one line, in which nothing is markup."""
    escaped = re.sub(r"([\\`*|<\[\]]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
    return " ".join(escaped.split())


def to_html(title, sections):
    names = [re.sub(r"\W+", "-", section.heading.lower()) for section in sections]
    links = [
        f'<a href="#{name}">{html.escape(section.heading)}</a>'
        for name, section in zip(names, sections, strict=True)
    ]
    body = [
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{html.escape(section.heading)}</h2>\n'
        + "\n".join(map(html_block, section.blocks))
        + "\n</section>"
        for name, section in zip(names, sections, strict=True)
    ]
    header = (
        f"<header>\n<h1>{html.escape(title)}</h1>\n"
        f'<nav aria-label="Sections">{" ".join(links)}</nav>\n</header>'
    )
    return make_page(title, f"{header}\n<main>\n" + "\n".join(body) + "\n</main>")


def html_block(block):
    match block:
        case Notice(text):
            return f'<p class="notice">{html_text(text)}</p>'
        case Table():
            return html_table(block)
        case Pictures(members, pixels):
            kind = "pictures pixels" if pixels else "pictures"
            return f'<div class="{kind}">\n' + "\n".join(map(html_picture, members)) + "\n</div>"
        case Code(summary, lines):
            text = f"<pre>{html.escape(chr(10).join(lines))}</pre>"
            return f"<details><summary>{html.escape(summary)}</summary>{text}</details>"
        case _:
            return f"<p>{html_text(block)}</p>"


def html_table(table):
    def line(cells, tag):
        parts = [html_cell(cell, i, tag, table.texts) for i, cell in enumerate(cells)]
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(line(row, "td") for row in table.rows)
    label = html.escape(table.caption)
    # The caption stays in view while the table scrolls below it.
    return (
        f"<figure><figcaption>{html_text(table.caption)}</figcaption>\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table aria-label="{label}">\n<thead>{line(table.header, "th")}</thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div></figure>"
    )


def html_cell(cell, place, tag, texts):
    """A cell; the first of a line is its heading, and long text gets room."""
    kind = "number" if place >= texts else "text long" if len(cell) > 40 else "text"
    if tag == "th":
        return f'<th scope="col" class="{kind}">{html_text(cell)}</th>'
    if place == 0:
        return f'<th scope="row" class="{kind}">{html_text(cell)}</th>'
    return f'<td class="{kind}">{html_text(cell)}</td>'


def html_picture(picture):
    width, height = struct.unpack(">II", picture.data[16:24])
    return (
        f'<figure><img src="{data_url(picture.data)}" alt="{html.escape(picture.alt)}" '
        f'width="{width}" height="{height}">'
        f"<figcaption>{html_text(picture.caption)}</figcaption></figure>"
    )


def html_text(text):
    """Text with its addresses as links; names may break at their underscores."""
    parts, end = [], 0
    for found in LINK.finditer(text):
        address = html.escape(found.group())
        name = address.partition("//")[2]
        parts += [breakable(text[end : found.start()]), f'<a href="{address}">{name}</a>']
        end = found.end()
    return "".join([*parts, breakable(text[end:])])


def breakable(text):
    return html.escape(text).replace("_", "_<wbr>")
