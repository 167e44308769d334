"""An explanation computed again from its JSON alone: no table, no Polars, only what a reader of the explanation has."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.explain import symbols

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


def recomputed(node: Json, known: dict[str, Any] | None = None) -> Any:
    """The value of a node from what stands below it; `known` collects the values by id, for repeated nodes."""
    known = {} if known is None else known
    if "same_as" in node:
        return known[node["same_as"]]
    made = _value(node, known)
    if node["kind"] in ("formula", "sum"):
        scale = max([1.0, *(abs(v) for n in _inner(node) if is_number(v := n["value"]))])  # type: ignore[arg-type]
        assert close(made, _given(node), scale), f"{node['id']}: explained as {made!r}, is {node['value']!r}"
    known[node["id"]] = made
    return made


def _value(node: Json, known: dict[str, Any]) -> Any:
    inputs = {name: recomputed(inner, known) for name, inner in node.get("inputs", {}).items()}
    terms = [(t["weight"], recomputed(t, known)) for t in node.get("terms", ())]
    if "cut" in node or node["kind"] not in ("formula", "sum"):
        return _given(node)
    if node["kind"] == "formula":
        return symbols.value_of(node["symbols"], inputs.__getitem__)
    rest = node["rest"]["value"]
    if node["aggregate"] == "largest":
        return max([v for _, v in terms] + [rest] * (node["rest"]["count"] > 0), default=0.0)
    if "count" in node["aggregate"]:
        return _given(node)
    if node["aggregate"] == "sum of those given" and not terms:
        return _given(node)
    return math.fsum([w * v for w, v in terms] + [rest])


def _given(node: Json) -> Any:
    if node["unit"] == "instant" and isinstance(node["value"], str):
        instant = datetime.fromisoformat(node["value"].replace("Z", "+00:00"))
        return float((instant - EPOCH) // timedelta(milliseconds=1))
    return node["value"]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inner(node: Json) -> list[Json]:
    return [*node.get("inputs", {}).values(), *node.get("terms", ())]


def close(a: Any, b: Any, scale: float = 1.0) -> bool:
    """Whether two values are the same but for rounding; `scale` is what was subtracted or added up to them."""
    if isinstance(a, bool | str) or a is None or b is None or isinstance(b, str):
        return bool(a == b) or (a is None and b == 0) or (b is None and a == 0)
    return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-12 * scale)


def nodes(node: Json) -> list[Json]:
    """A node and all below it."""
    return [node, *(n for i in _inner(node) for n in nodes(i))]
