"""The command line: arguments, printing, exit codes. The only place that prints; heavy modules load inside commands.

Each command is a function under `commands`, its flags are the aliases above it, `main` turns errors into exit codes.
"""

import gc
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.allocator import keep_memory
from pipeline.collector import collect_again, uncollected
from pipeline.crew import Crew, likely_workers

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from pipeline.errors import InputError
    from pipeline.importers.base import ImportReport
    from pipeline.run import Report
    from pipeline.settings import Settings

LONGEST_LINE = 2000
"""Characters of one printed line of an error."""
MOST_LINES = 200
"""Broken rules printed at most; --violations writes all of them."""
ENVIRONMENT = "WATTROW_"
DEBUG = False

log = logging.getLogger("wattrow")


def examples(*lines: str) -> str:
    """The end of a command's help: what one would type."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


# ---------------------------------------------------------------- arguments and flags


def _set_debug(value: bool) -> bool:
    global DEBUG  # noqa: PLW0603
    DEBUG = DEBUG or value
    return value


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"wattrow {version('wattrow')}")
        raise typer.Exit


def _fetched_model(model: Path) -> Path:
    """MODEL, fetched first where it is an s3 address."""
    if not str(model).startswith("s3:/"):
        return model
    from pipeline.objects import local_model

    return local_model(model)


def _fetched_run(out: Path | None) -> Path | None:
    """OUT, its current run fetched first where it is an s3 address."""
    if not str(out).startswith("s3:/"):
        return out
    from pipeline.objects import local_run

    return local_run(Path(str(out)))


def _here(model: Path) -> Path:
    """A folder on this machine."""
    if str(model).startswith("s3:/"):
        from pipeline.errors import InputError

        raise InputError("--model: an import writes into a folder on this machine; copy it to the store afterwards")
    return model


ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Folder of input tables, NAME.csv or NAME.parquet; or s3://bucket/prefix.",
        show_default=False,
        callback=_fetched_model,
    ),
]
OutArgument = Annotated[
    Path,
    typer.Argument(
        metavar="OUT",
        help="Folder that `wattrow run` wrote, or s3://bucket/prefix.",
        show_default=False,
        callback=_fetched_run,
    ),
]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="The log or export: a file or a folder of files.", show_default=False)
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out", metavar="OUT", help="Folder to publish the run in, or s3://bucket/prefix.", show_default=False
    ),
]
ModelOption = Annotated[
    Path,
    typer.Option(
        "--model", metavar="DIR", help="Model folder to write tables into.", show_default=False, callback=_here
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors (for cron).")]
LogFormat = Annotated[
    str | None,
    typer.Option("--log-format", metavar="text|json", help="Log lines instead of a progress bar, in this form."),
]
Violations = Annotated[
    Path | None,
    typer.Option("--violations", metavar="FILE", help="Write every broken rule here, as .csv or .parquet."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.", callback=_set_debug)]

# One flag per setting: the names and the helps are those of `pipeline.settings.Settings`, which a test holds.
AttributionKey = Annotated[
    str | None,
    typer.Option("--attribution-key", metavar="weight|binding", help="What a job's part of a server is measured by."),
]
AttributionGrain = Annotated[
    str | None,
    typer.Option(
        "--attribution-grain",
        metavar="hour|day|month",
        help="Period that repartition.footprint and repartition.job sum over.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="all|base", help="base leaves out columns that views can compute from others."),
]
Tables = Annotated[
    str | None,
    typer.Option("--tables", metavar="LIST", help="Tables to make: all, core, or names separated by commas."),
]
KeepRuns = Annotated[int | None, typer.Option("--keep-runs", metavar="N", help="Complete runs kept under OUT/runs.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Worker processes; the number of cores by default."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory all processes together may take; decides the size of partitions.",
    ),
]

Servers = Annotated[
    Path | None,
    typer.Option(
        "--servers",
        metavar="TABLE",
        help="CSV or Parquet that maps partitions, lanes or products (patterns) to server_id.",
    ),
]
Horizon = Annotated[
    str | None,
    typer.Option(
        "--horizon", metavar="INSTANT", help="When the log was taken, as 2026-03-02T14:00:00Z: open runs end there."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Write nothing and exit 2 if any record is refused.")]

# ---------------------------------------------------------------- the application

app = typer.Typer(
    name="wattrow",
    help="Tables of jobs, servers and usage in; hourly tables of need, instances, energy, carbon and their repartition out.",
    epilog=examples(
        "wattrow check data/example          what is wrong with these tables, if anything",
        "wattrow run data/example --out out  compute everything and publish it under out/current",
        "wattrow query out 'SELECT * FROM energy.server LIMIT 5'",
        "wattrow report out                  one page about the run: out/report.html",
        "wattrow import slurm sacct.txt --model model --timezone Europe/Paris",
    )
    + "\n\n\b\nSettings come from wattrow.toml in the model folder, then WATTROW_<SETTING> in the environment,"
    "\nthen flags; the later wins. Exit codes: 0 done, 2 the input is wrong, 1 anything else.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
importing = typer.Typer(
    help="Write input tables from foreign records: e-footprint systems, UCloud, CryoSPARC, Slurm and SWF logs.",
    epilog=examples(
        "wattrow import efootprint system.json --model model",
        "wattrow import slurm sacct.txt --model model --timezone Europe/Copenhagen",
    ),
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(importing, name="import")


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Debug = False,
) -> None:
    """Options that stand before the command."""
    collect_again()


# ---------------------------------------------------------------- commands: run, publish, check


@app.command(
    short_help="Check MODEL, compute every output table, publish them under OUT/current.",
    epilog=examples(
        "wattrow run data/example --out out",
        "wattrow run model --out out --attribution-grain day --columns base   smaller and faster",
        "wattrow run model --out out --tables need.server,energy.server       only these tables",
        "wattrow run model --out out --quiet || echo 'see the lines above'    from cron",
        "wattrow run model --out out --cluster tcp://scheduler:8786           on a Dask cluster",
        "wattrow run model --out out --partition 3/10                         one job of an array; then wattrow publish",
    ),
)
def run(
    model: ModelArgument,
    out: OutOption,
    attribution_key: AttributionKey = None,
    attribution_grain: AttributionGrain = None,
    columns: Columns = None,
    tables: Tables = None,
    keep_runs: KeepRuns = None,
    workers: Workers = None,
    memory: Memory = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Compute on this Dask scheduler, or on a new one: local."),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option("--partition", metavar="I/N", help="Compute only the I-th of N parts and publish nothing."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on with what earlier runs left of the same inputs, or compute all."),
    ] = True,
    violations: Violations = None,
    quiet: Quiet = False,
    log_format: LogFormat = None,
    debug: Debug = False,
) -> None:
    """Check the tables in MODEL, compute every output table, and publish them under OUT/current in one step.

    A run that fails or is killed changes nothing that a reader of OUT/current sees; the next run goes on where it stopped.
    """
    flags = given(attribution_key, attribution_grain, columns, tables, keep_runs, workers, memory)
    how = {"cluster": cluster, "share": share(partition), "fresh": not resume}
    compute(model, out, flags, how, violations, quiet, log_format)


@app.command(
    short_help="Publish a run whose partitions were computed one by one.",
    epilog=examples(
        "for i in 1 2 3; do wattrow run model --out out --partition $i/3; done; wattrow publish model --out out"
    ),
)
def publish(
    model: ModelArgument,
    out: OutOption,
    attribution_key: AttributionKey = None,
    attribution_grain: AttributionGrain = None,
    columns: Columns = None,
    tables: Tables = None,
    keep_runs: KeepRuns = None,
    workers: Workers = None,
    memory: Memory = None,
    quiet: Quiet = False,
    log_format: LogFormat = None,
    debug: Debug = False,
) -> None:
    """Publish under OUT/current what `wattrow run --partition I/N` computed, with the settings it had; a missing partition is an error."""
    flags = given(attribution_key, attribution_grain, columns, tables, keep_runs, workers, memory)
    compute(model, out, flags, {"only_publish": True}, None, quiet, log_format)


@app.command(
    short_help="Only check: every broken rule of the tables in MODEL.",
    epilog=examples(
        "wattrow check data/example",
        "wattrow check model --violations broken.csv    all broken rules, not only the first few of each kind",
    ),
)
def check(
    model: ModelArgument,
    violations: Violations = None,
    quiet: Quiet = False,
    log_format: LogFormat = None,
    debug: Debug = False,
) -> None:
    """Check the tables in MODEL without running: every broken rule with table, row, column, value and what is expected."""
    with reporting(log_format, quiet), all_violations(violations):
        settings = settings_of(model, {})
        from pipeline.run import check as find

        found = find(model, settings)
    if quiet:
        return
    print_warnings(found.warnings)
    rows = {name: count for name, count in found.rows.items() if count}
    typer.echo(f"ok: {model}: {plural(len(rows), 'table')}, {plural(sum(rows.values()), 'row')}")
    for name, count in rows.items():
        typer.echo(f"  {name:<28} {count:>12,}")


# ---------------------------------------------------------------- commands: import


@importing.command(
    epilog=examples(
        "wattrow import efootprint system.json --model model",
        "wattrow import efootprint system.json --model model --civil-time   let the pipeline do time zones right",
    )
)
def efootprint(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A v21 or v27 system file.", show_default=False)],
    model: ModelOption,
    civil_time: Annotated[
        bool,
        typer.Option(
            "--civil-time", help="Write local series with clock = local, not UTC series by e-footprint's own rule."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace tables in the model folder that were edited by hand.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import an e-footprint system file: servers, jobs, journeys, patterns, devices, with their sources."""
    from pipeline.importers.efootprint import import_efootprint

    print_import(import_efootprint(source, model, civil_time=civil_time, overwrite=overwrite), model, quiet)


@importing.command(
    epilog=examples(
        "wattrow import ucloud jobs.json --model model --horizon 2026-03-02T14:00:00Z",
        "wattrow import ucloud exports/ --model model --servers products.csv --strict",
    )
)
def ucloud(
    source: SourceArgument,
    model: ModelOption,
    servers: Servers = None,
    horizon: Horizon = None,
    strict: Strict = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import UCloud jobs: documents, lists, JSON lines or pages of /api/jobs/browse with includeUpdates, includeProduct, includeParameters."""
    from pipeline.importers.ucloud import import_ucloud

    print_import(import_ucloud(source, model, servers=servers, horizon=instant(horizon), strict=strict), model, quiet)


@importing.command(
    epilog=examples(
        "wattrow import cryosparc jobs.json --model model",
        "wattrow import cryosparc jobs.json --model model --instance lab2   where several installations meet",
    )
)
def cryosparc(
    source: SourceArgument,
    model: ModelOption,
    instance: Annotated[
        str | None, typer.Option("--instance", metavar="NAME", help="Name of the installation, part of each run_id.")
    ] = None,
    servers: Servers = None,
    horizon: Horizon = None,
    strict: Strict = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import CryoSPARC jobs, v4 or v5 documents. List them with deleted=None, or deleted jobs are missed."""
    from pipeline.importers.cryosparc import import_cryosparc

    report = import_cryosparc(
        source, model, instance=instance, servers=servers, horizon=instant(horizon), strict=strict
    )
    print_import(report, model, quiet)


@importing.command(
    epilog=examples(
        "wattrow import slurm sacct.txt --model model --timezone Europe/Copenhagen",
        "wattrow import slurm sacct.json --model model --servers partitions.csv",
        "wattrow import slurm log.gz --model model --columns JobID,Partition,Account,User,Submit,Start,End,State,NCPUS",
    )
)
def slurm(
    source: SourceArgument,
    model: ModelOption,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="LIST", help="Fields of a log without header, in order.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="IANA zone of times that name none.")
    ] = None,
    application: Annotated[
        str, typer.Option("--application", metavar="FIELD", help="sacct field that plays the application.")
    ] = "Partition",
    servers: Servers = None,
    horizon: Horizon = None,
    strict: Strict = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import Slurm accounting: `sacct --parsable2` or `sacct --json`, gzipped or not, `-D` repeats included."""
    from pipeline.importers.slurm import import_slurm

    report = import_slurm(
        source,
        model,
        columns=columns,
        timezone=timezone,
        servers=servers,
        horizon=instant(horizon),
        strict=strict,
        application=application,
    )
    print_import(report, model, quiet)


@importing.command(epilog=examples("wattrow import swf NASA-iPSC-1993-3.1-cln.swf --model model"))
def swf(
    source: SourceArgument,
    model: ModelOption,
    servers: Servers = None,
    horizon: Horizon = None,
    strict: Strict = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Import a trace in the Standard Workload Format, header included."""
    from pipeline.importers.swf import import_swf

    print_import(import_swf(source, model, servers=servers, horizon=instant(horizon), strict=strict), model, quiet)


# ---------------------------------------------------------------- commands: reading a run


@app.command(
    short_help="Ask the tables and views of a run in SQL (DuckDB).",
    epilog=examples(
        "wattrow query out 'SELECT * FROM energy.server LIMIT 5'",
        "wattrow query out 'SHOW ALL TABLES'",
        "wattrow query out question.sql --format csv --output answer.csv",
        "wattrow query out                     a prompt; or statements from standard input",
    ),
)
def query(
    out: OutArgument,
    sql: Annotated[
        str | None,
        typer.Argument(metavar="SQL|FILE.sql", help="Statements or a file of them; without, standard input."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|csv|json|parquet",
            help="table on a terminal, csv elsewhere, or as --output ends.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result here.")
    ] = None,
    allow_files: Annotated[
        bool, typer.Option("--allow-files", help="Let the query read and write files beside the run.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Ask the tables and views of a run in SQL: the last statement's result.

    Names are FAMILY.TABLE (need.job, instances.server, energy.server ...). A query sees nothing but the run and changes nothing.
    """
    from pipeline import catalog

    if sql is None and sys.stdin.isatty():
        prompt(out, format or "table", allow_files)
        return
    chosen = format or format_of(output)
    rendered = catalog.render(
        catalog.query(out, sys.stdin.read() if sql is None else sql, allow_files=allow_files), chosen
    )
    write_result(rendered, output)


def format_of(output: Path | None) -> str:
    """The format that goes without saying."""
    from pipeline.rendering import FORMATS

    ending = output.suffix.removeprefix(".") if output else ""
    return ending if ending in FORMATS else "table" if output is None and sys.stdout.isatty() else "csv"


def write_result(rendered: str | bytes, output: Path | None) -> None:
    """Text or bytes to a file or to standard output."""
    content = rendered.encode("utf-8") if isinstance(rendered, str) else rendered
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(content)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def prompt(out: Path, format: str, allow_files: bool) -> None:
    """Statements typed one after the other, each up to its semicolon; mistakes are told and the prompt goes on."""
    import readline  # noqa: F401 (gives input() a history)

    from pipeline import catalog
    from pipeline.errors import InputError

    print_line("SQL over the run, each statement up to a semicolon; SHOW ALL TABLES; lists the tables, Ctrl-D ends.")
    with catalog.opened(out, allow_files=allow_files) as connection:
        typed = ""
        while True:
            try:
                typed += input("   ...> " if typed else "wattrow> ") + "\n"
            except EOFError:
                typer.echo()
                return
            except KeyboardInterrupt:
                typer.echo()
                typed = ""
            if typed.rstrip().endswith(";"):
                try:
                    result = catalog.run_sql(connection, typed, allow_files=allow_files)
                    write_result(catalog.render(result, format), None)
                except InputError as error:
                    print_refusal(error)
                typed = ""
            elif not typed.strip():
                typed = ""


# ---------------------------------------------------------------- commands: report and compare


@app.command(
    epilog=examples(
        "wattrow report out                          writes out/report.html",
        "wattrow report out --html page.html --png charts",
        "wattrow report out --against out-before     with a section on what changed",
    )
)
def report(
    out: OutArgument,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="The page; OUT/report.html by default.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="DIR", help="Write the charts here too, as PNG; needs no browser.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="OUT_B", help="Another OUT to compare with, in a section.", callback=_fetched_run
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write one self-contained HTML page about the run in OUT: it loads nothing, prints well, and can be sent by mail."""
    from pipeline.report import write

    typer.echo(write(out, html, png, against))


@app.command(
    epilog=examples(
        "wattrow compare out-before out-after",
        "wattrow compare out/runs/20260101T000000.000000Z-abcdef out   a run that is still kept, and the current one",
        "wattrow compare out-before out-after --format json | jq .footprint_kg",
    )
)
def compare(
    out_a: Annotated[
        Path, typer.Argument(metavar="OUT_A", help="The run before.", show_default=False, callback=_fetched_run)
    ],
    out_b: Annotated[
        Path, typer.Argument(metavar="OUT_B", help="The run after.", show_default=False, callback=_fetched_run)
    ],
    format: Annotated[str, typer.Option("--format", "-f", metavar="text|json", help="How to print it.")] = "text",
    debug: Debug = False,
) -> None:
    """Say what differs between two runs: totals, inputs, the largest differences, and how they add up. Differences are B - A."""
    from pipeline.errors import InputError

    if format not in ("text", "json"):
        raise InputError(f"--format: found {format!r}; expected text or json")
    from pipeline import compare as comparison

    found = comparison.compared(out_a, out_b)
    typer.echo(
        json.dumps(comparison.as_json(found), indent=2) if format == "json" else comparison.as_text(found),
        nl=format == "json",
    )


# ---------------------------------------------------------------- commands: explain and describe


@app.command(
    short_help="Say how one number came about, down to the input cells.",
    epilog=examples(
        "wattrow explain out energy.server.energy_footprint server_id=web hour=2026-01-05T09",
        "wattrow explain out repartition.footprint.footprint source_id=web stream=idle job_id=search ... --depth 3",
        "wattrow explain out need.job.avg_occurrences job_id=search hour=2026-01-05T09 --format html > page.html",
    ),
)
def explain(
    out: OutArgument,
    column: Annotated[str, typer.Argument(metavar="FAMILY.TABLE.COLUMN", help="Which figure.", show_default=False)],
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Which row: enough columns to name one; hours in UTC."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="tree|json|markdown|html", help="How to print it.")
    ] = "tree",
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", min=0, help="Steps to explain; by default down to the inputs.")
    ] = None,
    largest: Annotated[
        int, typer.Option("--largest", metavar="N", min=1, help="Addends of a sum to explain; the rest is told as one.")
    ] = 3,
    debug: Debug = False,
) -> None:
    """Say how one number came about: its formula in words and symbols, what went in with units, and where that is from."""
    from pipeline import explain as explaining

    explaining.check_format(format)
    told = explaining.explain(out, column, keys or [], largest=largest, depth=depth)
    write_result(explaining.render(told, format), None)


@app.command(
    short_help="Say what a table or column means and how it is made.",
    epilog=examples(
        "wattrow describe                                the tables",
        "wattrow describe energy.server                  its columns",
        "wattrow describe energy.server.energy_footprint its formula, and which views read it",
    ),
)
def describe(
    name: Annotated[
        str | None, typer.Argument(metavar="TABLE[.COLUMN]", help="Which; without, all tables.", show_default=False)
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="text|json|markdown", help="How to print it.")
    ] = "text",
    debug: Debug = False,
) -> None:
    """Say what a table or column means: unit, key, default, formula in words and symbols, stage, views that read it."""
    from pipeline.describe import describe as told

    write_result(told(name, format), None)


# ---------------------------------------------------------------- what commands share


def settings_of(model: Path, flags: dict[str, Any]) -> "Settings":
    """The settings for a model folder: wattrow.toml, then the environment, then `flags`."""
    from pipeline.settings import load

    return load(model, flags)


SETTINGS = ("attribution_key", "attribution_grain", "columns", "tables", "keep_runs", "workers", "memory")
"""In the order of `given`."""


def given(*values: str | int | None) -> dict[str, Any]:
    """The flags of the settings by name; None where one was not given."""
    return dict(zip(SETTINGS, values, strict=True))


def compute(
    model: Path,
    out: Path,
    flags: dict[str, Any],
    how: dict[str, Any],
    violations: Path | None,
    quiet: bool,
    log_format: str | None,
) -> None:
    """Run or publish, and say what was made."""
    began = time.monotonic()
    with Crew() as crew, reporting(log_format, quiet) as progress, all_violations(violations):
        if early := early_workers(model, out, flags, how):
            crew.hire(early, warm=not is_said("memory", flags))
            os.environ.setdefault("POLARS_MAX_THREADS", "1")  # as a worker has: partitions are computed here, too
        with uncollected():
            settings = settings_of(model, flags)
            from pipeline.objects import run as run_pipeline
            from pipeline.run import How
        report = run_pipeline(model, out, settings, progress, How(**how, crew=crew))
    if not quiet:
        print_run(report, out, time.monotonic() - began)


def early_workers(model: Path, out: Path, flags: dict[str, Any], how: dict[str, Any]) -> int:
    """Workers to start before anything is read; none where the settings, which are not read yet, may say another number."""
    elsewhere = how.get("cluster") or how.get("share") or how.get("only_publish")
    if elsewhere or f"{ENVIRONMENT}WORKERS" in os.environ or (model / "wattrow.toml").exists():
        return 0
    return likely_workers(model, out, flags["workers"] or os.cpu_count() or 1)


def is_said(setting: str, flags: dict[str, Any]) -> bool:
    """Whether a flag or the environment says what a setting is."""
    return flags[setting] is not None or f"{ENVIRONMENT}{setting}".upper() in os.environ


def share(text: str | None) -> tuple[int, int] | None:
    """`3/10` as numbers."""
    if text is None:
        return None
    from pipeline.errors import InputError

    part, sign, parts = text.partition("/")
    if not (sign and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise InputError(f"--partition: found {text!r}; expected I/N such as 3/10, with I from 1 to N")
    return int(part), int(parts)


def instant(text: str | None) -> "datetime | None":
    """An ISO 8601 instant with its zone."""
    if text is None:
        return None
    from datetime import datetime

    from pipeline.errors import InputError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InputError(f"--horizon: found {text!r}; expected an instant with its zone, such as 2026-03-02T14:00:00Z")
    return found


@contextmanager
def all_violations(file: Path | None) -> Iterator[None]:
    """Write every broken rule to `file` (none: an empty table), where one is asked for."""
    if file is None:
        yield
        return
    from pipeline.errors import VIOLATION_SCHEMA, InputError

    if file.suffix not in (".csv", ".parquet"):
        raise InputError(f"--violations: found {file.name!r}; expected the name of a .csv or .parquet file")
    try:
        yield
    except InputError as error:
        if len(error.violations):
            write_violations(error.violations, file)
        raise
    import polars as pl

    write_violations(pl.DataFrame(schema=VIOLATION_SCHEMA), file)


def write_violations(violations: "pl.DataFrame", file: Path) -> None:
    """The table of broken rules as CSV or Parquet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    violations.write_csv(file) if file.suffix == ".csv" else violations.write_parquet(file)


# ---------------------------------------------------------------- printing: logs and progress


class KeyValueLines(logging.Formatter):
    """Log lines as `time=... level=... key=value ...`, or as JSON objects of the same."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        from pipeline.violations import printable

        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        message = printable(record.getMessage(), LONGEST_LINE)
        if not self.as_json:
            return f"time={moment} level={record.levelname.lower()} {message}"
        words = [word.partition("=") for word in message.split(" ")]
        pairs = {key: value for key, _, value in words} if all(sign for _, sign, _ in words) else {"message": message}
        return json.dumps({"time": moment, "level": record.levelname.lower(), **pairs})


@contextmanager
def reporting(log_format: str | None, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Progress while a command works: a bar on a terminal, log lines elsewhere or where a format is asked for."""
    if log_format not in (None, "text", "json"):
        from pipeline.errors import InputError

        raise InputError(f"--log-format: found {log_format!r}; expected text or json")
    bar = sys.stderr.isatty() and log_format is None and not quiet
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValueLines(as_json=log_format == "json"))
    log.setLevel(logging.WARNING if quiet or bar else logging.INFO)
    log.addHandler(handler)
    try:
        if bar:
            with progress_bar() as progress:
                yield progress
        else:
            yield None
    finally:
        log.removeHandler(handler)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {"": bar.add_task("reading and checking", total=None)}

        def progress(what: str, done: int, of: int) -> None:
            if "" in tasks:
                bar.remove_task(tasks.pop(""))
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        yield progress


# ---------------------------------------------------------------- printing: results


def plural(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_warnings(warnings: list[str]) -> None:
    """Each warning on a line of standard error."""
    for warning in warnings:
        print_line(f"warning: {warning}")


def print_run(report: "Report", out: Path, seconds: float) -> None:
    """What a run made, and where to look next."""
    place = named(out)
    if report.published is None:
        typer.echo(
            f"computed in {seconds:.1f} s, not published; when all partitions are: wattrow publish MODEL --out {place}"
        )
        return
    from pipeline.storage import CURRENT, RUNS

    current = f"{place}/{CURRENT}" if place == str(out) else f"{place}/{RUNS}/{report.run_id}"
    print_warnings(report.warnings)
    made = {name: count for name, count in report.rows.items() if count}
    what = f"{plural(sum(made.values()), 'row')} in {plural(len(made), 'table')}"
    if report.unchanged:
        typer.echo(f"unchanged: {current} is of the same inputs, settings and version; nothing to do ({what})")
    else:
        typer.echo(f"{what}, {seconds:.1f} s: {current}")
    totals = phase_totals(report.published, set(report.rows)) if report.published.is_dir() else {}
    for phase, kilograms in totals.items():
        typer.echo(f"  {phase:<14} {kilograms:>16,.3f} kg CO2e")
    typer.echo(f"next: wattrow query {place} 'FROM energy.server LIMIT 5'   (files: {current}/FAMILY/TABLE/*.parquet)")


def named(out: Path) -> str:
    """OUT as it was given: a Path loses a slash of an s3 address."""
    text = str(out)
    return f"s3://{text[4:]}" if text.startswith("s3:/") else text


def phase_totals(run_folder: Path, made: set[str]) -> dict[str, float]:
    """Kilograms of the whole run by phase, over the energy tables that were made."""
    import polars as pl

    columns = {"manufacturing": "instances_fabrication_footprint", "usage": "energy_footprint"}
    totals: dict[str, float] = {}
    for table in sorted(name for name in made if name.startswith("energy.")):
        files = sorted((run_folder / table.replace(".", "/")).glob("*.parquet"))
        rows = pl.scan_parquet(files, glob=False)
        held = rows.collect_schema().names()
        sums = rows.select(pl.col(c).sum().alias(phase) for phase, c in columns.items() if c in held).collect()
        for phase, kilograms in sums.row(0, named=True).items():
            totals[phase] = totals.get(phase, 0.0) + kilograms
    return totals


def print_import(report: "ImportReport", model: Path, quiet: bool) -> None:
    """What an import read, kept and left out, and what to do next."""
    if quiet:
        return
    print_warnings(report.warnings)
    refused, excluded = report.rejects.total(), report.excluded.total()
    if "job_runs" in report.tables:
        runs = report.tables["job_runs"]
        typer.echo(
            f"{plural(report.rows_in, 'record')} in = {plural(runs, 'run')} + {refused:,} rejected + {excluded:,} excluded"
        )
    else:
        typer.echo(f"{plural(report.rows_in, 'object')} in, {excluded:,} left out")
    for what, counts in (("rejected", report.rejects), ("excluded", report.excluded), ("flagged", report.flags)):
        for code, count in sorted(counts.items()):
            typer.echo(f"  {what:<9} {code:<32} {count:>10,}")
    for name, count in report.tables.items():
        typer.echo(f"  wrote     {name:<32} {count:>10,}")
    if refused:
        typer.echo(f"  why each record was rejected: {model}/rejects.csv")
    typer.echo(f"next: wattrow check {model}")


def print_line(text: str) -> None:
    """One line on standard error, with nothing in it that could move the cursor."""
    from pipeline.violations import printable

    typer.echo(printable(text, LONGEST_LINE), err=True)


def print_refusal(error: "InputError") -> None:
    """The lines of an InputError: what was refused, then every broken rule, the first few of each kind."""
    from pipeline.violations import lines

    for line in str(error).split("\n"):
        print_line(f"error: {line}")
    broken = lines(error.violations)
    for line in broken[:MOST_LINES]:
        print_line(f"  {line}")
    if len(error.violations) > len(broken[:MOST_LINES]):
        print_line("  all of them: wattrow check MODEL --violations FILE.csv")


# ---------------------------------------------------------------- the entry point


def exit_code(error: BaseException) -> int:
    """Print an error in its one line (an InputError: one per broken rule) and say with which code to exit."""
    from pipeline.errors import EXIT_FAILURE, EXIT_INPUT, InputError, PipelineError, refused

    if isinstance(error, InputError):
        print_refusal(error)
        return EXIT_INPUT
    if DEBUG:
        traceback.print_exception(error)
    if isinstance(error, PipelineError):
        for line in str(error).split("\n"):
            print_line(f"failed: {line}")
    elif (why := refused(error)) is not None:
        print_line(f"failed: {why}")
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        print_line(f"failed: {place}{error.strerror}")
    else:
        first = (str(error).splitlines() or [""])[0]
        hint = "" if DEBUG else "; this is a bug of wattrow, --debug shows where"
        print_line(f"failed: unexpected {type(error).__name__}: {first}{hint}")
    return EXIT_FAILURE


def main() -> None:
    """The console script: run a command; 0 done, 2 the input is wrong, 1 anything else."""
    gc.disable()  # as in `uncollected`, until the arguments are read
    keep_memory()
    try:
        app(prog_name="wattrow")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 (whatever it is, a user sees one line)
        sys.exit(exit_code(error))
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":
            raise
        sys.exit(exit_code(error))  # a panic of Polars, which is no Exception


if __name__ == "__main__":
    main()
