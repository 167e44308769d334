"""Numbers and texts as a person reads them: units that fit, shares, periods, ids made harmless."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime

MASS = ((1e9, "Mt"), (1e6, "kt"), (1e3, "t"), (1.0, "kg"), (1e-3, "g"), (1e-6, "mg"))
"""Factors to kg."""
ENERGY = ((1e9, "TWh"), (1e6, "GWh"), (1e3, "MWh"), (1.0, "kWh"), (1e-3, "Wh"))
"""Factors to kWh."""
STORED = ((1e6, "EB"), (1e3, "PB"), (1.0, "TB"), (1e-3, "GB"), (1e-6, "MB"))
"""Factors to TB."""
Scale = tuple[tuple[float, str], ...]

LONGEST = 60
HARMFUL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that are never printed as they are: controls, direction marks, surrogates, unassigned, line ends."""


def shown(value: object, limit: int = LONGEST) -> str:
    """A text from the model on one line: control and direction characters spelt out, cut to `limit` characters."""
    given = str(value)
    kept = given[: limit + 1]
    if any(unicodedata.category(c) in HARMFUL for c in kept):
        kept = "".join(f"⟨{ord(c):04X}⟩" if unicodedata.category(c) in HARMFUL else c for c in kept)
    return kept if len(kept) <= limit and len(given) <= limit else kept[: limit - 1] + "…"


def distinct(texts: Mapping[str, str], limit: int = LONGEST) -> dict[str, str]:
    """A short label for each key's text, no two alike."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for key, given in texts.items():
        label, tries = shown(given, limit), 1
        while label in taken:
            tries += 1
            label = f"{shown(given, limit - 6)} ({tries})"
        labels[key] = label
        taken.add(label)
    return labels


def unit_of(largest: float, scale: Scale) -> tuple[float, str]:
    """The factor and name of the unit in which a number is at least 1."""
    for factor, name in scale:
        if abs(largest) >= factor:
            return factor, name
    return next((f, n) for f, n in scale if f == 1.0) if largest == 0 else scale[-1]


def significant(value: float, digits: int = 3) -> str:
    """A number to three significant digits, thousands set apart, never in exponents where a person would not."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places < -12 or places > 8:
        return f"{value:.{digits - 1}e}"
    rounded = round(value, places)
    return f"{rounded:,.{max(places, 0)}f}".replace(",", "\u202f")


def plain(value: float) -> str:
    """A number to three significant digits, without zeros that say nothing: `2`, `1.25`."""
    said = significant(value)
    return said.rstrip("0").rstrip(".") if "." in said and "e" not in said else said


def with_unit(value: float | None, scale: Scale) -> str:
    """A number in the unit that suits it: `1.23 t`."""
    if value is None or not math.isfinite(value):
        return "–"
    factor, name = unit_of(value, scale)
    return f"{significant(value / factor)}\u00a0{name}"


def mass(kg: float | None) -> str:
    """Carbon in the unit that suits it."""
    return with_unit(kg, MASS)


def energy(kwh: float | None) -> str:
    """Energy in the unit that suits it."""
    return with_unit(kwh, ENERGY)


def stored(terabytes: float | None) -> str:
    """Data kept, in the unit that suits it."""
    return with_unit(terabytes, STORED)


def change(difference: float, scale: Scale = MASS) -> str:
    """A difference with its sign."""
    sign = "+" if difference > 0 else "\u2212" if difference < 0 else "\u00b1"
    return sign + with_unit(abs(difference), scale)


def percent(part: float | None, whole: float | None = 1.0) -> str:
    """A share in percent; a dash where there is no whole."""
    if part is None or not whole or not math.isfinite(part / whole):
        return "–"
    share = 100 * part / whole
    if 0 < abs(share) < 0.1:
        return "under\u00a00.1\u00a0%"
    if 99.9 < share < 100 - 1e-9:
        return "over\u00a099.9\u00a0%"
    number = significant(share, 2) if abs(share) < 10 else significant(share) if abs(share) < 99.95 else f"{share:.0f}"
    return f"{number}\u00a0%"


def count(number: float, one: str, many: str | None = None) -> str:
    """`1 server`, `3 servers`."""
    words = one if number == 1 else many or one + "s"
    return f"{number:,.0f}\u00a0{words}".replace(",", "\u202f")


def period(first: datetime, last: datetime) -> str:
    """The days from the first hour to the last."""
    a, b = f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"
    return f"on {a}" if a == b else f"from {a} to {b}"


def listed(texts: Sequence[str], most: int = 3) -> str:
    """`a, b and 4 more`."""
    head = list(texts[:most])
    rest = len(texts) - len(head)
    if rest:
        return f"{', '.join(head)} and {rest} more"
    return head[0] if len(head) == 1 else f"{', '.join(head[:-1])} and {head[-1]}" if head else "none"
