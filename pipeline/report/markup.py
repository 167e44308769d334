"""HTML that cannot be broken into: text is escaped unless it is `Html` already, JSON cannot leave its script tag."""

import html
import json
import math
from collections.abc import Iterable, Sequence

from pipeline.report.words import shown

Json = object
VOID = {"meta", "input", "br"}


class Html(str):
    """Markup that was put together by this module."""

    __slots__ = ()


def text(value: object, limit: int = 400) -> Html:
    """A text from anywhere, harmless in content and in quoted attributes."""
    return value if isinstance(value, Html) else Html(html.escape(shown(value, limit), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element; `class_` is the attribute class, `data_x` is data-x, True is an attribute without a value."""
    shown_attributes = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value, 2000)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    inside = "" if name in VOID else f"{''.join(text(c) for c in children)}</{name}>"
    return Html(f"<{name}{shown_attributes}>{inside}")


def together(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(text(part) for part in parts))


def named(value: object, limit: int = 60) -> Html:
    """A name from the model, kept apart from the direction of the text around it."""
    return tag("bdi", shown(value, limit))


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Html:
    """A table with a caption; columns of `numbers` (by position) are set to the right."""
    kind = dict.fromkeys(numbers, "number")
    top = tag("tr", *(tag("th", h, scope="col", class_=kind.get(i)) for i, h in enumerate(head)))
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if i == 0 else tag("td", cell, class_=kind.get(i))
                for i, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    inside = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", *body))
    return tag("div", inside, class_="table", tabindex=0, role="region", aria_label=caption)


def details(summary: str, *inside: object) -> Html:
    """What is shown when asked for."""
    return tag("details", tag("summary", summary), *inside)


def _plain(value: Json) -> Json:
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def json_script(content: Json, **attributes: object) -> Html:
    """Data for the page's script, as JSON in which no `<` is left to end the tag."""
    written = json.dumps(_plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return tag("script", Html(safe), type="application/json", **attributes)
