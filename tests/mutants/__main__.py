"""Mutation testing of pipeline/stages: which changes of a stage's code do the tests notice?

    make mutants                       every mutant (hours)
    make mutants ARGS="--sample 600"   600 of them, drawn with --seed
    make mutants ARGS="--only energy"  those of modules with `energy` in their path
    make mutants ARGS="--report"       what the session build/mutants/session.sqlite holds so far

Cosmic-ray lists the mutants, makes them and keeps the results (so `cr-html build/mutants/session.sqlite` works too); this module
runs them. Starting Python with Polars takes longer than most of the tests, so one process that has loaded the libraries, and has run
nothing of Polars yet, is forked; its children take one mutated module after the other from memory, load all our modules anew for each, and
run STEPS until a test fails; no file is ever changed. Two of the steps are tests without pytest, on what was made once: the random whole
models ten in a folder (batches.py), and the columns that are declared otherwise than they come out (tests/declared.py), for what only
explanations read. A session goes on where it was left; `--again survived --steps all` tries every step on what is left.
"""

import argparse
import ast
import contextlib
import difflib
import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cosmic_ray.plugins
import duckdb
import hypothesis
import numpy
import pint
import polars
import pyarrow.parquet
import pytest
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

from tests.mutants.operators import Provider

sys.dont_write_bytecode = False  # what is compiled once is there for all children
LOADED = (duckdb, hypothesis, numpy, pint, polars, pyarrow.parquet, pytest)
ROOT = Path(__file__).parents[2]
STAGES = ROOT / "pipeline/stages"
SESSION = ROOT / "build/mutants/session.sqlite"
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
CPU_SECONDS, WALL_SECONDS, BYTES = 240, 3600, 6 << 30
MUTANTS_EACH = 40
"""Mutants that one worker tests."""

cosmic_ray.plugins.OPERATOR_PROVIDERS["polars"] = Provider()

ARITHMETIC = {
    "Add": ("Sub", "Mul", "Div"),
    "Sub": ("Add", "Mul", "Div"),
    "Mul": ("Add", "Sub", "Div"),
    "Div": ("Add", "Sub", "Mul"),
    "FloorDiv": ("Mul", "Div", "Mod"),
    "Mod": ("Mul", "FloorDiv"),
    "BitAnd": ("BitOr",),
    "BitOr": ("BitAnd",),
}
"""Which operator stands in for which: those that a column of that kind can be given at all."""
COMPARISONS = ("Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
WITHOUT_VALUE = {"RemoveDecorator": "a decorator"}

OPTIONS = [
    "-x",
    "-q",
    "--no-header",
    "--tb=line",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:unraisableexception",
    "-m",
    "not deep",
    "--hypothesis-seed=1",
    "-o",
    "timeout=0",  # wall time, which says nothing of a process that others may stop
]
EXPLAIN = "tests/test_explain.py"
STEPS: dict[str, list[str]] = {
    "golden": ["tests/test_golden.py", "tests/test_dictionary.py"],
    "models": [],  # tests/mutants/batches.py
    "declarations": [EXPLAIN, "-k", "says_how or found_somewhere or symbols_come or none_are_given"],
    "columns": [f"{EXPLAIN}::test_every_column_of_every_row_is_what_is_declared_of_it"],
    "explain": [
        f"{EXPLAIN}::test_of_several_ways_to_a_number_the_explanation_takes_its_own",
        f"{EXPLAIN}::test_rows_of_every_kind_of_source_and_stream_can_be_computed_again",
        f"{EXPLAIN}::test_every_cell_can_be_computed_again_from_its_explanation[weight by hour]",
    ],
    "stages": ["tests/stages"],
    "explain all": [EXPLAIN],
}
"""What follows the tests of the module's own (`tests/stages/x/test_y.py` for `pipeline/stages/x/y.py`) and of its family."""
FIRST = ["own", "models"]
"""The steps that take seconds."""
WHOLE_MODELS = [f"repartition/{name}.py" for name in ("footprint", "job", "server", "storage")]
"""Stages whose own tests run whole models; the random ones are faster there."""
LATER = ["columns", "golden", "declarations", "explain", "family"]
"""The steps for what survived those: some functions, and most of what stands outside of functions, only explanations read."""
BATCHES = SESSION.parent / "batches"
"""The random whole models of tests/test_properties.py, in folders."""
RUNS = SESSION.parent / "declared"
"""Runs of the model of tests/explain_model.py by each attribution key, made once: what only explanations read changes no run."""
KEYS = ("weight", "binding")
SAYS = {"Lineage", "Row", "At", "Made", "Total", "Box", "Rule", "same"}


# ---------------------------------------------------------------- which mutants


def source_of(item: WorkItem) -> str:
    return Path(spec(item).module_path).read_text(encoding="utf-8")


def spec(item: WorkItem) -> MutationSpec:
    return item.mutations[0]


def module_of(item: WorkItem) -> str:
    return Path(spec(item).module_path).relative_to(STAGES).as_posix()


def order(item: WorkItem) -> tuple[str, str, int]:
    return module_of(item), spec(item).operator_name, spec(item).occurrence


def mutated(item: WorkItem) -> str:
    mutation = spec(item)
    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    return str(mutate_code(source_of(item), operator, mutation.occurrence))


def types_in(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where annotations and names of types stand."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("Way", "Formula"):
            found.append(node.value)
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in found if n]


def of_word(item: WorkItem, source: str) -> bool:
    """Whether a comparison is with a word."""
    at = spec(item).start_pos
    return any(
        (node.left.end_lineno, node.left.end_col_offset) <= at < (right.lineno, right.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        for right in node.comparators[:1]
        if isinstance(right, ast.Constant) and isinstance(right.value, str)
    )


def between_values(item: WorkItem, source: str) -> bool:
    """Whether the operator stands between two values, not before the names of a signature or of what it unpacks."""
    at = spec(item).start_pos
    return any(
        (node.left.end_lineno, node.left.end_col_offset) <= at < (node.right.lineno, node.right.col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp)
    )


def declares(item: WorkItem) -> bool:
    """Whether the mutant stands in what a stage only declares, and only explanations read."""
    if module_of(item) == "lineage.py":
        return True
    at = spec(item).start_pos[0]
    for node in parsed(spec(item).module_path).body:
        if node.lineno <= at <= (node.end_lineno or 0):
            if isinstance(node, ast.FunctionDef):
                return node.returns is not None and not SAYS.isdisjoint(names_in(node.returns))
            private = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith(("_", "(_"))
            return private or not SAYS.isdisjoint(names_in(node))
    return False


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(Path(path).read_text(encoding="utf-8"))


def names_in(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def no_number(item: WorkItem, source: str) -> str:
    """Why the mutant is left out: it cannot change a value, or can only fail at once."""
    provider, name = spec(item).operator_name.split("/")
    if provider == "core" and name.startswith("ReplaceBinaryOperator_"):
        before, after = name.split("_")[1:]
        if after not in ARITHMETIC.get(before, ()):
            return "an operator that columns of that kind do not have"
    if provider == "core" and name.startswith("ReplaceComparisonOperator_") and name.split("_")[2] not in COMPARISONS:
        return "identity instead of a comparison"
    if provider == "core" and name.startswith("ReplaceUnaryOperator_") and name.split("_")[2] in ("UAdd", "Not"):
        return "an operator that columns of that kind do not have"
    if name.startswith("ReplaceComparisonOperator") and name.split("_")[2] in COMPARISONS[2:] and of_word(item, source):
        return "an order of words"
    if name in WITHOUT_VALUE:
        return WITHOUT_VALUE[name]
    position = spec(item).start_pos
    if any(begin <= position < end for begin, end in types_in(source)):
        return "a type"
    if provider == "core" and name.startswith("ReplaceBinaryOperator_") and not between_values(item, source):
        return "a star that unpacks"
    return ""


def listed(db: WorkDB) -> None:
    """Put every mutant into the session; those left out with the reason."""
    init(sorted(STAGES.rglob("*.py")), db, {})
    for item in db.work_items:
        if reason := no_number(item, source_of(item)):
            db.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output=reason))


def drawn(items: Sequence[WorkItem], number: int | None, seed: int) -> list[WorkItem]:
    """The mutants to run, in random order; the same seed draws the same ones."""
    every = sorted(items, key=order)
    random.Random(seed).shuffle(every)
    return every[:number]


# ---------------------------------------------------------------- one mutant


class Mutant(importlib.machinery.SourceFileLoader, importlib.abc.MetaPathFinder):
    """The import of one module, from the mutated source instead of the file's."""

    def __init__(self, path: Path, source: str) -> None:
        super().__init__(".".join(path.relative_to(ROOT).with_suffix("").parts), str(path))
        self.source = source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec", dont_inherit=True)


class FirstFailure:
    """What failed first: a test, or the import of one. Tests that run no whole model go first."""

    told = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda test: "tmp_path" in test.fixturenames)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.told:
            self.told = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.told:
            self.told = f"import {report.nodeid}"


def otherwise() -> str:
    """In the child: the first of BATCHES that comes to something else."""
    try:
        from tests.mutants.batches import difference
    except Exception as error:  # noqa: BLE001
        return repr(error)[:200]
    return difference(BATCHES)


def steps_of(item: WorkItem, chosen: str) -> dict[str, list[str]]:
    module = Path(module_of(item))
    family = ROOT / "tests/stages" / module.parent
    own = family / f"test_{module.name}"
    own_tests = [*([str(own)] if own.exists() else []), "tests/stages/test_order.py"]
    every = {"own": own_tests, "family": [str(family)], **STEPS}
    first = FIRST[::-1] if module_of(item) in WHOLE_MODELS else FIRST
    quick = first if module.parent.name == "repartition" and first == FIRST else first[:1]
    later = LATER
    if declares(item):
        every = {"declared": [], **every}
        first, quick, later = ["declared", "declarations"], ["declared"], ["explain"]
    wanted = {"all": list(every), "quick": quick, "first": first, "later": later, "": [*first, *later]}[chosen]
    return {name: every[name] for name in wanted if name in every}


def made_before(items: Sequence[WorkItem]) -> None:
    """Make RUNS and BATCHES in a child: children of one that has run Polars would wait for ever for its threads."""
    if pid := os.fork():
        if os.waitpid(pid, 0)[1]:
            sys.exit("what the mutants are held against cannot be made")
        return
    try:
        from pipeline import run, settings
        from tests.explain_model import write_model
        from tests.mutants import batches

        if any(declares(i) for i in items):
            shutil.rmtree(RUNS, ignore_errors=True)
            for key in KEYS:
                run.run(write_model(RUNS / "model"), RUNS / key, settings.load(None, {"attribution_key": key}))
        if not all(declares(i) for i in items):
            batches.make(BATCHES)
    except BaseException:  # noqa: BLE001  (the child must not go on as the parent)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def undeclared() -> str:
    """In the child, the tests of tests/test_explain.py that every column of every row is what is declared of it, and nothing 0; what is not."""
    try:
        from tests.declared import NOTHING, differences, values_of

        if found := next((n for n in NOTHING if set(values_of(RUNS / KEYS[0] / "current", n).values()) != {0.0}), ""):
            return found
        return next((found for key in KEYS for found in differences(RUNS / key / "current")), "").partition(":")[0]
    except Exception as error:  # noqa: BLE001  (a declaration that cannot be followed, whatever comes of it)
        return repr(error)[:200]


def tested(item: WorkItem, source: str, *, steps: str) -> dict[str, str]:
    """In the child: run the steps until a test fails."""
    sys.meta_path.insert(0, Mutant(Path(spec(item).module_path), source))
    scratch = SESSION.parent / f"tmp{os.getpid()}"
    for name, arguments in steps_of(item, steps).items():
        if not arguments:
            if found := {"declared": undeclared, "models": otherwise}[name]():
                return {"step": name, "by": found}
            continue
        seen = FirstFailure()
        code = pytest.main([*OPTIONS, f"--basetemp={scratch}", *arguments], plugins=[seen])
        if code != pytest.ExitCode.OK:
            return {"step": name, "by": seen.told or str(code)}
    return {}


def forget(kept: frozenset[str]) -> None:
    """Unload our modules, but those that were there before: the next import is of the next mutant."""
    for name in [m for m in sys.modules if m not in kept and m.partition(".")[0] in ("pipeline", "tests")]:
        del sys.modules[name]
        parent, _, own = name.rpartition(".")
        if parent in sys.modules and hasattr(sys.modules[parent], own):
            delattr(sys.modules[parent], own)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Mutant)]


def work(asked: int, answered: int, items: Mapping[str, WorkItem], *, steps: str) -> None:
    """The whole life of a worker: it never returns. One mutant after the other, each with its own limit of CPU time."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log = os.open(SESSION.parent / f"log{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    kept = frozenset(sys.modules)
    lines = os.fdopen(asked)
    while (line := lines.readline()).strip():
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        job, source = json.loads(line)
        try:
            told = tested(items[job], source, steps=steps)
        except BaseException as error:  # noqa: BLE001  (a panic of Polars is no Exception)
            told = {"step": "start", "by": repr(error)[:200]}
        os.write(answered, (json.dumps(told) + "\n").encode())
        forget(kept)
        os.ftruncate(log, 0)
    os._exit(0)


class Worker:
    """A process that tests mutants, one at a time."""

    def __init__(self, items: Mapping[str, WorkItem], *, steps: str) -> None:
        asked, self.ask = os.pipe()
        self.answer, answered = os.pipe()
        self.tested = 0
        self.item: WorkItem | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.ask)
            work(asked, answered, items, steps=steps)
        os.close(asked)
        os.close(answered)

    def begin(self, item: WorkItem, source: str) -> None:
        self.item, self.source, self.began = item, source, time.monotonic()
        self.tested += 1
        os.write(self.ask, (json.dumps([item.job_id, source]) + "\n").encode())

    def result(self) -> WorkResult | None:
        """What came out; None while it runs. Only CPU time counts, so that a machine that was stopped kills no mutant."""
        assert self.item is not None
        late = time.monotonic() - self.began > WALL_SECONDS
        if not select.select([self.answer], [], [], 0)[0] and not late:
            return None
        answer = b"" if late else os.read(self.answer, 65536)
        if answer:
            told = json.loads(answer)
        else:
            by = self.end()
            told = {
                "step": "timeout" if late or by in (signal.SIGXCPU, signal.SIGKILL) else "crash",
                "by": f"signal {by}",
            }
        return WorkResult(
            worker_outcome=WorkerOutcome.NORMAL,
            test_outcome=TestOutcome.KILLED if told else TestOutcome.SURVIVED,
            output=" ".join(told.values()),
            diff="\n".join(changed_lines(self.item, self.source)),
        )

    @property
    def spent(self) -> bool:
        """Whether it is gone, or has tested so many that another one should go on."""
        return self.pid == 0 or self.tested >= MUTANTS_EACH

    def end(self) -> int:
        """End it, if it has not ended: the signal, or the exit code, that it ended with."""
        if self.pid == 0:
            return 0
        with contextlib.suppress(BrokenPipeError):
            os.write(self.ask, b"\n")
        os.close(self.ask)
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            if time.monotonic() - self.began > WALL_SECONDS:
                os.kill(self.pid, signal.SIGKILL)
            status = os.waitpid(self.pid, 0)[1]
        os.close(self.answer)
        for name in ("tmp", "log"):
            path = SESSION.parent / f"{name}{self.pid}"
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        self.pid = 0
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else status


def changed_lines(item: WorkItem, source: str) -> list[str]:
    before, after = source_of(item).splitlines(), source.splitlines()
    return [line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[:3] not in ("---", "+++")]


def execute(db: WorkDB, items: list[WorkItem], *, jobs: int, steps: str) -> None:
    """Run the mutants, so many at a time."""
    for name in ("tables", "series", "civil_time"):
        importlib.import_module(f"pipeline.{name}")
    assert not [m for m in sys.modules if m.startswith("pipeline.stages")], "children would not load the mutated module"
    made_before(items)
    gc.freeze()
    by_job = {i.job_id: i for i in items}
    for item in {tuple(steps_of(i, steps)): i for i in items}.values():
        unchanged = Worker(by_job, steps=steps)
        unchanged.begin(item, source_of(item))
        while (found := unchanged.result()) is None:
            time.sleep(0.1)
        unchanged.end()
        if found.test_outcome != TestOutcome.SURVIVED:
            sys.exit(f"the tests fail without any mutation: {found.output}")
    known, listed_ones, waiting = equivalents(), list[WorkItem](), items[::-1]
    idle, busy, done = list[Worker](), list[Worker](), 0
    while waiting or listed_ones or busy:
        while (waiting or listed_ones) and len(busy) < jobs:
            item = (waiting or listed_ones).pop()
            source = mutated(item)
            if waiting and (module_of(item), added_line("\n".join(changed_lines(item, source)))) in known:
                listed_ones.append(item)  # it will survive every step, and waits for the others
                continue
            busy.append(idle.pop() if idle else Worker(by_job, steps=steps))
            busy[-1].begin(item, source)
        time.sleep(0.02)
        for one in list(busy):
            if (result := one.result()) and (item := one.item):
                busy.remove(one)
                db.set_result(item.job_id, result)
                done += 1
                took = time.monotonic() - one.began
                print(f"{done}/{len(items)} {took:.1f}s {module_of(item)} {result.output or 'SURVIVED'}", flush=True)
                if one.spent:
                    one.end()
                else:
                    idle.append(one)
    for one in idle:
        one.end()


# ---------------------------------------------------------------- what came out


def equivalents() -> dict[tuple[str, str], str]:
    """Mutants that change no value, by module and changed line, with the reason."""
    rows = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"] if EQUIVALENT.exists() else []
    return {(r["module"], " ".join(line.split())): r["because"] for r in rows for line in r["lines"]}


def added_line(diff: str) -> str:
    """The changed line as it stands in the module; where lines are only left out, those, behind a minus."""
    added = [line[1:] for line in diff.splitlines() if line.startswith("+")]
    return " ".join(" ".join(added or [line for line in diff.splitlines() if line.startswith("-")]).split())


def verdicts(db: WorkDB) -> Iterator[tuple[WorkItem, str, WorkResult | None]]:
    """Every mutant of the session and what it is: left out, not run, killed, timeout, survived or equivalent."""
    results, known = dict(db.results), equivalents()
    for item in sorted(db.work_items, key=order):
        result = results.get(item.job_id)
        if result is None:
            yield item, "not run", None
        elif result.worker_outcome == WorkerOutcome.SKIPPED:
            yield item, "left out", result
        elif result.test_outcome == TestOutcome.SURVIVED:
            same = (module_of(item), added_line(result.diff)) in known
            yield item, "equivalent" if same else "survived", result
        else:
            yield item, "timeout" if result.output.startswith("timeout") else "killed", result


def report(db: WorkDB, *, survivors: bool) -> None:
    """One line per module, the sums, and the survivors."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    left_out, steps = Counter[str](), Counter[str]()
    shown = []
    for item, verdict, result in verdicts(db):
        counts[module_of(item)][verdict] += 1
        counts["all"][verdict] += 1
        if verdict == "left out" and result:
            left_out[result.output] += 1
        if verdict == "killed" and result:
            steps[result.output.split()[0]] += 1
        if verdict == "survived" and result:
            shown.append(f"{module_of(item)} {spec(item).operator_name} {spec(item).occurrence}\n{result.diff}")
    names = ["killed", "timeout", "survived", "equivalent", "not run", "left out"]
    print("| module | run |", " | ".join(names), "| score | without equivalents |")
    for module, found in counts.items():
        killed = found["killed"] + found["timeout"]
        run = killed + found["survived"] + found["equivalent"]
        of = [f"{100 * killed / n:.1f} %" if n else "" for n in (run, run - found["equivalent"])]
        print("|", module, "|", run, "|", " | ".join(str(found[n]) for n in names), "|", " | ".join(of), "|")
    print("left out:", dict(left_out))
    print("killed by:", dict(steps))
    if survivors:
        print("\n".join(shown))


def main() -> None:
    options = argparse.ArgumentParser(prog="make mutants")
    options.add_argument("--only", default="", help="part of the module's path, or several with commas")
    options.add_argument("--leave", default="", help="modules not to run, in the same way")
    options.add_argument(
        "--part",
        default="",
        choices=["", "functions", "declarations"],
        help="what is computed, or what explanations read",
    )
    options.add_argument("--sample", type=int, help="how many mutants, of all")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--again", default="", choices=["", "survived", "timeout"], help="run these once more")
    options.add_argument(
        "--steps",
        default="",
        choices=["", "quick", "first", "later", "all"],
        help="without it the first and the later ones",
    )
    options.add_argument("--report", action="store_true")
    given = options.parse_args()
    SESSION.parent.mkdir(parents=True, exist_ok=True)
    db = WorkDB(SESSION, WorkDB.Mode.create)
    if not db.num_work_items:
        listed(db)
    if not given.report:
        found = list(verdicts(db))
        eligible = drawn([i for i, verdict, _ in found if verdict != "left out"], given.sample, given.seed)
        wanted = {i.job_id for i, verdict, _ in found if verdict == (given.again or "not run")}

        def named(item: WorkItem, parts: str) -> bool:
            return any(part in module_of(item) for part in parts.split(",") if part)

        chosen = [i for i in eligible if i.job_id in wanted and not named(i, given.leave)]
        if given.part:
            chosen = [i for i in chosen if declares(i) == (given.part == "declarations")]
        execute(db, [i for i in chosen if not given.only or named(i, given.only)], jobs=given.jobs, steps=given.steps)
    report(db, survivors=True)


if __name__ == "__main__":
    main()
