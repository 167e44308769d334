"""What differs between two runs is found, sized and said."""

import copy
import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipeline import compare, report
from tests.report.models import hours, job, published, server, smallest


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return published(tmp_path_factory.mktemp("before"), smallest())


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """Twice the idle power, a job more, a server more, other volumes, another key of attribution."""
    model = copy.deepcopy(smallest())
    model["servers"] = [server(idle_power=100), server("new")]
    model["jobs"] += [job("mail", server_id="new")]
    model["occurrences"] += hours(10, job_id="mail", usage_pattern_id="writers")
    return published(tmp_path_factory.mktemp("after"), model, attribution_key="binding")


@pytest.fixture(scope="module")
def found(before, after):
    return compare.compared(before, after)


def test_a_run_compared_with_itself_differs_in_nothing(before):
    found = compare.compared(before, before)
    assert found.footprint.difference == 0
    assert (found.inputs, found.settings) == ([], [])
    assert not any(found.largest.values())
    assert "Both runs emit the same." in compare.as_text(found)


def test_totals_differ_by_what_the_servers_differ_by(found):
    usage = next(p for p in found.totals if p.name == "server/usage")
    web, new = (next(p for p in found.largest["servers"] if p.name == i) for i in ("web", "new"))
    idle_before, idle_after = 48 * 0.050 * 0.1, 48 * 0.100 * 0.1  # hours * kW * kg/kWh
    work_before = sum((1 + h % 4) / 4 * 0.050 * 0.1 for h in range(48))
    assert usage.a == pytest.approx(idle_before + work_before)
    assert web.difference == pytest.approx(idle_after - (idle_before + work_before))
    assert found.footprint.difference == pytest.approx(web.difference + new.difference)


def test_the_largest_difference_comes_first_and_new_things_start_at_none(found):
    for pairs in found.largest.values():
        sizes = [abs(p.difference) for p in pairs]
        assert sizes == sorted(sizes, reverse=True)
    mail = next(p for p in found.largest["jobs"] if p.name == "mail")
    assert mail.a == 0
    assert mail.b > 0
    assert {p.name for p in found.largest["patterns"]} == {"visitors", "writers"}


def test_the_last_bit_of_sums_does_not_decide_who_is_named_first(monkeypatch):
    monkeypatch.setattr(compare, "labels_in_both", lambda a, b, kind, ids: {i: i for i in ids})
    run: Any = SimpleNamespace(run=None)
    before = pl.DataFrame({"id": ["invoice", "search"], "kg": [0.3, 0.0]})
    after = pl.DataFrame({"id": ["invoice", "search"], "kg": [0.0, 0.1 + 0.2]})
    assert 0.1 + 0.2 > 0.3
    assert [p.name for p in compare.largest(run, run, before, after, "job")] == ["invoice", "search"]


def test_inputs_that_changed_are_named_to_the_cell(found):
    changes = {i.table: i for i in found.inputs}
    assert str(changes["servers"]) == "1 value changed, 1 row added".replace(" v", "\u00a0v").replace(" r", "\u00a0r")
    assert changes["servers"].cells == (compare.Cell("web", "idle_power", "50.0", "100.0"),)
    assert changes["jobs"].rows_added == 1
    assert str(changes["occurrences"]) == "files differ"
    assert ("attribution_key", "weight", "binding") in found.settings


def test_where_no_inputs_were_published_their_hashes_tell(tmp_path, before, after):
    import shutil

    runs = []
    for out in (before, after):
        shutil.copytree((out / "current").resolve(), tmp_path / out.parent.name)
        shutil.rmtree(tmp_path / out.parent.name / "input")
        runs.append(tmp_path / out.parent.name)
    found = compare.compared(*runs)
    assert {i.table: i.known for i in found.inputs} == {"servers": False, "jobs": False, "occurrences": False}


def test_the_difference_adds_up_to_the_whole(found):
    assert found.steps[-1].cumulative == pytest.approx(found.footprint.difference)
    assert sum(s.a for s in found.steps) == pytest.approx(found.footprint.a)
    assert found.every == "1h"


def test_text_and_json_say_the_same(found):
    said = compare.as_text(found)
    told = json.loads(json.dumps(compare.as_json(found), allow_nan=False))
    assert told["footprint_kg"]["difference"] == pytest.approx(found.footprint.difference)
    assert [c["column"] for i in told["inputs"] for c in i["cells"]] == ["idle_power"]
    assert "web idle_power: 50.0 -> 100.0" in said
    assert "setting attribution_key: weight -> binding" in said
    assert "servers with the largest differences" in said


def test_nothing_in_an_id_can_move_the_cursor(tmp_path, before):
    model = smallest()
    model["servers"] = [server("w\u202eb")]
    model["jobs"] = [job("page", server_id="w\u202eb", name="p" * 10_000)]
    said = compare.as_text(compare.compared(before, published(tmp_path, model)))
    assert all(c.isprintable() or c == "\n" for c in said)
    assert max(map(len, said.splitlines())) < 200


def test_the_report_has_a_section_on_it(tmp_path, before, after):
    page = report.write(after, tmp_path / "page.html", tmp_path / "png", against=before).read_text()
    assert "This run emits" in page
    assert 'id="against"' in page
    assert "idle_power" in page
    assert {"against-servers.png", "against-jobs.png", "against-time.png"} <= {
        f.name for f in (tmp_path / "png").iterdir()
    }
