"""repartition.footprint -> a picture of carbon flowing from sources through jobs to usage patterns, drawn here as plain SVG."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl
from polars import col

from pipeline.report.figures import Figures, attributed, most
from pipeline.report.markup import Html, tag
from pipeline.report.names import labels
from pipeline.report.words import count, distinct, mass, shown

MOST_NODES = 8
"""Things named in a column; the rest are one node."""
OTHERS, NOBODY = "\0others", "\0nobody"
"""Node ids that no input can have: ids hold no NUL."""
CHOICES = {"all": "Both phases", "manufacturing": "Manufacturing", "usage": "Usage"}
GAP, BAR = 18.0, 14.0

Link = tuple[str, str, str, float]
"""Source, job, pattern, kg."""


@dataclass(frozen=True)
class Node:
    """A box: where it stands and what it holds."""

    column: int
    key: str
    label: str
    colour: str
    kg: float
    top: float
    height: float


@dataclass(frozen=True)
class Flows:
    """Summed flows with the labels and colours of their ends."""

    links: dict[str, list[Link]]
    """Links by choice of phase."""
    labels: tuple[dict[str, str], dict[str, str], dict[str, str]]
    colours: dict[str, str]


def _lumped(column: str, kept: list[str], nobody: str) -> pl.Expr:
    named = pl.when(col(column).is_in(kept)).then(col(column))
    return named.when(col(column).is_null()).then(pl.lit(nobody)).otherwise(pl.lit(OTHERS))


def flows(figures: Figures) -> Flows:
    """The largest sources, jobs and patterns and what flows between them, the rest summed."""
    sources = figures.sources.select("phase", "kg", id=pl.concat_str("kind", pl.lit("\0"), "id"))
    every_pattern = pl.concat([figures.patterns, figures.projects])
    kept = most(sources, MOST_NODES), most(figures.jobs, MOST_NODES), most(every_pattern, MOST_NODES)
    rows = attributed(figures.run).with_columns(
        source=pl.concat_str(col.source_kind.cast(pl.String), pl.lit("\0"), "source_id")
    )
    parts = [_lumped(c, k, NOBODY) for c, k in zip(("source", "job_id", "usage_pattern_id"), kept, strict=True)]
    sums = (
        rows.select(
            *(p.alias(n) for p, n in zip(parts, ("source", "job", "pattern"), strict=True)), "phase", "footprint"
        )
        .group_by("source", "job", "pattern", col.phase.cast(pl.String))
        .agg(kg=col.footprint.sum())
        .filter(col.kg > 0)
        .sort("source", "job", "pattern", "phase")
        .collect()
    )
    links: dict[str, list[Link]] = {}
    for choice in CHOICES:
        chosen = sums if choice == "all" else sums.filter(phase=choice)
        grouped = chosen.group_by("source", "job", "pattern", maintain_order=True).agg(col.kg.sum())
        links[choice] = grouped.rows()
    totals = [
        _labels_of_sources(figures, kept[0], sources),
        {**labels(figures.run, "job", kept[1]), **_rest(figures.jobs, kept[1], "other job", "no job (devices)")},
        {**labels(figures.run, "pattern", kept[2]), **_rest(every_pattern, kept[2], "other pattern", "unallocated")},
    ]
    colours = {key: key.split("\0")[0] for key in kept[0]}
    return Flows(links, (totals[0], totals[1], totals[2]), colours)


def _labels_of_sources(figures: Figures, kept: list[str], sources: pl.DataFrame) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key in kept:
        kind, _, given = key.partition("\0")
        texts[key] = labels(figures.run, kind, [given])[given]
    return {**distinct(texts), **_rest(sources, kept, "other source", "")}


def _rest(ids: pl.DataFrame, kept: list[str], noun: str, nobody: str) -> dict[str, str]:
    others = ids.filter(col.kg > 0).drop_nulls("id")["id"].n_unique() - len(kept)
    return {OTHERS: count(max(others, 0), noun), NOBODY: nobody}


def _sums(links: Iterable[Link], position: int) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for link in links:
        sums[link[position]] += link[3]  # type: ignore[index]
    return sums


def nodes(flow: Flows, links: list[Link], height: float) -> dict[tuple[int, str], Node]:
    """Boxes of the three columns, largest first, each as high as what it holds."""
    columns = [_sums(links, position) for position in range(3)]
    total = sum(columns[0].values())
    room = height - GAP * max(len(c) for c in columns) - GAP
    placed = {}
    for position, sums in enumerate(columns):
        top = GAP
        for key, kg in sorted(sums.items(), key=lambda item: (item[0] in (OTHERS, NOBODY), -item[1], item[0])):
            size = max(room * kg / total, 1.0)
            label = flow.labels[position].get(key, key)
            colour = flow.colours.get(key, "muted") if position == 0 else "ink"
            placed[position, key] = Node(position, key, label, colour, kg, top, size)
            top += size + GAP
    return placed


def _ribbon(x0: float, y0: float, x1: float, y1: float, size: float, colour: str, words: str) -> Html:
    middle = (x0 + x1) / 2
    down = y0 + size, y1 + size
    path = (
        f"M{x0:.1f},{y0:.1f}C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
        f"L{x1:.1f},{down[1]:.1f}C{middle:.1f},{down[1]:.1f} {middle:.1f},{down[0]:.1f} {x0:.1f},{down[0]:.1f}Z"
    )
    return tag("path", tag("title", words), d=path, fill=f"var(--{colour})", fill_opacity="0.35")


def ribbons(flow: Flows, links: list[Link], placed: Mapping[tuple[int, str], Node], xs: list[float]) -> list[Html]:
    """The bands between neighbouring columns."""
    scale = {key: node.height / node.kg for key, node in placed.items()}
    drawn = []
    for left in (0, 1):
        pairs: dict[tuple[str, str], float] = defaultdict(float)
        for link in links:
            pairs[link[left], link[left + 1]] += link[3]  # type: ignore[index]
        ends = {key: node.top for key, node in placed.items()}
        order = sorted(pairs, key=lambda p: (placed[left, p[0]].top, placed[left + 1, p[1]].top))
        for a, b in order:
            kg, start, end = pairs[a, b], placed[left, a], placed[left + 1, b]
            size = kg * min(scale[left, a], scale[left + 1, b])
            colour = start.colour if left == 0 else "muted"
            words = f"{start.label} → {end.label}: {mass(kg)} CO₂e"
            y0, y1 = ends[left, a], ends[left + 1, b]
            drawn.append(_ribbon(xs[left] + BAR, y0, xs[left + 1], y1, max(size, 0.5), colour, words))
            ends[left, a] += kg * scale[left, a]
            ends[left + 1, b] += kg * scale[left + 1, b]
    return drawn


def svg(flow: Flows, choice: str, width: float, height: float, letters: int) -> Html:
    """The picture for one choice of phase; labels of at most so many letters stand over their boxes."""
    links = flow.links[choice]
    placed = nodes(flow, links, height)
    xs = [0.0, (width - BAR) / 2, width - BAR]
    boxes, words = [], []
    for node in placed.values():
        x = xs[node.column]
        boxes.append(
            tag(
                "rect",
                x=f"{x:.1f}",
                y=f"{node.top:.1f}",
                width=BAR,
                height=f"{node.height:.1f}",
                fill=f"var(--{node.colour})",
            )
        )
        anchor, at = (("start", x), ("middle", x + BAR / 2), ("end", x + BAR))[node.column]
        label = tag("tspan", shown(node.label, letters))
        words.append(
            tag("text", label, f" {mass(node.kg)}", tag("title", f"{node.label}: {mass(node.kg)} CO₂e"), x=f"{at:.1f}", y=f"{node.top - 4:.1f}", text_anchor=anchor)
        )  # fmt: skip
    return tag(
        "svg", *ribbons(flow, links, placed, xs), *boxes, *words, class_="marks", role="graphics-document",
        aria_label=described(flow, choice), viewBox=f"0 0 {width:.0f} {height:.0f}", xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def described(flow: Flows, choice: str) -> str:
    """The picture in words: its largest flows."""
    largest = sorted(flow.links[choice], key=lambda link: -link[3])[:3]
    told = [
        f"{flow.labels[0].get(a, a)} through {flow.labels[1].get(b, b)} to {flow.labels[2].get(c, c)} {mass(kg)}"
        for a, b, c, kg in largest
    ]
    return f"Flow of carbon from sources through jobs to usage patterns ({CHOICES[choice].lower()}): " + "; ".join(told)


def selectable(flow: Flows) -> Html:
    """The pictures of all phases, of which radio buttons show one; one set for wide pages, one for phones."""
    choices = [c for c in CHOICES if flow.links[c]]
    buttons, pictures = [], []
    for choice in choices:
        key = f"flow-{choice}"
        button = tag("input", type="radio", name="flow", id=key, checked=choice == choices[0])
        buttons.append(tag("span", button, tag("label", CHOICES[choice], for_=key)))
        wide, narrow = svg(flow, choice, 960, 480, 34), svg(flow, choice, 360, 560, 9)
        pictures.append(
            tag("div", tag("div", wide, class_="wide"), tag("div", narrow, class_="narrow"), class_=f"flow {key}")
        )
    return tag("div", tag("div", *buttons, class_="choices"), *pictures, class_="flows")


def standing(flow: Flows, choice: str, palette: dict[str, str]) -> str:
    """The wide picture as an SVG file of its own."""
    drawn = str(svg(flow, choice, 960, 480, 34))
    for name, colour in palette.items():
        drawn = drawn.replace(f"var(--{name})", colour)
    style = f"<style>text{{font:13px 'Liberation Sans',sans-serif;fill:{palette['ink']}}}</style>"
    paper = f'<rect width="960" height="480" fill="{palette["paper"]}"/>'
    return drawn.replace(">", f">{style}{paper}", 1)
