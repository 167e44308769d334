"""`wattrow explain`: how one number came about, from the stages' own declarations, down to input cells.

`source` reads the run's files, `registry` the stages, `values` computes what is never written, `tree` makes the nodes, `asking` finds the row
that the user means, `rendering` writes text, JSON, Markdown and HTML. Nothing here knows a formula.
"""

from pathlib import Path

from pipeline.explain.asking import asked
from pipeline.explain.rendering import FORMATS, as_dict, check_format, render
from pipeline.explain.source import Source
from pipeline.explain.tree import Node, Tree
from pipeline.storage import current

__all__ = ["FORMATS", "Node", "as_dict", "check_format", "explain", "render", "run_of"]


def run_of(out: Path) -> Path:
    """The run that OUT shows now: OUT itself where it is a run. InputError where there is none."""
    from pipeline.errors import InputError

    if (out / "run.json").exists():
        return out.resolve()
    found = current(out)
    if found is None:
        raise InputError(f"{out}: no run here; make one with: wattrow run MODEL --out {out}")
    return found


def explain(out: Path, address: str, keys: list[str], *, largest: int = 3, depth: int | None = None) -> Node:
    """How a number of the current run of OUT came about; `address` is FAMILY.TABLE.COLUMN, `keys` are `key=value`.

    Of every sum the `largest` addends are explained; with `depth`, values so many steps down are not explained further.
    """
    found = asked(Source(run_of(out)), address, keys)
    return root(Tree(found.rows.book, largest, depth), found.rows, found.column)


def root(tree: Tree, rows: object, column: str) -> Node:
    """The node of a published cell; where it is looked up as it is, with what it is looked up from below it."""
    from pipeline.explain.values import Rows

    assert isinstance(rows, Rows)
    node = tree.explain(rows, column)
    if node.table == rows.entry.table and node.column == column:
        return node
    key = {k: rows.frame[k][0] for k in rows.entry.key}
    words, unit = rows.entry.words(column), rows.entry.unit(column)
    made = Node(column, rows.entry.table, column, key, rows.frame[column][0], unit, "formula", words)
    made.formula, made.symbols, made.inputs = f"{node.table}.{node.column}", {"name": column}, {column: node}
    return made
