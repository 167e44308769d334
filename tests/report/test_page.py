"""The page as a file: whole, small, shut, and harmless whatever the ids are."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import polars as pl
import pytest

from pipeline import report
from pipeline.errors import InputError
from pipeline.storage import write_json
from pipeline.tables import OUTPUTS
from tests.report.models import START, at, hours, job, journey, published, server, smallest

MOST_BYTES = 3_000_000
HOSTILE = {
    "web": "<script>alert('web')</script>",
    "page": "</script><img src=x onerror=alert(1)>",
    "disk": "\"><b onmouseover='x()'>",
    "net": "'; DROP TABLE energy; --",
    "phone": "=cmd|' /C calc'!A0",
    "visitors": "\u202eevil\u2066",
    "trip": "<!--",
    "look": "{{constructor}} ${x} `y`",
    "batch": "x" * 10_000,
    "app": "עברית &amp; مرحبا",
    "proj": "javascript:alert(1)",
    "user": "a/../../b=%2e?c#d",
    "run": "]]><svg onload=alert(1)>",
}


class Shape(HTMLParser):
    """Elements and attributes of a page, and what its scripts hold."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.ids = [], [], []

    def handle_starttag(self, name, attributes):
        attributes = dict(attributes)
        self.elements.append((name, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if name == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "script" and self.lasttag == "script":
            self.scripts[-1] += data


def shape(page):
    found = Shape()
    found.feed(page)
    return found


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    return published(tmp_path_factory.mktemp("hostile"), journey(HOSTILE))


@pytest.fixture(scope="session")
def hostile_page(hostile):
    return report.write(hostile)


def test_the_page_lies_beside_the_runs_and_not_in_one(hostile, hostile_page):
    assert hostile_page == hostile / "report.html"
    with pytest.raises(InputError, match="never changes"):
        report.write(hostile, hostile / "current" / "page.html")


def test_ids_stay_text(hostile_page):
    page = hostile_page.read_text()
    found = shape(page)
    names = {name for name, _ in found.elements}
    assert not names & {"img", "b" if False else "iframe", "object", "base", "link", "form"}
    assert not [a for _, attributes in found.elements for a in attributes if a.startswith("on")]
    assert "\u202e" not in page
    assert max(map(len, re.findall("x{50,}", page)), default=0) <= 60
    assert "&lt;script&gt;alert(" in page


def test_nothing_is_loaded_and_one_script_runs(hostile_page):
    found = shape(hostile_page.read_text())
    for name, attributes in found.elements:
        assert "style" not in attributes, name
        assert not {"src", "srcset", "data", "action", "background"} & set(attributes), name
        assert attributes.get("href", "#").startswith("#")
    running = [a for n, a in found.elements if n == "script" and a.get("type") != "application/json"]
    assert running == [{}]


def test_the_only_addresses_are_names_of_namespaces_and_messages(hostile_page):
    page = hostile_page.read_text()
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert set(re.findall(r"https?://[^\"'<\s]*", outside)) <= {"http://www.w3.org/2000/svg"}
    assert "url(" not in outside
    assert "@import" not in outside


def test_the_policy_allows_that_script_and_that_style_only(hostile_page):
    page = hostile_page.read_text()
    policy = next(a["content"] for n, a in shape(page).elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for element in ("script", "style"):
        [content] = re.findall(f"<{element}>(.*?)</{element}>", page, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_ids_of_elements_are_used_once_and_tables_have_captions(hostile_page):
    page = hostile_page.read_text()
    found = shape(page)
    assert len(found.ids) == len(set(found.ids))
    names = [n for n, _ in found.elements]
    assert names.count("table") == names.count("caption")


def test_every_chart_has_words_and_numbers(hostile_page):
    page = hostile_page.read_text()
    charts = [a for n, a in shape(page).elements if a.get("class") == "chart"]
    assert len(charts) >= 8
    assert all(len(a["aria-label"]) > 20 for a in charts)
    for figure in re.findall(r"<figure>.*?</figure>", page, flags=re.S):
        assert "<details>" in figure
        assert "<caption>" in figure


@pytest.mark.parametrize(
    "model",
    [
        {"servers": [server()], "jobs": [job()], "occurrences": []},
        {"servers": [server(fixed_nb_of_instances=2)], "jobs": [job()], "occurrences": []},
        {"servers": [server(), server("idle", fixed_nb_of_instances=2)], "jobs": [job()], "occurrences": hours(3)},
        {"servers": [server()], "jobs": [job()], "occurrences": hours(1, occurrences=0)},
        smallest(1),
    ],
    ids=["no occurrences", "a fixed server, no hours", "a fixed server, nobody on it", "one zero", "a single row"],
)
def test_models_with_next_to_nothing_give_a_sensible_page(tmp_path, model):
    page = report.write(published(tmp_path, model), png=tmp_path / "png").read_text()
    assert "nan" not in page.replace("nance", "").split("<script")[0].lower().split()
    assert "How it was made" in page
    assert "<h2>" in page


def test_a_run_of_few_tables_says_what_is_missing(tmp_path):
    page = report.write(published(tmp_path, smallest(), tables="need.server")).read_text()
    assert "left out the energy tables" in page
    assert "made without repartition.footprint" in page


def test_charts_are_written_as_pictures_without_a_browser(tmp_path, hostile):
    report.write(hostile, tmp_path / "page.html", tmp_path / "png")
    found = {f.stem: f.read_bytes() for f in (tmp_path / "png").iterdir()}
    assert {"totals", "over-time", "week", "servers", "jobs", "projects", "users", "flow-all", "storage"} <= set(found)
    assert all(content.startswith(b"\x89PNG") and len(content) > 5000 for content in found.values())


def test_a_page_about_thousands_of_things_is_as_small(tmp_path):
    page = report.write(many(tmp_path / "out", 3000, 24 * 400))
    assert page.stat().st_size < MOST_BYTES
    assert "2\u202f988 other" in page.read_text() or "3\u202f000" in page.read_text()


def many(out, things, long):
    """A run with so many servers and jobs, and so many hours, written without computing it."""
    root = out / "runs" / "one"
    index = pl.DataFrame({"n": range(things * 20)}).select(
        server_id=pl.format("server {}", pl.col.n % things),
        job_id=pl.format("job {}", pl.col.n % things),
        hour=pl.lit(START) + pl.duration(hours=(pl.col.n * 7) % long),
        kg=1.0 + pl.col.n % 13,
    )
    rows = {
        "energy.server": index.select(
            "server_id", "hour", idle_energy="kg", load_energy="kg", instances_energy=pl.col.kg * 2, energy_footprint="kg",
            instances_fabrication_footprint="kg", carbon_intensity="kg", carbon_intensity_source=pl.lit("average"),
        ),
        "instances.server": index.select("server_id", "hour", raw_nb_of_instances="kg", nb_of_instances=pl.col.kg * 2),
        "repartition.footprint": index.select(
            pl.lit("server").alias("source_kind"), pl.col.server_id.alias("source_id"), pl.lit("usage").alias("phase"),
            pl.lit("load").alias("stream"), "job_id", container_id="job_id", usage_pattern_id="job_id", hour="hour",
            footprint="kg",
        ),
    }  # fmt: skip
    for table, frame in rows.items():
        folder = root / table.replace(".", "/")
        folder.mkdir(parents=True)
        frame.write_parquet(folder / "part-all.parquet")
    counts = {t: len(rows[t]) if t in rows else 0 for t in OUTPUTS}
    about = {"run_id": "one", "model": "/m/many", "rows": counts, "warnings": [f"warning {n}" for n in range(5000)]}
    about["inputs"] = {f"occurrences/part-{n}.parquet": {"sha256": "0" * 64} for n in range(5000)}
    write_json(root / "run.json", about)
    (out / "current").symlink_to("runs/one")
    return out


def test_hours_are_written_in_utc(hostile_page):
    assert at(0)[:10] in hostile_page.read_text()
