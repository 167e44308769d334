"""A tree of nodes as indented text, JSON, Markdown and HTML."""

import html
import json
import math
import re
from datetime import datetime
from typing import Any

from pipeline.errors import InputError
from pipeline.explain.symbols import number_text
from pipeline.explain.tree import Node, Term, shown
from pipeline.violations import printable

FORMATS = ("tree", "json", "markdown", "html")
LONGEST = 400


def check_format(format: str) -> None:
    """InputError where there is no such form."""
    if format not in FORMATS:
        raise InputError(f"--format: found {format!r}; expected one of {', '.join(FORMATS)}")


def render(node: Node, format: str) -> str:
    """The explanation in one of FORMATS."""
    check_format(format)
    return {"tree": as_tree, "json": as_json, "markdown": as_markdown, "html": as_html}[format](node)


# ---------------------------------------------------------------- what every form says


def quantity(node: Node) -> str:
    """A value with its unit."""
    unit = "" if node.unit in ("", "1", "instant") or node.value is None else f" {node.unit}"
    return f"{clean(shown(node.value))}{unit}"


def clean(text: str) -> str:
    """A text from anywhere on one line, with nothing in it that moves a cursor."""
    return printable(text, LONGEST)


def where(node: Node) -> str:
    """Table, column and key of a node."""
    key = " ".join(f"{k}={shown(v) if v is not None else ''}" for k, v in node.key.items())
    return clean(f"{node.table}.{node.column}" + (f"  {key}" if key else ""))


def origin(node: Node) -> str:
    """Which cell a value was given in, and what is known of its source."""
    told = node.source
    parts = [f"given in {told['table']}, row {told['row']}, column {told['column']}"] if told else []
    if told.get("source"):
        confidence = f", confidence {told['confidence']}" if told.get("confidence") else ""
        parts.append(f"source: {told['source']}{confidence}")
    parts += [str(told[n]) for n in ("comment", "link") if told.get(n)]
    return clean("; ".join([*parts, *([node.note] if node.note else [])]))


def rest(node: Node) -> str:
    """What the addends that are not shown come to."""
    if not node.rest_count:
        return "nothing but zeros" if node.aggregate and not node.terms else ""
    if "count" in node.aggregate:
        return f"{node.rest_count} row{'s' if node.rest_count > 1 else ''}"
    if node.aggregate == "largest":
        return f"{node.rest_count} others, at most {number_text(node.rest_value)}"
    others = "1 other" if node.rest_count == 1 else f"{node.rest_count} others"
    return f"{others}, together {number_text(node.rest_value)}"


def label(name: str, term: Term | None = None) -> str:
    """The beginning of a line: the name in the formula, or the weight of an addend."""
    if term is None:
        return clean(name)
    return "+" if term.weight == 1 else f"+ {number_text(term.weight)} ×"


def children(node: Node) -> list[tuple[str, Node]]:
    """The inputs and addends of a node with their labels."""
    addends = [(label("", t), t.node) for t in node.terms]
    return [*((label(n), inner) for n, inner in node.inputs.items()), *addends]


def place(node: Node, above: Node | None) -> str:
    """Table, column and what the key adds to that of the node above."""
    if node.source or node.kind in ("key", "setting"):
        return ""
    key = {k: v for k, v in node.key.items() if above is None or k not in above.key or above.key[k] != v}
    told = " ".join(f"{k}={shown(v) if v is not None else ''}" for k, v in key.items())
    return clean(f"{node.table}.{node.column} {told}".strip())


def head(name: str, node: Node, above: Node | None = None) -> str:
    """One line: label, quantity, and where it is from."""
    named = f"{name} =" if name and not name.startswith("+") else name
    told = place(node, above)
    return f"{named} {quantity(node)}{f'   [{told}]' if told else ''}".strip()


def lines(node: Node) -> list[str]:
    """What stands below the head of a node."""
    if node.same_as:
        return ["(explained above)"]
    if node.kind in ("key", "setting"):
        return []
    made = [clean(node.words)] if node.words else []
    if node.formula:
        made.append(f"= {node.formula}")
    if node.filled and node.filled != node.formula:
        made.append(f"= {clean(node.filled)}")
    if told := origin(node):
        made.append(told)
    return [*made, *(["(not explained further: --depth)"] if node.cut else [])]


# ---------------------------------------------------------------- the forms


def as_tree(node: Node) -> str:
    """Indented text."""
    made: list[str] = []

    def write(name: str, inner: Node, above: Node | None, level: int) -> None:
        indent = "  " * level
        made.append(indent + (head(name, inner, above) if above else f"= {quantity(inner)}"))
        made.extend(f"{indent}    {line}" for line in lines(inner))
        for own, child in children(inner):
            write(own, child, inner, level + 1)
        if not inner.same_as and (left := rest(inner)):
            made.append(f"{indent}  + {left}" if "count" not in inner.aggregate else f"{indent}    {left}")

    made.append(where(node))
    write("", node, None, 0)
    return "\n".join(made) + "\n"


def as_markdown(node: Node) -> str:
    """Nested lists."""
    made = [f"**{markdown(where(node))}**", ""]

    def write(name: str, inner: Node, above: Node | None, level: int) -> None:
        indent = "  " * level
        told = [f"`{code(line[2:])}`" if line.startswith("= ") else markdown(line) for line in lines(inner)]
        top = head(name, inner, above) if above else f"= {quantity(inner)}"
        made.append(f"{indent}- {markdown(top)}")
        made.extend(f"{indent}  {line}" for line in ("<br>".join(told),) if line)
        for own, child in children(inner):
            write(own, child, inner, level + 1)
        if not inner.same_as and (left := rest(inner)):
            made.append(f"{indent}  - {markdown('+ ' + left if 'count' not in inner.aggregate else left)}")

    write("", node, None, 0)
    return "\n".join(made) + "\n"


def markdown(text: str) -> str:
    """A text with every sign escaped that Markdown or HTML would read."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]~|#" else c for c in text)
    if re.match(r"[-+>=]|\d+[.)]", escaped):
        escaped = re.sub(r"^(\d*)(.)", r"\1\\\2", escaped)
    return html.escape(escaped, quote=False)


def code(text: str) -> str:
    """A text between backticks."""
    return text.replace("`", "'")


STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "details{margin:.2rem 0 .2rem 1.2rem;border-left:2px solid #8888;padding-left:.8rem}summary{cursor:pointer}"
    "code{font-size:.95em}.at,.from{opacity:.75;font-size:.9em}.leaf{margin:.2rem 0 .2rem 1.2rem;padding-left:.8rem}"
    "p{margin:.2rem 0}b{font-variant-numeric:tabular-nums}@media print{details{border-color:#ccc}}"
)


def as_html(node: Node) -> str:
    """One page without scripts: every value opens to show where it comes from."""
    title = html.escape(where(node))
    head_ = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
    body = fragment(node)
    return f'<!doctype html>\n<html lang="en"><head>{head_}<style>{STYLE}</style></head><body><h1>{title}</h1>\n{body}</body></html>\n'


def fragment(node: Node) -> str:
    """The same without the page around it."""
    return _html_node("", node, None, 0)


def _html_node(name: str, node: Node, above: Node | None, level: int) -> str:
    named = f"{html.escape(name)} " if name.startswith("+") else f"<code>{html.escape(name)}</code> = " if name else ""
    top = f'{named}<b>{html.escape(quantity(node))}</b> <span class="at">{html.escape(place(node, above))}</span>'
    told = "".join(_html_line(line) for line in lines(node))
    inner = "".join(_html_node(own, child, node, level + 1) for own, child in children(node))
    if not node.same_as and (left := rest(node)):
        inner += f'<p class="leaf">{html.escape("+ " + left if "count" not in node.aggregate else left)}</p>'
    if not inner:
        return f'<div class="leaf">{top}{told}</div>\n'
    return f"<details{' open' if level < 2 else ''}><summary>{top}</summary>{told}{inner}</details>\n"


def _html_line(line: str) -> str:
    if line.startswith("= "):
        return f"<p><code>{html.escape(line)}</code></p>"
    return f'<p class="from">{html.escape(line)}</p>'


def as_json(node: Node) -> str:
    """The whole tree, numbers in full: a value can be computed again from what stands below it."""
    return json.dumps(as_dict(node), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_dict(node: Node) -> dict[str, Any]:
    """A node as JSON values; what is empty is left out."""
    made: dict[str, Any] = {
        "id": node.id,
        "kind": node.kind,
        "table": node.table,
        "column": node.column,
        "key": {k: json_value(v) for k, v in node.key.items()},
        "value": json_value(node.value),
        "unit": node.unit,
    }
    if node.same_as:
        return {**made, "same_as": node.same_as}
    optional = {
        "words": node.words,
        "formula": node.formula,
        "filled": node.filled,
        "symbols": node.symbols,
        "note": node.note,
    }
    made |= {name: value for name, value in optional.items() if value}
    if node.inputs:
        made["inputs"] = {name: as_dict(inner) for name, inner in node.inputs.items()}
    if node.aggregate:
        made["aggregate"] = node.aggregate
        made["terms"] = [{"weight": t.weight, **as_dict(t.node)} for t in node.terms]
        made["rest"] = {"count": node.rest_count, "value": json_value(node.rest_value)}
    if node.source:
        made["source"] = node.source
    return {**made, "cut": True} if node.cut else made


def json_value(value: Any) -> Any:
    """A value as JSON has it: instants in ISO 8601, what is no number as text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
