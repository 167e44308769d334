"""An e-footprint system file to its objects: attributes read by name, every value checked, what is wrong collected.

Written from the file format alone (../shared/design/MODEL.md, "e-footprint files"). Version 21 and 27 spell some names
differently; `RENAMED` is the one place that knows.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import zstandard

from pipeline.errors import InputError
from pipeline.importers.lines import refuse_pipe
from pipeline.tables.columns import EARLIEST_YEAR, LATEST_YEAR
from pipeline.units import UnitError, conversion

VERSION_KEY = "efootprint_version"
KNOWN_MAJORS = (21, 27)
MANUFACTURING_SINCE = 27
"""From this major version on, the later names come first: manufacturing for fabrication, and those of `RENAMED`."""

RENAMED = {
    "starts": ("hourly_usage_journey_starts", "hourly_occurrences"),
    "journeys": ("usage_journey", "usage_journeys"),
    "edge_starts": ("hourly_edge_usage_journey_starts", "hourly_deployment_starts"),
    "edge_journeys": ("edge_usage_journey", "edge_usage_journeys"),
}
"""Our name of an attribute: its names in version 21 and in version 27, beside those with fabrication in them."""

LONGEST_SERIES = (LATEST_YEAR - EARLIEST_YEAR) * 366 * 24
"""Hourly values one series may hold: all the hours that dates may have. A small compressed text can claim far more."""
MOST_VALUES = 100_000_000
"""Hourly values one file may hold."""
HOURS_OF_WEEK = 168
_PIECE = 1024
"""Compressed bytes decompressed at a time: none can become more than some 32 MB."""

MISSING = object()
"""Stands for an attribute that the object does not have (null is a value: empty)."""

T = TypeVar("T")
Week = npt.NDArray[np.float64]
Hours = npt.NDArray[np.float32]


class Broken(ValueError):
    """A value that cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True)
class Item:
    """One object of the file."""

    kind: str
    id: str
    values: Mapping[str, object]

    def __str__(self) -> str:
        return f"{self.kind} {quoted(self.id)}"


@dataclass(frozen=True)
class Entry:
    """One member of a list or of a dictionary with weights."""

    id: str
    weight: float
    raw: object = None


@dataclass(frozen=True)
class HourlySeries:
    """Hourly values from `start` on (without zone): in UTC, or on the local clock of the pattern's country."""

    start: datetime
    values: Hours
    is_utc: bool


@dataclass(frozen=True)
class Origin:
    """Where a value comes from, as the file says."""

    source: str | None
    link: str | None
    confidence: object
    comment: str | None


def quoted(value: object) -> str:
    """A value of the file for a message: escaped, on one line, cut off where it is long."""
    text = value if isinstance(value, str) else type(value).__name__ if isinstance(value, (dict, list)) else repr(value)
    shown = repr(text) if isinstance(value, str) else text
    return shown if len(shown) <= 80 else f"{shown[:60]}..."


def listed(values: Iterable[str], most: int = 50) -> str:
    """Ids for a message, at most so many of them."""
    found = list(values)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(quoted(v) for v in found[:most]) + more


# ---------------------------------------------------------------- the file


@dataclass
class EfootprintFile:
    """A system file: its objects by class and id, and what was noticed while reading them."""

    path: Path
    version: str
    major: int
    kinds: dict[str, dict[str, Item]]
    strangers: dict[str, list[str]]
    """Ids by class, for the classes that are not imported; none where an entry of the file holds no objects by id."""
    sources: Mapping[str, object]
    asked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Attribute names that have been asked for, by class."""
    missing: dict[tuple[str, str, bool], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    """Ids that lack an attribute, by class, attribute and whether it is required."""
    problems: list[str] = field(default_factory=list)
    values_read: int = 0

    def items(self, kind: str) -> dict[str, Item]:
        """The objects of a class by id."""
        return self.kinds.get(kind, {})

    def spellings(self, attribute: str) -> tuple[str, ...]:
        """The names an attribute may have in the file, those of the file's own version first."""
        older, newer = RENAMED.get(attribute, (attribute, attribute.replace("fabrication", "manufacturing")))
        names = (newer, older) if self.major >= MANUFACTURING_SINCE else (older, newer)
        return tuple(dict.fromkeys(names))

    def spelled(self, item: Item, attribute: str) -> str:
        """The name under which the object holds an attribute, for a message."""
        names = self.spellings(attribute)
        return next((n for n in names if n in item.values), names[0])

    def raw(self, item: Item, attribute: str, *, required: bool = True) -> object:
        """What the object holds under one of the attribute's names; MISSING, and noted, where it has none of them."""
        name = self.spelled(item, attribute)
        self.asked[item.kind].add(name)
        if name not in item.values:
            self.missing[item.kind, name, required][item.id] = None
        return item.values.get(name, MISSING)

    def problem(self, item: Item, attribute: str, message: object) -> None:
        """Note what is wrong with an attribute of an object."""
        self.problems.append(f"{item}: {self.spelled(item, attribute)}: {message}")

    def parsed(self, item: Item, attribute: str, parse: Callable[[object], T], *, required: bool = True) -> T | None:
        """The attribute as `parse` reads it; none where it is absent, empty or broken (noted)."""
        raw = self.raw(item, attribute, required=required)
        if raw is MISSING or is_empty(raw):
            return None
        try:
            return parse(raw)
        except Broken as broken:
            self.problem(item, attribute, broken)
            return None

    def entries(self, item: Item, attribute: str, *, required: bool = True) -> list[Entry]:
        """The members of a list or dictionary of weights, in order; where journeys are meant, a single id is one."""
        one = attribute in ("journeys", "edge_journeys")
        return self.parsed(item, attribute, lambda raw: entries(raw, one=one), required=required) or []

    def series(self, item: Item, attribute: str) -> HourlySeries | None:
        """An hourly series [occurrence]."""
        found = self.parsed(item, attribute, hourly_series)
        self.values_read += len(found.values) if found else 0
        if self.values_read > MOST_VALUES:
            raise InputError(f"{self.path}: more than {MOST_VALUES} hourly values in one file")
        return found

    def name_of(self, item: Item) -> str | None:
        """What people call the object."""
        name = item.values.get("name")
        if name is not None and not isinstance(name, str):
            self.problem(item, "name", f"a text is expected, found {quoted(name)}")
            return None
        return name

    def origin(self, item: Item, attribute: str) -> Origin | None:
        """Where the value of an attribute comes from, where the file says so."""
        try:
            return origin(item.values.get(self.spelled(item, attribute)), self.sources)
        except Broken as broken:
            self.problem(item, attribute, broken)
            return None


def read_file(path: Path, imported: Collection[str]) -> EfootprintFile:
    """The objects of a system file, with the values of the classes `imported`; InputError where it is none."""
    document = _document(path)
    version = document.get(VERSION_KEY)
    major = re.match(r"v?(\d{1,6})(\.|$)", version) if isinstance(version, str) else None
    if not isinstance(version, str) or major is None:
        what = "no efootprint_version" if version is None else f"efootprint_version {quoted(version)}"
        raise InputError(f"{path}: not an e-footprint system file: it has {what}")
    problems: list[str] = []
    kinds = {kind: _items(kind, document[kind], problems) for kind in imported if kind in document}
    others = {
        kind: held for kind, held in document.items() if kind not in (*imported, VERSION_KEY, "Sources") and held != {}
    }
    strangers = {kind: list(held) if isinstance(held, dict) else [] for kind, held in others.items()}
    sources = document.get("Sources", {})
    if not isinstance(sources, dict) or not all(isinstance(s, dict) for s in sources.values()):
        problems.append("Sources: objects by id are expected")
        sources = {}
    return EfootprintFile(path, version, int(major.group(1)), kinds, strangers, sources, problems=problems)


def _document(path: Path) -> dict[str, object]:
    refuse_pipe(path)
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_without_twins)
        text = json.dumps(document, ensure_ascii=False)
        text.encode()  # fails on half a surrogate pair, which no table can hold
        if "\\u0000" in text:
            raise Broken("a text in it holds a NUL character, which no table can hold")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except RecursionError:
        raise InputError(f"{path}: not an e-footprint system file: nested too deeply") from None
    except UnicodeError:
        raise InputError(f"{path}: not an e-footprint system file: not UTF-8 text") from None
    except Broken as broken:
        raise InputError(f"{path}: {broken}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({str(error).splitlines()[0][:200]})") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: not an e-footprint system file: it has no efootprint_version")
    return document


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twin = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Broken(f"the id {quoted(twin)} stands twice in one place")
    return found


def _items(kind: str, held: object, problems: list[str]) -> dict[str, Item]:
    """The objects of one class; what is no object is a problem."""
    if not isinstance(held, dict):
        problems.append(f"{quoted(kind)}: objects by id are expected, found {quoted(held)}")
        return {}
    found = {}
    for key, values in held.items():
        if not isinstance(values, dict):
            problems.append(f"{kind} {quoted(key)}: an object is expected, found {quoted(values)}")
        elif not key or values.get("id", key) != key:
            problems.append(f"{kind} {quoted(key)}: its id is {quoted(values.get('id', key))}")
        else:
            found[key] = Item(kind, key, values)
    return found


# ---------------------------------------------------------------- values


def is_empty(raw: object) -> bool:
    """Whether a value is null, or an object whose value is."""
    if not isinstance(raw, dict):
        return raw is None
    told = [name for name in ("value", "zone", "compressed_values", "recurring_values") if name in raw]
    return bool(told) and all(raw[name] is None for name in told)


def _object(raw: object, *names: str) -> dict[str, object]:
    """The object that holds a value under one of these names."""
    if not isinstance(raw, dict) or not any(name in raw for name in names):
        raise Broken(f"an object with {' or '.join(names)} is expected, found {quoted(raw)}")
    return raw


def number(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Broken(f"a number is expected, found {quoted(value)}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Broken(f"a finite number is expected, found {quoted(value)[:40]}")
    return found


def quantity(raw: object, unit: str) -> float:
    """A quantity `{value, unit}` in the unit asked for."""
    held = _object(raw, "value")
    return _converted(number(held["value"]), _unit_of(held), unit)


def _unit_of(held: Mapping[str, object]) -> str:
    unit = held.get("unit")
    if not isinstance(unit, str):
        raise Broken("no unit" if unit is None else f"a unit is expected, found {quoted(unit)}")
    return unit


def _converted(value: float, source: str, unit: str) -> float:
    """The value in another unit, converted as the decimal number that is written in the file."""
    try:
        exact = conversion(source, unit)
    except UnitError as error:
        raise Broken(str(error)) from None
    try:
        return value if exact.is_one else float(Fraction(repr(value)) * Fraction(exact.numerator, exact.denominator))
    except OverflowError:
        raise Broken(f"{value!r} {source} is out of range") from None


def whole_count(raw: object) -> int:
    """A whole number of things, given as `concurrent` or without dimension."""
    held = _object(raw, "value")
    unit = _unit_of(held)
    found = _converted(number(held["value"]), "1" if unit in ("concurrent", "instance") else unit, "1")
    if not found.is_integer() or abs(found) > 2**53:
        raise Broken(f"a whole number is expected, found {found!r}")
    return int(found)


def compute_unit(raw: object) -> str:
    """What a compute capacity is counted in: gpu where its unit says so, else cpu_core."""
    unit = raw.get("unit") if isinstance(raw, dict) else None
    try:
        conversion(unit if isinstance(unit, str) else "", "gpu")
    except UnitError:
        return "cpu_core"
    return "gpu"


def text(raw: object) -> str:
    """A text `{value}`, or a time zone `{zone}`."""
    held = _object(raw, "value", "zone")
    found = held.get("zone", held.get("value"))
    if not isinstance(found, str) or not found:
        raise Broken(f"a text is expected, found {quoted(found)}")
    return found


def one_id(raw: object) -> str:
    """The id of another object."""
    if not isinstance(raw, str):
        raise Broken(f"an id is expected, found {quoted(raw)}")
    return raw


def entries(raw: object, *, one: bool = False) -> list[Entry]:
    """The members of a list of ids (each of weight 1), or of a dictionary of weights (an empty weight is 1)."""
    if isinstance(raw, list):
        return [Entry(one_id(member), 1.0) for member in raw]
    if isinstance(raw, dict):
        return [Entry(key, 1.0 if is_empty(held) else quantity(held, "1"), held) for key, held in raw.items()]
    if one and isinstance(raw, str):
        return [Entry(raw, 1.0)]
    raise Broken(f"ids are expected, found {quoted(raw)}")


def origin(raw: object, sources: Mapping[str, object]) -> Origin | None:
    """Where a value comes from: its `source` is the id of one of the file's Sources, a text, or an object."""
    if not isinstance(raw, dict):
        return None
    told = raw.get("source")
    held = sources.get(told, told) if isinstance(told, str) else told
    if isinstance(held, dict) and isinstance(held.get("id"), str):
        held = sources.get(held["id"], held)
    if held is not None and not isinstance(held, (str, dict)):
        raise Broken(f"source: an id, a text or an object is expected, found {quoted(told)}")
    name, link = (
        (_words(held.get("name")) or _words(held.get("id")), _words(held.get("link")))
        if isinstance(held, dict)
        else (held, None)
    )
    confidence, comment = raw.get("confidence"), _words(raw.get("comment"))
    if not (name or link or confidence or comment):
        return None
    return Origin(name or None, link, confidence, comment or _words(raw.get("label")))


def _words(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


# ---------------------------------------------------------------- series


def typical_week(raw: object) -> Week:
    """168 values [occurrence], from Monday 00:00 on: a JSON text (or list) of numbers."""
    held = _object(raw, "recurring_values")
    values = held["recurring_values"]
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            raise Broken("a JSON text of 168 numbers is expected") from None
    if not isinstance(values, list) or len(values) != HOURS_OF_WEEK:
        found = f"{len(values)} values" if isinstance(values, list) else quoted(values)
        raise Broken(f"{HOURS_OF_WEEK} values are expected, found {found}")
    factor = _converted(1.0, _unit_of(held), "occurrence")
    return np.array([number(v) for v in values]) * factor


def hourly_series(raw: object) -> HourlySeries:
    """Hourly values [occurrence]: base64 of zstd of little-endian float32, from `start_date` on."""
    held = _object(raw, "compressed_values")
    factor = _converted(1.0, _unit_of(held), "occurrence")
    values = _decoded(held["compressed_values"])
    start, is_utc = _start(held.get("start_date"), held.get("timezone"))
    last = start.year + len(values) // 8760 + 1 if EARLIEST_YEAR <= start.year < LATEST_YEAR else LATEST_YEAR + 2
    if last > LATEST_YEAR:
        raise Broken(
            f"{len(values)} hours from {start:%Y-%m-%d} are not within the years {EARLIEST_YEAR} to {LATEST_YEAR}"
        )
    return HourlySeries(start, values if factor == 1 else values * np.float32(factor), is_utc)


def _decoded(compressed: object) -> Hours:
    if not isinstance(compressed, str):
        raise Broken(f"a base64 text is expected, found {quoted(compressed)}")
    try:
        packed = base64.b64decode(compressed, validate=True)
    except (binascii.Error, ValueError):
        raise Broken("compressed_values is no complete base64 text") from None
    content = _decompressed(packed)
    if len(content) % 4:
        raise Broken(f"compressed_values holds {len(content)} bytes, which are no whole number of float32 values")
    values = np.frombuffer(content, dtype="<f4").astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise Broken(f"the value at hour {int(np.argmin(np.isfinite(values)))} of the series is not finite")
    return values


def _decompressed(packed: bytes) -> bytes:
    """The content of one zstd frame, which may lack its content size; never much more than LONGEST_SERIES values."""
    stream = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    content = bytearray()
    try:
        for at in range(0, len(packed), _PIECE):
            if stream.eof:
                raise Broken("compressed_values goes on after the end of its zstd frame")
            content += stream.decompress(packed[at : at + _PIECE])
            if len(content) > 4 * LONGEST_SERIES:
                raise Broken(f"compressed_values holds more than {LONGEST_SERIES} values")
    except zstandard.ZstdError:
        raise Broken("compressed_values is no zstd frame") from None
    if not stream.eof or stream.unused_data:
        raise Broken(
            "compressed_values is cut off"
            if not stream.eof
            else "compressed_values goes on after the end of its zstd frame"
        )
    return bytes(content)


def _start(told: object, timezone: object) -> tuple[datetime, bool]:
    """The first hour without zone, and whether it is UTC; with a zone in the file it is turned into UTC."""
    try:
        start = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        start = None
    if start is None:
        raise Broken(f"start_date: a date and hour is expected, found {quoted(told)}")
    zone = start.tzinfo or (None if timezone is None else zone_of(timezone))
    if zone is not None:
        try:
            start = start.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise Broken(f"start_date: {quoted(told)} is out of range") from None
    if start != start.replace(minute=0, second=0, microsecond=0):
        raise Broken(f"start_date: a full hour is expected, found {quoted(told)}")
    return start, zone is not None


def zone_of(raw: object) -> tzinfo:
    """The time zone of an IANA name, given as a text or as `{zone}`."""
    name = raw if isinstance(raw, str) else text(raw)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Broken(f"no time zone is called {quoted(name)}") from None


def zone_name(raw: object) -> str:
    """The name of a time zone that exists."""
    name = text(raw)
    zone_of(name)
    return name


def rounded_offset(zone: tzinfo, series: HourlySeries) -> int:
    """UTC offset of the zone at the first hour of a series [h], rounded half to even as e-footprint does."""
    start = series.start
    at = start.replace(tzinfo=UTC).astimezone(zone) if series.is_utc else start.replace(tzinfo=zone)
    return round((at.utcoffset() or timedelta(0)) / timedelta(hours=1))
