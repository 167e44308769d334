"""Quality and run.json -> the last sections: what to doubt, and how the numbers were made."""

from pipeline.report.figures import Figures
from pipeline.report.markup import Html, details, named, table, tag
from pipeline.report.quality import MOST_LINES, Doubt, Quality
from pipeline.report.sections import Figure, Section, note, paragraph
from pipeline.report.words import count, mass, percent

HASH = 16
"""Characters shown of a hash; run.json has all."""


def data_quality(figures: Figures, found: Quality) -> Section:
    """What the numbers rest on."""
    shares = table(
        "What the footprint rests on",
        ["Rests on", "Footprint", "Share"],
        [
            ["At least one input value of low confidence", mass(found.low_kg), percent(found.low_kg, figures.kg)],
            [
                "At least one input value equal to its default",
                mass(found.default_kg),
                percent(found.default_kg, figures.kg),
            ],
            *average_row(figures, found),
        ],
        [1, 2],
    )
    parts: list[Html | Figure] = [shares]
    if found.unsourced is None:
        parts.append(note("This run published no table of sources: the confidence of its inputs is not known."))
    elif found.unsourced:
        parts.append(note(f"{count(found.unsourced, 'listed source')} without a stated confidence."))
    parts += [
        doubts("Input values of low confidence", found.low),
        doubts("Input values equal to their default", found.defaults),
    ]
    parts += lists(found)
    return Section("quality", "Data quality", quality_title(figures, found), [p for p in parts if p])


def average_row(figures: Figures, found: Quality) -> list[list[object]]:
    """The share on average grid intensity, where servers use energy."""
    if found.average_share is None:
        return []
    usage = float(figures.servers["usage_kg"].sum())
    words = "Average grid intensity in the place of the hour's (servers, usage)"
    return [[words, mass(found.average_share * usage), percent(found.average_share * usage, figures.kg)]]


def quality_title(figures: Figures, found: Quality) -> str:
    """The doubts that weigh most."""
    said = []
    if found.low_kg:
        said.append(f"{percent(found.low_kg, figures.kg)} of the footprint rests on values of low confidence")
    if found.average_share:
        said.append(f"{percent(found.average_share)} of the servers' usage rests on average grid intensity")
    if found.warnings:
        said.append(count(len(found.warnings), "warning"))
    if refused := sum(n for *_, n in found.rejects):
        said.append(f"{count(refused, 'record')} refused")
    text = ", ".join(said)
    return (text[0].upper() + text[1:]) if text else "No warning, no refused record, no value of low confidence"


def doubts(caption: str, found: list[Doubt]) -> Html:
    """The columns in doubt, with how many values."""
    if not found:
        return Html("")
    ordered = sorted(found, key=lambda d: (-d.values, d.table, d.column))[:MOST_LINES]
    rows = [[named(d.table), named(d.column), f"{d.values}"] for d in ordered]
    summary = f"{caption}: {count(sum(d.values for d in found), 'value')}"
    return details(summary, table(caption, ["Table", "Column", "Values"], rows, [2]))


def lists(found: Quality) -> list[Html]:
    """Warnings, flags and rejects."""
    parts = []
    if found.warnings:
        items = [tag("li", named(w, 400)) for w in found.warnings[:MOST_LINES]]
        more = len(found.warnings) - len(items)
        extra = [note(f"and {more} more in run.json")] if more > 0 else []
        parts.append(tag("div", tag("h3", "Warnings"), tag("ul", *items), *extra))
    if found.flags:
        rows = [[named(code), f"{n}"] for code, n in found.flags[:MOST_LINES]]
        parts.append(table("Flags that importers put on job runs", ["Flag", "Runs"], rows, [1]))
    if found.rejects:
        rejects = [[named(source), named(code), f"{n}"] for source, code, n in found.rejects[:MOST_LINES]]
        parts.append(table("Records that importers refused", ["Source", "Reason", "Records"], rejects, [2]))
    return parts


def making(figures: Figures) -> Section:
    """Inputs with hashes, settings, versions, rows and times."""
    about = figures.run.about
    inputs, rows = about.get("inputs", {}), about.get("rows", {})
    hashes = [[named(n), tag("code", str(v.get("sha256", ""))[:HASH])] for n, v in list(inputs.items())[:500]]
    settings = [[named(k), named("" if v is None else v)] for k, v in about.get("settings", {}).items()]
    versions = [[named(k), named(v)] for k, v in about.get("versions", {}).items()]
    made = [[named(k), f"{v:,}".replace(",", "\u202f")] for k, v in rows.items()]
    seconds = [[named(k), f"{v:.1f} s"] for k, v in about.get("seconds", {}).items()]
    parts = [
        paragraph(f"Run {figures.run.run_id}, finished {about.get('finished_at', 'at an unknown time')}."),
        details(
            f"Inputs: {count(len(inputs), 'file')}", table("Input files", ["File", f"SHA-256, first {HASH}"], hashes)
        ),
        details("Settings", table("Settings", ["Setting", "Value"], settings)),
        details("Versions", table("Versions", ["Software", "Version"], versions)),
        details(f"Rows of {count(len(rows), 'table')}", table("Rows published", ["Table", "Rows"], made, [1])),
        details("Wall times", table("Wall times", ["Step", "Time"], seconds, [1])),
    ]
    return Section("making", "How it was made", making_title(figures), parts)


def making_title(figures: Figures) -> str:
    """What went in and what came out."""
    about = figures.run.about
    read, made = sum(about.get("input_rows", {}).values()), sum(about.get("rows", {}).values())
    return f"{count(read, 'input row')} became {count(made, 'row')} of results"
