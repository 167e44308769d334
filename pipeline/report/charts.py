"""Rows -> Vega-Lite charts: data small and already in display units, colours by name so that one chart suits every theme."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import altair as alt

Spec = dict[str, Any]
Row = dict[str, Any]

LIGHT = {
    "ink": "#1c232b", "muted": "#55606c", "line": "#d5dae0", "paper": "#ffffff",
    "server": "#2f6db5", "storage": "#c2691c", "network": "#1f8a70", "device": "#8e5aa8",
    "manufacturing": "#5f7186", "usage": "#dca03c", "need": "#2f6db5", "idle": "#c9d6e6", "up": "#b3403a", "down": "#2c8a57",
}  # fmt: skip
DARK = {
    "ink": "#e8ecf1", "muted": "#a5b0bc", "line": "#3a444f", "paper": "#15191e",
    "server": "#6aa5ea", "storage": "#eb9a52", "network": "#4fc3a5", "device": "#c194dd",
    "manufacturing": "#93a5b9", "usage": "#eebf6a", "need": "#6aa5ea", "idle": "#34465c", "up": "#ef8079", "down": "#62c48e",
}  # fmt: skip
UNITS: dict[str, Any] = {
    "1h": "utcyearmonthdatehours",
    "1d": "utcyearmonthdate",
    "1mo": "utcyearmonth",
    "1y": "utcyear",
}
"""Vega-Lite's words for the periods of `figures.period_of`."""
SPARSE = alt.Axis(tickCount=alt.ExprRef("max(2, floor(width / 80))"), labelFlush=True)
"""As many ticks as there is room for."""
PNG_WIDTH = 760
ROW = 26
"""Pixels of a horizontal bar and the space around it."""
MOST_POINTS = 5000


@dataclass(frozen=True)
class Chart:
    """A chart: its file name, its specification without theme, and what it shows in a sentence."""

    key: str
    spec: Spec
    description: str


def variable(name: str) -> str:
    """A colour as the page's style names it."""
    return f"var(--{name})"


def theme(palette: dict[str, str] | None = None) -> Spec:
    """The look all charts share; without a palette, in the style's own variables."""
    ink, muted, line = (palette[n] if palette else variable(n) for n in ("ink", "muted", "line"))
    words = {"labelColor": muted, "titleColor": muted, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": palette["paper"] if palette else "transparent",
        "font": "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
        "view": {"stroke": None},
        "axis": {**words, "gridColor": line, "domainColor": line, "tickColor": line, "titleFontWeight": "normal"},
        "axisX": {"labelOverlap": True},
        "axisY": {"labelLimit": 220},
        "legend": {**words, "orient": "top", "title": None, "columns": 4, "labelLimit": 160},
        "text": {"color": ink},
        "mark": {"aria": False},
        "aria": True,
    }


def colours(names: dict[str, str]) -> alt.Scale:
    """Labels to colour names of the palette."""
    return alt.Scale(domain=list(names), range=[variable(name) for name in names.values()])


def _finished(key: str, chart: alt.LayerChart | alt.Chart, description: str, height: int) -> Chart:
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    sized = chart.properties(width="container", height=height, description=description, autosize=fit)
    spec = sized.to_dict()
    spec.pop("$schema", None)
    spec.pop("config", None)
    return Chart(key, spec, description)


def _data(rows: Sequence[Row]) -> alt.Data:
    assert len(rows) <= MOST_POINTS, f"{len(rows)} points in a chart: sum first"
    return alt.Data(values=[{k: _rounded(v) for k, v in row.items()} for row in rows])  # type: ignore[no-untyped-call]


def _rounded(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return float(f"{value:.5g}") if isinstance(value, float) else value


def bars(
    key: str, rows: Sequence[Row], unit: str, colour: dict[str, str], description: str, end: float | None = None
) -> Chart:
    """Horizontal stacked bars: rows of label, part, value; `colour` maps parts to colour names, `end` ends the axis."""
    scale = alt.Scale(domain=[0, end]) if end else alt.Scale()
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            y=alt.Y("label:N", sort=None, title=None),
            x=alt.X("value:Q", title=unit, axis=SPARSE, scale=scale),
            color=alt.Color("part:N", scale=colours(colour), legend=alt.Legend() if len(colour) > 1 else None),
            order=alt.Order("order:Q"),
            tooltip=["label:N", "part:N", alt.Tooltip("value:Q", title=unit)],
        )
    )
    return _finished(key, chart, description, ROW * max(len({r["label"] for r in rows}), 1))


def over_time(
    key: str, rows: Sequence[Row], every: str, unit: str, colour: dict[str, str], description: str, stack: bool = True
) -> Chart:
    """Bars by period: rows of time, part, value; stacked, or one in front of the other."""
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("time:T", timeUnit=UNITS[every], title=None, scale=alt.Scale(type="utc"), axis=SPARSE),
            y=alt.Y("value:Q", title=unit, stack="zero" if stack else None),
            color=alt.Color("part:N", scale=colours(colour), legend=alt.Legend() if len(colour) > 1 else None),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("time:T", timeUnit=UNITS[every], title="from"),
                "part:N",
                alt.Tooltip("value:Q", title=unit),
            ],
        )
    )
    return _finished(key, chart, description, 240)


def week(key: str, rows: Sequence[Row], unit: str, colour: dict[str, str], description: str) -> Chart:
    """168 bars, Monday 00:00 UTC to Sunday 23:00: rows of hour, part, value."""
    days = "['Mon','Tue','Wed','Thu','Fri','Sat','Sun'][floor(datum.value / 24)]"
    axis = alt.Axis(values=list(range(0, 168, 24)), labelExpr=days, labelAngle=0, labelAlign="left")
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("hour:O", title=None, axis=axis, scale=alt.Scale(domain=list(range(168)), paddingInner=0)),
            y=alt.Y("value:Q", title=unit),
            color=alt.Color("part:N", scale=colours(colour), legend=alt.Legend() if len(colour) > 1 else None),
            order=alt.Order("order:Q"),
            tooltip=["label:N", "part:N", alt.Tooltip("value:Q", title=unit)],
        )
    )
    return _finished(key, chart, description, 220)


def differences(key: str, rows: Sequence[Row], unit: str, description: str) -> Chart:
    """Bars to the left and right of none: rows of label, value, way (more or less)."""
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            y=alt.Y("label:N", sort=None, title=None),
            x=alt.X("value:Q", title=unit, axis=SPARSE),
            color=alt.Color("way:N", scale=colours({"more": "up", "less": "down"}), legend=alt.Legend()),
            tooltip=["label:N", alt.Tooltip("value:Q", title=unit)],
        )
    )
    return _finished(key, chart, description, ROW * max(len({r["label"] for r in rows}), 1))


def painted(content: Any, palette: dict[str, str]) -> Any:
    """Colour names replaced by a palette's colours, for pictures that no style sheet reaches."""
    if isinstance(content, dict):
        return {k: painted(v, palette) for k, v in content.items()}
    if isinstance(content, list):
        return [painted(v, palette) for v in content]
    if isinstance(content, str) and content.startswith("var(--") and content.endswith(")"):
        return palette.get(content[6:-1], content)
    return content


def write_png(chart: Chart, caption: str, folder: Path) -> Path:
    """The chart as FOLDER/KEY.png in light colours under its caption, without a browser."""
    import vl_convert

    title = {"text": caption, "anchor": "start", "color": LIGHT["ink"], "limit": PNG_WIDTH, "offset": 8}
    spec = {**painted(chart.spec, LIGHT), "width": PNG_WIDTH, "config": theme(LIGHT), "padding": 12, "title": title}
    file = folder / f"{chart.key}.png"
    # The fonts that vl-convert brings have no subscript 2.
    file.write_bytes(vl_convert.vegalite_to_png(json.dumps(spec, ensure_ascii=False).replace("₂", "2"), scale=2))
    return file
