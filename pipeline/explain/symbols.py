"""Formulas as data and as symbols: what a stage's expression says, readable by people and computable without Polars.

A formula is a JSON value: `{"op": "×", "args": [...]}`, `{"name": "power"}`, `{"number": 1000.0, "unit": "g/kg"}`, `{"text": "gpu"}`,
`{"op": "if", "args": [condition, then, otherwise]}`.
"""

import ast
import dis
import functools
import inspect
import itertools
import json
import math
import re
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any

import polars as pl

from pipeline import constants
from pipeline.errors import PipelineError
from pipeline.stages import expressions

Symbols = dict[str, Any]
Value = float | int | str | bool | None

INFIX = {"+": 2, "−": 2, "×": 3, "/": 3, "=": 1, "≠": 1, "<": 1, "≤": 1, ">": 1, "≥": 1, "and": 0, "or": 0}
"""Signs between two sides, and how tightly each binds."""
_BINARY = {
    "Plus": "+", "Minus": "−", "Multiply": "×", "TrueDivide": "/", "Eq": "=", "NotEq": "≠", "Lt": "<", "LtEq": "≤",
    "Gt": ">", "GtEq": "≥", "And": "and", "Or": "or", "LogicalAnd": "and", "LogicalOr": "or",
}  # fmt: skip
_PLAIN = {
    "MaxHorizontal": "max", "MinHorizontal": "min", "Coalesce": "first given of", "FillNull": "first given of",
    "Ceil": "ceil", "Floor": "floor", "Abs": "abs",
}  # fmt: skip


@functools.lru_cache(maxsize=1000)
def of_formula(formula: Callable[..., pl.Expr], **settings: str) -> Symbols:
    """The symbols of a stage's formula, with the units of the constants that it names."""
    asked = inspect.signature(formula).parameters
    expression = formula(**{name: value for name, value in settings.items() if name in asked})
    return _with_units(of_expression(expression), _constants_of(formula))


def of_expression(expression: pl.Expr) -> Symbols:
    """The symbols of an expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = expression.meta.serialize(format="json")
    return _folded(_read(json.loads(told)))


def _read(node: Any) -> Symbols:
    kind: str
    body: Any
    kind, body = next(iter(node.items())) if isinstance(node, dict) else (str(node), None)
    reader: Callable[[], Symbols] | None = {
        "Column": lambda: {"name": body},
        "Literal": lambda: _literal(body),
        "BinaryExpr": lambda: {"op": _BINARY[body["op"]], "args": [_read(body["left"]), _read(body["right"])]},
        "Ternary": lambda: {"op": "if", "args": [_read(body[p]) for p in ("predicate", "truthy", "falsy")]},
        "Cast": lambda: _cast(body),
        "Alias": lambda: _read(body[0]),
        "Function": lambda: _function(body["function"], [_read(i) for i in body["input"]]),
    }.get(kind)
    if reader is None:
        raise PipelineError(f"a formula uses {kind}, for which pipeline/explain/symbols.py has no symbol yet")
    return reader()


def _literal(body: Any) -> Symbols:
    _, inner = next(iter(body.items()))
    kind, value = next(iter(inner.items()))
    if kind == "Null":
        return {"none": True}
    if kind == "String":
        return {"text": value}
    return {"flag": value} if kind == "Boolean" else {"number": float(value)}


def _cast(body: Any) -> Symbols:
    inner = _read(body["expr"])
    to = body["dtype"].get("Literal")
    return {"op": "number", "args": [inner]} if to in ("Float64", "Int64") and _is_condition(inner) else inner


def _is_condition(symbols: Symbols) -> bool:
    return symbols.get("op") in ("=", "≠", "<", "≤", ">", "≥", "and", "or", "not", "is given", "is not given")


def _function(function: Any, args: list[Symbols]) -> Symbols:
    if isinstance(function, str):
        if function in _PLAIN:
            return {"op": _PLAIN[function], "args": args}
    elif "Boolean" in function and function["Boolean"] in ("IsNull", "IsNotNull", "Not"):
        words = {"IsNull": "is not given", "IsNotNull": "is given", "Not": "not"}
        return {"op": words[function["Boolean"]], "args": args}
    elif "Clip" in function:
        low = function["Clip"]["has_min"]
        return {"op": "max" if low else "min", "args": args}
    elif "StructExpr" in function and args[0].get("op") == "groups":
        pattern, which = args[0]["pattern"], int(function["StructExpr"]["FieldByName"])
        return {"op": "part", "args": args[0]["args"], "pattern": pattern, "which": which}
    elif "StringExpr" in function and "ExtractGroups" in function["StringExpr"]:
        return {"op": "groups", "args": args, "pattern": function["StringExpr"]["ExtractGroups"]["pat"]}
    raise PipelineError(f"a formula uses {function}, for which pipeline/explain/symbols.py has no symbol yet")


def _guarded(inner: Symbols) -> Symbols:
    """What `expressions.guarded` makes of a value, spelt out."""

    def put(symbols: Symbols) -> Symbols:
        if symbols.get("name") == "·":
            return inner
        return {**symbols, "args": [put(a) for a in symbols["args"]]} if "args" in symbols else symbols

    return put(_guard())


@functools.cache
def _guard() -> Symbols:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read(json.loads(expressions.guarded(pl.col("·")).meta.serialize(format="json")))


def _folded(symbols: Symbols) -> Symbols:
    """The guard against rounding noise as one word: seven signs say less."""
    if symbols.get("op") == "if" and symbols == _guarded(symbols["args"][2]):
        return {"op": "guarded", "args": [_folded(symbols["args"][2])]}
    return {**symbols, "args": [_folded(a) for a in symbols["args"]]} if "args" in symbols else symbols


@functools.cache
def _units_of_constants() -> dict[str, str]:
    """Constant -> unit, from the docstrings of pipeline/constants.py."""
    body = ast.parse(inspect.getsource(constants)).body
    return {
        named.targets[0].id: match[1]
        for named, told in itertools.pairwise(body)
        if isinstance(named, ast.Assign) and isinstance(named.targets[0], ast.Name)
        if isinstance(told, ast.Expr) and isinstance(told.value, ast.Constant)
        if (match := re.match(r"\[(.+?)\]", str(told.value.value)))
    }


def _constants_of(formula: Callable[..., pl.Expr]) -> dict[float, str]:
    """Value -> unit of the constants that a formula, or a formula it calls, names."""
    if not isinstance(formula, FunctionType):
        return {}
    units = _units_of_constants()
    found: dict[float, str] = {}
    named = {i.argval for i in dis.get_instructions(formula) if i.opname == "LOAD_GLOBAL"}
    for name in sorted(named):
        value = formula.__globals__.get(name)
        if name in units and isinstance(value, float):
            found[value] = units[name]
        elif isinstance(value, FunctionType) and value.__module__ == formula.__module__ and value is not formula:
            found |= _constants_of(value)
    return found


def _with_units(symbols: Symbols, units: dict[float, str]) -> Symbols:
    if symbols.get("number") in units:
        return {**symbols, "unit": units[symbols["number"]]}
    return {**symbols, "args": [_with_units(a, units) for a in symbols["args"]]} if "args" in symbols else symbols


def names(symbols: Symbols) -> list[str]:
    """The names in a formula, each once, in the order of reading."""
    own = [symbols["name"]] if "name" in symbols else []
    return list(dict.fromkeys([*own, *(n for a in symbols.get("args", ()) for n in names(a))]))


# ---------------------------------------------------------------- for people


def number_text(value: float) -> str:
    """A number as people write it, six figures at most."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", " ") if abs(value) >= 10_000 else str(int(value))
    return f"{value:.6g}"


def text(symbols: Symbols, say: Callable[[str], str] = str, tightness: int = -1) -> str:
    """A formula in symbols; `say` turns a name into what is printed for it."""
    if "name" in symbols:
        return say(symbols["name"])
    if "number" in symbols:
        unit = symbols.get("unit")
        return f"({number_text(symbols['number'])} {unit})" if unit else number_text(symbols["number"])
    if "text" in symbols:
        return f'"{symbols["text"]}"'
    if "op" not in symbols:
        return "nothing" if "none" in symbols else str(symbols["flag"]).lower()
    written = _op_text(symbols, say)
    own = INFIX.get(symbols["op"], -1 if symbols["op"] == "if" else 9)
    return f"({written})" if own < tightness else written


def _op_text(symbols: Symbols, say: Callable[[str], str]) -> str:
    op, args = symbols["op"], symbols["args"]
    if op in INFIX:
        binds = INFIX[op]
        right = binds + 1 if op in ("−", "/") or binds == 1 else binds
        return f"{text(args[0], say, binds)} {op} {text(args[1], say, right)}"
    if op == "if":
        return _if_text(args, say)
    if op in ("is given", "is not given"):
        return f"{text(args[0], say, 9)} {op}"
    if op == "part":
        return f"number {symbols['which']} of `(W x H)` in {text(args[0], say, 9)}"
    return f"{op}({', '.join(text(a, say) for a in args)})"


def _if_text(args: list[Symbols], say: Callable[[str], str]) -> str:
    condition, then, otherwise = args
    first = f"{text(then, say, 0)} if {text(condition, say)}"
    return first if "none" in otherwise else f"{first}, else {text(otherwise, say, -1)}"


# ---------------------------------------------------------------- for machines


def value_of(symbols: Symbols, get: Callable[[str], Value]) -> Value:
    """What a formula comes to; `get` is asked only for the names that decide it. Nothing in, nothing out, as in Polars."""
    if "name" in symbols:
        return get(symbols["name"])
    if "op" not in symbols:
        found: Value = next((symbols[k] for k in ("number", "text", "flag") if k in symbols), None)
        return found
    if symbols["op"] == "if":
        condition, then, otherwise = symbols["args"]
        return value_of(then if value_of(condition, get) else otherwise, get)
    if symbols["op"] == "first given of":
        return next((v for a in symbols["args"] if (v := value_of(a, get)) is not None), None)
    return _applied(symbols, [value_of(a, get) for a in symbols["args"]])


def _applied(symbols: Symbols, args: list[Any]) -> Value:
    op = symbols["op"]
    if op in ("is given", "is not given"):
        return bool((args[0] is not None) == (op == "is given"))
    if op in ("max", "min"):
        given: list[float] = [a for a in args if a is not None]
        numbers = [a for a in given if not math.isnan(a)] or given
        return max(numbers, default=None) if op == "max" else min(numbers, default=None)
    if any(a is None for a in args):
        return None
    if op == "part":
        match = re.search(symbols["pattern"], args[0])
        return float(match[symbols["which"]]) if match else None
    made: Value = _OPERATIONS[op](*args)
    return made


def _divided(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def _guarded_value(value: float) -> float:
    whole = math.floor(value)
    return float(whole) if whole >= 1 and value - whole <= expressions.GUARD * whole else value


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "−": lambda a, b: a - b,
    "×": lambda a, b: a * b,
    "/": _divided,
    "=": lambda a, b: a == b,
    "≠": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "≤": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "≥": lambda a, b: a >= b,
    "and": lambda a, b: bool(a) and bool(b),
    "or": lambda a, b: bool(a) or bool(b),
    "not": lambda a: not a,
    "ceil": lambda a: float(math.ceil(a)),
    "floor": lambda a: float(math.floor(a)),
    "abs": abs,
    "number": float,
    "guarded": _guarded_value,
}
