"""The one unit registry: which units a column may be given in, and the factor to its canonical one.

Transferred, RAM and stored bytes, CPU cores and GPUs are dimensions of their own, so that one never passes for another.
Carbon is a mass: `kg` and `kgCO2e` mean the same. 1 year = 365.25 days.
"""

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import polars as pl

DEFINITIONS = """
quetta- = 1e30 = Q-
peta- = 1e15 = P-
exa- = 1e18 = E-
tera- = 1e12 = T-
giga- = 1e9 = G-
mega- = 1e6 = M-
kilo- = 1e3 = k-
milli- = 1e-3 = m-
micro- = 1e-6 = u-
kibi- = 1024 = Ki-
mebi- = 1048576 = Mi-
gibi- = 1073741824 = Gi-
tebi- = 1099511627776 = Ti-
pebi- = 1125899906842624 = Pi-
second = [time] = s = sec
minute = 60 * second = min
hour = 3600 * second = h = hr
day = 24 * hour = d
week = 7 * day
year = 365.25 * day = yr = a
month = 30.4375 * day
hertz = 1 / second = Hz
gram = [mass] = g = gCO2e = gCO2eq
tonne = 1e6 * gram = t = tCO2e = tCO2eq = metric_ton
joule = [energy] = J
watt = joule / second = W
watt_hour = watt * hour = Wh
bit = [transferred]
byte = 8 * bit = B
byte_ram = [ram] = B_ram
byte_stored = [stored] = B_stored
cpu_core = [cpu] = core = vcpu = vCPU
gpu = [gpu] = GPU
occurrence = [occurrence]
concurrent = [concurrent]
instance = [instance]
percent = 0.01 = %
pixel = []
dimensionless_one = 1 = dimensionless
"""

COMMON_FACTORS = {
    "MB": {"B": "1/1000000", "kB": "1/1000", "GB": "1000", "TB": "1000000"},
    "MB_ram": {"B_ram": "1/1000000", "kB_ram": "1/1000", "GB_ram": "1000", "TB_ram": "1000000"},
    "GB_ram": {"B_ram": "1/1000000000", "kB_ram": "1/1000000", "MB_ram": "1/1000", "TB_ram": "1000"},
    "MB_stored": {"B_stored": "1/1000000", "kB_stored": "1/1000", "GB_stored": "1000", "TB_stored": "1000000"},
    "TB_stored": {"MB_stored": "1/1000000", "GB_stored": "1/1000"},
    "W": {"kW": "1000"},
    "kWh": {"Wh": "1/1000", "MWh": "1000"},
    "kg": {"g": "1/1000", "t": "1000"},
    "g/kWh": {"kg/kWh": "1000"},
    "s": {"ms": "1/1000", "min": "60", "minute": "60", "h": "3600", "hour": "3600", "day": "86400"},
    "h": {"s": "1/3600", "min": "1/60", "day": "24", "week": "168", "month": "1461/2", "year": "8766"},
    "year": {"h": "1/8766", "day": "4/1461", "month": "1/12"},
    "1": {"%": "1/100"},
}
"""Units that people write most, by canonical unit, as the registry has them (a test holds that): a model in these need not load pint."""

_SHAPE = re.compile(r"[A-Za-z0-9_ */()%]{1,80}")
_LONE_NUMBER = re.compile(r"(?<![A-Za-z0-9_])\d\w*")
_PERCENT_OF = re.compile(r"[\w)%] *%|% *[\w(]")
_LESS_THAN_A_BIT = re.compile(r"\b(milli|micro|m|u)(bit|byte|B)")
_COMMON = ["B", "kB", "MB", "GB", "TB", "kB_ram", "MB_ram", "GB_ram", "TB_ram", "GiB_ram", "kB_stored", "MB_stored", "GB_stored", "TB_stored", "W", "kW", "Wh", "kWh", "MWh", "g", "kg", "t", "g/kWh", "kg/kWh", "kWh/GB", "s", "min", "h", "day", "year", "cpu_core", "gpu", "occurrence"]  # fmt: skip
"""Units to suggest where one is misspelt."""


class UnitError(ValueError):
    """The unit is unknown, or measures something else."""


@dataclass(frozen=True)
class Conversion:
    """An exact factor `numerator / denominator` from one unit to another."""

    numerator: int
    denominator: int

    @property
    def is_one(self) -> bool:
        """Whether nothing changes."""
        return self.numerator == self.denominator

    def __call__(self, values: pl.Expr) -> pl.Expr:
        """The values in the new unit; multiplied or divided, each rounds once, so that 123.456 W are 0.123456 kW to the last bit."""
        if self.is_one:
            return values
        scaled = values if self.numerator == 1 else values * float(self.numerator)
        if self.denominator == 1:
            return scaled
        # a column, for Polars multiplies by the reciprocal of a divisor that is one number, which rounds twice
        divisor = values.is_null().cast(pl.Float64) * 0.0 + float(self.denominator)
        return scaled / divisor

    @property
    def factor(self) -> float:
        """The factor as a float."""
        return self.numerator / self.denominator


@cache
def registry() -> Any:
    """The pint registry (imported on first use: pint takes a third of a second)."""
    import pint

    units: Any = pint.UnitRegistry(None, non_int_type=Fraction)
    units.load_definitions(DEFINITIONS.strip().splitlines())
    return units


def _parse(unit: str) -> Any:
    if (
        not _SHAPE.fullmatch(unit)
        or any(n != "1" for n in _LONE_NUMBER.findall(unit))
        or "**" in unit
        or _PERCENT_OF.search(unit)
    ):
        raise UnitError(f"{unit!r} is not a unit")
    if _LESS_THAN_A_BIT.search(unit):
        raise UnitError(f"{unit!r} would be a part of a bit; M is mega")
    spelled = unit.replace("%", " percent ").strip()
    if spelled == "1":
        return registry().Quantity(Fraction(1), "")
    try:
        return registry().parse_expression(spelled) * Fraction(1)
    except Exception as error:  # pint raises many kinds, down to tokenizer errors
        known = suggestion(unit)
        hint = f" (did you mean {known}?)" if known else ""
        raise UnitError(f"{unit!r} is not a unit we know{hint}") from error


@cache
def conversion(source: str, canonical: str) -> Conversion:
    """The exact conversion from `source` to `canonical` units; UnitError where there is none."""
    if source == canonical:
        return Conversion(1, 1)
    if (common := COMMON_FACTORS.get(canonical, {}).get(source)) is not None:
        return Conversion(*Fraction(common).as_integer_ratio())
    quantity, target = _parse(source), _parse(canonical)
    try:
        factor = Fraction((quantity / target).to("").magnitude)
    except Exception as error:
        raise UnitError(f"{source!r} does not measure the same as {canonical!r}") from error
    return Conversion(factor.numerator, factor.denominator)


def factor(source: str, canonical: str) -> float:
    """The factor from `source` to `canonical` units; UnitError where there is none."""
    return conversion(source, canonical).factor


def suggestion(unit: str) -> str | None:
    """A common unit that differs from a misspelt one only in upper and lower case, or in little."""
    by_lower = {known.lower(): known for known in _COMMON}
    near = difflib.get_close_matches(unit.lower(), list(by_lower), n=1, cutoff=0.75)
    return by_lower[near[0]] if near and by_lower[near[0]] != unit else None
