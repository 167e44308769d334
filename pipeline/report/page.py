"""Sections -> one HTML page that needs nothing else: style, scripts and data inside, and a policy that lets nothing else in."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pipeline.report.charts import DARK, LIGHT, theme
from pipeline.report.markup import Html, details, json_script, tag, together
from pipeline.report.sections import Figure, Section

HERE = Path(__file__).parent


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed with the page's own lines, in one script."""
    import vl_convert

    return _settled(vl_convert.javascript_bundle((HERE / "page.js").read_text(encoding="utf-8")))


def _settled(source: str) -> str:
    """A script as a browser will hash it, that cannot end its own tag."""
    return source.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def style() -> str:
    """The style sheet with the palettes filled in."""
    colours = {n: "".join(f"  --{k}: {v};" for k, v in p.items()) for n, p in (("LIGHT", LIGHT), ("DARK", DARK))}
    sheet = (HERE / "page.css").read_text(encoding="utf-8")
    for name, lines in colours.items():
        sheet = sheet.replace(f"\n{name}\n", f"\n{lines}\n")
    return sheet


def digest(content: str) -> str:
    """A source expression of a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def policy(scripts: Sequence[str], sheet: str) -> str:
    """Only these scripts and this style sheet, nothing from anywhere else, no evaluation of text."""
    allowed = " ".join(map(digest, scripts)) or "'none'"
    return f"default-src 'none'; script-src {allowed}; style-src {digest(sheet)}; img-src data:; base-uri 'none'; form-action 'none'"


def figure(shown: Figure) -> Html:
    """A chart, its caption, its data and its numbers."""
    key = f"chart-{shown.chart.key}"
    place = tag("div", id=key, class_="chart", role="img", aria_label=shown.chart.description)
    data = json_script(shown.chart.spec, data_chart=key)
    return tag("figure", tag("figcaption", shown.caption), place, data, details("The numbers", shown.numbers))


def section(part: Section) -> Html:
    """A section of the page."""
    inside = [figure(p) if isinstance(p, Figure) else p for p in part.parts]
    return tag("section", tag("h2", part.title), *inside, id=part.key)


def page(title: str, lead: str, sections: Sequence[Section], footer: str) -> str:
    """The whole page."""
    charts = any(s.figures for s in sections)
    scripts = [bundle()] if charts else []
    sheet = style()
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Html(policy(scripts, sheet))),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(sheet)),
    )
    links = tag("ul", *(tag("li", tag("a", s.short, href=f"#{s.key}")) for s in sections))
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", lead, class_="lead"), tag("nav", links, aria_label="Sections")),
        tag("main", *map(section, sections)),
        tag("footer", tag("p", footer)),
        json_script(theme(), id="theme"),
        together(tag("script", Html(s)) for s in scripts),
    )
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"
