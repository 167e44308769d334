"""The documentation does what it says: its commands and queries run, what it shows comes out, links and names resolve.

How a document is written so that it can be tested:

- The ```sh (and ```console, commands after `$ `) blocks of a document run in their order in one folder, in which `data` and `tests` of the
  project stand, and an e-footprint `system.json`. `<!-- needs: tutorial.md -->` runs that document first and goes on in its folder.
- A ```sql block runs on the OUT that the last `<!-- out: out/example -->` names.
- A ```text block right after one of these is what it prints: compared word by word, numbers to 1e-6, times and dashes left alone, a line `...`
  standing for any lines. `DOCS_WRITE=1 pytest tests/test_docs.py` writes what was printed into the document.
- Before a block, `<!-- exit: 2 -->` says how it ends, and `<!-- skip: why -->` that it does not run here.

A line that is one plain `wattrow` command runs in this process, as on a terminal; everything else runs in bash.
"""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import takewhile, zip_longest
from pathlib import Path

import duckdb
import pytest
import typer

from data.print_example import PLACES
from pipeline import catalog, cli, views
from pipeline.importers.efootprint import IMPORTED
from pipeline.tables import DETAILS, INPUTS, OUTPUTS
from tests.importers.test_efootprint import system_27

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WRITE = bool(os.environ.get("DOCS_WRITE"))
EXAMPLE = "wattrow run data/example --out out/example"
RUNNABLE = ("sh", "console", "sql")
SHELL_SIGNS = re.compile(r"[|<>;&$`*]")
SECONDS = 120


def documents() -> list[Path]:
    """README.md, the other pages beside it, and docs/*.md."""
    return sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])


# ---------------------------------------------------------------- a document as blocks


@dataclass
class Block:
    """A fenced block: its language, its text, the markers before it, and where its text stands (lines from 0, end left out)."""

    language: str
    text: str
    marks: dict[str, str]
    first: int
    end: int
    shown: "Block | None" = None
    """What the document says it prints."""

    @property
    def commands(self) -> list[str]:
        """The lines to run: of a console those after `$ `, else one per line, continued lines and here-documents joined; a loop keeps the block whole."""
        if self.language == "console":
            return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        if re.search(r"^(for|if|while) ", self.text, re.MULTILINE):
            return [self.text]
        found: list[str] = []
        rows = iter(self.text.replace("\\\n", " ").splitlines())
        for row in rows:
            if here := re.search(r"<<'(\w+)'", row):
                found.append("\n".join([row, *takewhile(lambda inside, end=here[1]: inside != end, rows), here[1]]))
            elif row.strip() and not row.lstrip().startswith("#"):
                found.append(row)
        return found


MARK = re.compile(r"^<!-- (skip|exit|out|needs): (.*) -->$")
FENCE = re.compile(r"^(\s*)```(\w*)")


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a document; a text block right after another is what that one prints."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks: list[Block] = []
    marks: dict[str, str] = {}
    before: Block | None = None
    at = 0
    while at < len(lines):
        line = lines[at]
        if mark := MARK.match(line.strip()):
            marks[mark[1]] = mark[2]
        elif fence := FENCE.match(line):
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            text = "\n".join(row.removeprefix(fence[1]) for row in lines[at + 1 : end])
            block = Block(fence[2], text, marks, at + 1, end)
            if block.language == "text" and before is not None:
                before.shown = block
            blocks.append(block)
            marks, before, at = {}, block if block.language in RUNNABLE else None, end
        elif line.strip():
            before = None
            if not line.startswith("<!--"):
                marks = {k: v for k, v in marks.items() if k in ("out", "needs")}
        at += 1
    return blocks


# ---------------------------------------------------------------- running commands


class Terminal(io.TextIOWrapper):
    """Standard output that says it is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def written(self) -> str:
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode("utf-8")


class Here:
    """The working folder and `sys.argv` of a command, put back afterwards."""

    def __init__(self, folder: Path, argv: list[str]) -> None:
        self.folder, self.argv = folder, argv

    def __enter__(self) -> None:
        self.before = Path.cwd(), sys.argv
        os.chdir(self.folder)
        sys.argv = self.argv

    def __exit__(self, *_: object) -> None:
        os.chdir(self.before[0])
        sys.argv = self.before[1]


def wattrow(line: str, folder: Path) -> tuple[int, str]:
    """A wattrow command as on a terminal: exit code, and what it prints, errors first."""
    out, err = Terminal(), io.StringIO()
    code = 0
    with Here(folder, shlex.split(line, comments=True)), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, without_log(err.getvalue()) + out.written()


def bash(text: str, folder: Path) -> tuple[int, str]:
    """Lines in bash, with this environment's wattrow on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], check=False, cwd=folder, env=environment, timeout=SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.returncode, without_log(done.stdout)


def without_log(text: str) -> str:
    """Text without the log lines that a terminal does not get."""
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(r"time=\S+ level=info ", line))


def run_line(line: str, folder: Path) -> tuple[int, str]:
    """One command."""
    plain = line.strip().startswith("wattrow ") and not SHELL_SIGNS.search(
        re.sub(r"'[^']*'|\"[^\"$`]*\"| #.*", "", line)
    )
    return wattrow(line.strip(), folder) if plain and "\n" not in line else bash(line, folder)


# ---------------------------------------------------------------- comparing what is printed

NUMBER = re.compile(r"^-?[\d,]+(\.\d+)?(e[+-]?\d+)?$")
DURATION = re.compile(r"\b\d+\.\d+ s\b")


def same_word(one: str, other: str) -> bool:
    """Whether two words say the same: equal, or equal numbers."""
    if one == other:
        return True
    if NUMBER.match(one) and NUMBER.match(other):
        a, b = (float(word.replace(",", "")) for word in (one, other))
        return abs(a - b) <= 1e-6 * max(abs(a), abs(b)) + 1e-12
    return False


def same_line(shown: str, printed: str) -> bool:
    """Whether two lines say the same, however wide their columns are."""
    if set(shown) <= set("- ") and set(printed) <= set("- ") and shown.strip() and printed.strip():
        return True
    words, others = (DURATION.sub("T s", line).split() for line in (shown, printed))
    return len(words) == len(others) and all(map(same_word, words, others))


def first_difference(shown: str, printed: str) -> str | None:
    """The first line that differs; a shown line `...` stands for any number of lines."""
    parts = [part.strip("\n").splitlines() for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)]
    lines = [line.rstrip() for line in printed.rstrip("\n").splitlines()]
    if len(parts) == 1:
        for said, found in zip_longest(parts[0], lines, fillvalue="(nothing)"):
            if not same_line(said, found):
                return f"shown:   {said}\nprinted: {found}"
        return None
    at = 0
    for number, part in enumerate(parts):
        starts = [0] if number == 0 else [len(lines) - len(part)] if number == len(parts) - 1 else range(at, len(lines))
        fits = (n for n in starts if n >= at and all(map(same_line, part, lines[n:])) and n + len(part) <= len(lines))
        found_at = next(fits, None)
        if found_at is None:
            return f"shown:   {part}\nprinted: {lines[at:]}"
        at = found_at + len(part)
    return None


# ---------------------------------------------------------------- running a document


@dataclass
class Ran:
    """A document that was run: its folder, and what went wrong."""

    folder: Path
    wrong: list[str] = field(default_factory=list)
    blocks: int = 0
    skipped: list[str] = field(default_factory=list)


class Runner:
    """Runs each document once, after those it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        self.done: dict[Path, Ran] = {}
        self.example: tuple[int, str] | None = None
        self.open: dict[Path, duckdb.DuckDBPyConnection] = {}

    def place(self, name: str) -> Path:
        """A fresh folder with the project's data."""
        made = self.folder / name
        made.mkdir()
        for link in ("data", "tests"):
            (made / link).symlink_to(ROOT / link)
        system = system_27()
        system["Storage"]["disks"]["fixed_nb_of_instances"] = None
        (made / "system.json").write_text(json.dumps(system), encoding="utf-8")
        return made

    def run_example(self) -> tuple[int, str]:
        """The run of data/example that all documents share, and what it printed."""
        if self.example is None:
            self.example = wattrow(EXAMPLE, self.place("shared"))
        return self.example

    def ran(self, path: Path) -> Ran:
        """The document, run."""
        if path not in self.done:
            blocks = read_blocks(path)
            needs = next((b.marks["needs"] for b in blocks if "needs" in b.marks), None)
            before = self.ran(DOCS / needs) if needs else None
            if before and before.wrong:
                pytest.fail(f"{needs} has to run first, and does not: {before.wrong[0]}")
            ran = Ran(before.folder if before else self.place(path.stem))
            self.done[path] = ran
            self.run_blocks(blocks, path, ran)
        return self.done[path]

    def run_blocks(self, blocks: list[Block], path: Path, ran: Ran) -> None:
        """Run the blocks in order; compare what they print, or write it."""
        out = None
        printed: list[tuple[Block, str]] = []
        for block in blocks:
            out = block.marks.get("out", out)
            if block.language not in RUNNABLE:
                continue
            if "skip" in block.marks:
                ran.skipped.append(block.marks["skip"])
                continue
            ran.blocks += 1
            code, text = self.sql(block.text, ran.folder, out) if block.language == "sql" else self.shell(block, ran)
            where = f"{path.name}:{block.first + 1}"
            if code != int(block.marks.get("exit", 0)):
                ran.wrong.append(f"{where}: exit {code}\n{block.text}\n{text[-3000:]}")
            said = block.text if block.language == "console" else block.shown.text if block.shown else None
            if block.shown and WRITE and code == int(block.marks.get("exit", 0)):
                printed.append((block, text))
            elif said is not None and (difference := first_difference(said, text)):
                ran.wrong.append(f"{where}: not what is shown\n{difference}")
        if printed:
            write_shown(path, printed)

    def shell(self, block: Block, ran: Ran) -> tuple[int, str]:
        """The commands of a block, up to the first that fails."""
        printed = ""
        for line in block.commands:
            code, text = self.line(line, ran.folder)
            printed += f"$ {line}\n{text}" if block.language == "console" else text
            if code:
                return code, printed
        return 0, printed

    def line(self, line: str, folder: Path) -> tuple[int, str]:
        """One command; the run of the example is shared."""
        if "out/example" in line and not (folder / "out/example").exists():
            result = self.run_example()
            (folder / "out").mkdir(exist_ok=True)
            (folder / "out/example").symlink_to(self.shared / "out/example")
            if line.partition("#")[0].strip() == EXAMPLE:
                return result
        return run_line(line, folder)

    def sql(self, text: str, folder: Path, out: str | None) -> tuple[int, str]:
        """A query on OUT, as `wattrow query` prints it on a terminal."""
        if out is None:
            return -1, "no <!-- out: OUT --> says which run to ask"
        if out == "out/example":
            self.line(f"# {out}", folder)
        try:
            run = catalog.run_directory(folder / out)
            if run not in self.open:
                self.open[run] = catalog.connect(run, comments=False)
            return 0, str(catalog.render(catalog.run_sql(self.open[run], text), "table"))
        except Exception as error:  # noqa: BLE001 (whatever it is, the document is wrong)
            return -1, f"{type(error).__name__}: {error}"


def write_shown(path: Path, printed: list[tuple[Block, str]]) -> None:
    """Put what was printed into the document, but where it is shown in part."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for block, text in reversed(printed):
        shown = block.shown
        assert shown is not None
        if "..." not in shown.text.splitlines():
            lines[shown.first : shown.end] = [line.rstrip() for line in text.rstrip("\n").splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One for all documents."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("WATTROW_")}
    yield Runner(tmp_path_factory.mktemp("docs"))
    os.environ.update(kept)


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_commands_and_queries_do_what_is_shown(path: Path, runner: Runner) -> None:
    ran = runner.ran(path)
    assert not ran.wrong, "\n\n".join(ran.wrong)


# ---------------------------------------------------------------- links


def prose(path: Path) -> str:
    """A document without its blocks."""
    return re.sub(r"^\s*```.*?^\s*```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower()).strip().replace(" ", "-")
        for title in titles
    }


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(path))):
        file, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (path.parent / file).resolve() if file else path
        if not place.exists():
            missing.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(place):
            missing.append(f"{target}: no such heading; there are {', '.join(sorted(anchors(place)))}")
    assert not missing


# ---------------------------------------------------------------- names


def commands() -> list[str]:
    """Every command, as it is typed: `wattrow run`, `wattrow import slurm`."""
    found = []
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        found += [f"wattrow {name} {kind}" for kind in below] or [f"wattrow {name}"]
    return found


def test_every_command_is_told_of() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents())
    assert [c for c in commands() if not re.search(rf"{c}\b", text)] == []


def test_every_view_and_macro_has_its_query() -> None:
    """docs/queries.md asks each view and macro of sql/."""
    asked = "\n".join(block.text for block in read_blocks(DOCS / "queries.md") if block.language == "sql")
    assert [v.view for v in views.library() if not re.search(rf"\b{re.escape(v.view)}\b", asked)] == []


def test_every_attribute_of_the_reference_pages_has_its_column() -> None:
    """docs/coming-from-efootprint.md has a row for each attribute, with the column that data/print_example.py finds it in."""
    rows = [
        line
        for line in (DOCS / "coming-from-efootprint.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    missing = [
        f"{page}.{attribute}: {place.table}.{place.column}"
        for (page, attribute), place in PLACES.items()
        if not any(f"`{attribute}`" in row and f"`{place.table}.{place.column}`" in row for row in rows)
    ]
    assert missing == []


def test_every_imported_class_is_told_of() -> None:
    text = (DOCS / "coming-from-efootprint.md").read_text(encoding="utf-8")
    assert [kind for kind in IMPORTED if f"`{kind}`" not in text] == []


LIBRARY = {view.view: view for view in views.library()}
TABLES = {
    **INPUTS,
    **OUTPUTS,
    **{f"input.{n}": t for n, t in INPUTS.items()},
    **{f"source.{n}": t for n, t in DETAILS.items()},
}
FAMILIES = {name.partition(".")[0] for name in [*TABLES, *LIBRARY]}


def known(name: str) -> bool:
    """Whether a dotted name is a table, a view, or a column of a table."""
    table, _, column = name.rpartition(".")
    return (
        name in TABLES or name in LIBRARY or table in LIBRARY or (table in TABLES and column in TABLES[table].columns)
    )


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_tables_and_columns_exist(path: Path) -> None:
    """Names in backticks such as `need.job.occurrences` or `servers.power`."""
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", prose(path))
    files = (".md", ".csv", ".toml", ".sql", ".parquet", ".json", ".txt", ".py", ".yml", ".yaml", ".sh")
    suspects = [n for n in named if n.partition(".")[0] in FAMILIES and not n.endswith(files)]
    assert [name for name in suspects if not known(name)] == []


# ---------------------------------------------------------------- this test itself


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 1.0\nb", "a    1\nb\n", True),
        ("a 1", "a 2", False),
        ("a", "a\nb", False),
        ("a\n...\nd", "a\nb\nc\nd\n", True),
        ("a\n...", "a\nb\nc", True),
        ("a\n...\nd", "a\nb\nc", False),
        ("15.1 s: out", "0.2 s: out", True),
        ("---  -----", "-----  ---", True),
    ],
)
def test_what_is_shown_is_compared_loosely(shown: str, printed: str, same: bool) -> None:
    assert (first_difference(shown, printed) is None) == same
