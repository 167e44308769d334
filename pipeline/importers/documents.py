"""JSON files as other systems export them -> their records, one by one, each checked for what JSON lets pass.

Accepted: one document, a list, JSON lines, several values after one another, pages (`{"items": [...], "next": ...}`),
gzipped or not, a file or a folder of files. A broken line of JSON lines is one bad record; a broken document is an
error.
"""

import json
import re
import reprlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.importers.lines import refuse_pipe

SUFFIXES = (".json", ".jsonl", ".ndjson")
"""Files of a folder that are read, `.gz` after them or not."""
MOST_EXPANSION = 200
"""A gzipped file may grow that many times (JSON job logs grow 10 to 40 times) ..."""
FREE_EXPANSION = 64 * 2**20
"""... or to that many bytes, whichever is more."""
DEEPEST = 64
"""Levels of nesting a record may have; the reference pages need 8."""
MOST_DIGITS = 40
"""Digits a whole number may have."""

_SURROGATE = re.compile("[\ud800-\udfff]")

Unwrap = Callable[[dict[str, object]], object]
"""What an object stands for, where a system writes values as objects (Mongo's `{"$date": ...}`); else the object."""


@dataclass(eq=False)
class Refusal(Exception):
    """Why a record is refused."""

    code: str
    field: str
    value: object
    message: str


@dataclass(frozen=True)
class Record:
    """One record of the source: its row from 1, its file, and what stands there or what is wrong with it."""

    row: int
    origin: str
    value: object
    refusal: Refusal | None = None


class Unreadable(str):
    """A number that is none: NaN, Infinity, or more digits than any quantity has."""


class Repeating(dict[str, object]):
    """An object in which a name stands twice."""


def printable(value: object, longest: int = 200) -> str:
    """A value as it may be shown: text that is text, not too long."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    return text[:longest].encode("utf-8", "backslashreplace").decode()


def read_records(source: Path, *, unwrap: Unwrap | None = None, warnings: list[str] | None = None) -> Iterator[Record]:
    """The records of a file or folder in order. `warnings` takes what a person should know of the source as a whole."""
    notes = [] if warnings is None else warnings
    decoder = _decoder(unwrap)
    row, pages, last_pages = 0, 0, 0
    for path in _files(source, notes):
        for value in _values(path, _text(path), decoder):
            entries: list[Any] = value if isinstance(value, list) else [value]
            for page in entries:
                is_page = _is_page(page)
                pages, last_pages = pages + is_page, last_pages + (is_page and page.get("next") is None)
                for item in page["items"] if is_page else [page]:
                    row += 1
                    refusal = item if isinstance(item, Refusal) else refusal_of(item)
                    yield Record(row, str(path), item, refusal)
    if pages and not last_pages:
        notes.append(f"{source}: each of its {pages} pages names a next one: the last pages of the listing are missing")


def _is_page(value: object) -> bool:
    return (
        isinstance(value, dict)
        and not isinstance(value, Repeating)
        and isinstance(value.get("items"), list)
        and not value.keys() & {"id", "_id"}
    )


def _files(source: Path, notes: list[str]) -> list[Path]:
    """The files to read, sorted; hidden ones are not."""
    refuse_pipe(source)
    try:
        if not source.exists():
            raise InputError(f"{source}: no such file or folder")
        if not source.is_dir():
            return [source]
        found = sorted(
            p
            for p in source.rglob("*")
            if p.is_file() and not any(part.startswith(".") for part in p.relative_to(source).parts)
        )
    except OSError as problem:
        raise InputError(f"{source}: {problem.strerror or problem}") from None
    wanted = [p for p in found if p.name.removesuffix(".gz").endswith(SUFFIXES)]
    if not wanted:
        raise InputError(f"{source}: no file named *{', *'.join(SUFFIXES)} (or that with .gz) in this folder")
    if len(wanted) < len(found):
        notes.append(f"{source}: {len(found) - len(wanted)} files are no JSON by their name and were not read")
    return wanted


def _text(path: Path) -> str:
    """A file's text. Bytes that are no UTF-8 become lone surrogates, by which the record that holds them is found."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: {problem.strerror or problem}") from None
    if data.startswith(b"\x1f\x8b"):
        data = _expanded(path, data)
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _expanded(path: Path, data: bytes) -> bytes:
    most = max(FREE_EXPANSION, MOST_EXPANSION * len(data))
    try:
        expanded = GzipFile(fileobj=BytesIO(data)).read(most + 1)
    except (BadGzipFile, EOFError, zlib.error) as problem:
        raise InputError(f"{path}: not a whole gzip file: {problem}") from None
    if len(expanded) > most:
        raise InputError(
            f"{path}: grows to more than {most:,} bytes when expanded, too much for a job log: "
            "expand it yourself if it is one"
        )
    return expanded


def _decoder(unwrap: Unwrap | None) -> json.JSONDecoder:
    def whole(digits: str) -> object:
        return int(digits) if len(digits) <= MOST_DIGITS else Unreadable(digits)

    def fraction(digits: str) -> object:
        number = float(digits)
        return number if abs(number) != float("inf") else Unreadable(digits)

    def thing(pairs: list[tuple[str, object]]) -> object:
        found = dict(pairs)
        if len(found) < len(pairs):
            return Repeating(found)
        return found if unwrap is None else unwrap(found)

    return json.JSONDecoder(object_pairs_hook=thing, parse_int=whole, parse_float=fraction, parse_constant=Unreadable)


def _values(path: Path, text: str, decoder: json.JSONDecoder) -> Iterator[object]:
    """The JSON values of a file: by line where it is JSON lines, else one after another. A broken line is a Refusal."""
    if _is_lines(path, text, decoder):
        for line in _lines(text):
            try:
                yield decoder.decode(line)
            except ValueError as problem:
                yield Refusal("bad_json", "", line, f"not JSON: {problem}")
            except RecursionError:
                yield Refusal("too_deep", "", line, f"nested deeper than {DEEPEST} levels")
        return
    position = _next(text, 0)
    if position == len(text):
        raise InputError(f"{path}: holds no JSON")
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError as problem:
            raise InputError(f"{path}: not JSON: {problem}") from None
        except RecursionError:
            raise InputError(f"{path}: nested deeper than {DEEPEST} levels") from None
        yield value
        position = _next(text, position)


_BLANK = re.compile("[ \t\r\n\x1e]*")


def _next(text: str, position: int) -> int:
    """Where the next thing begins that is no blank."""
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _lines(text: str) -> Iterator[str]:
    """The lines that are not blank."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end].strip(" \t\r\x1e")
        if line:
            yield line
        start = end + 1


def _is_lines(path: Path, text: str, decoder: json.JSONDecoder) -> bool:
    """Whether a file is JSON lines: by its name, or because its first line is whole and more follows."""
    if path.name.removesuffix(".gz").endswith(SUFFIXES[1:]):
        return True
    start = _next(text, 0)
    end = text.find("\n", start)
    if end < 0 or _next(text, end) == len(text):
        return False
    try:
        decoder.decode(text[start:end].strip(" \t\r\x1e"))
    except (ValueError, RecursionError):
        return False
    return True


def refusal_of(record: object) -> Refusal | None:
    """What no record may hold: a name twice in an object, numbers that are none, bytes that are no text, depth."""
    if not isinstance(record, dict):
        return Refusal("not_an_object", "", record, "expected an object, one job")
    waiting: list[tuple[str, object, int]] = [("", record, 1)]
    while waiting:
        path, node, depth = waiting.pop()
        if depth > DEEPEST:
            return Refusal("too_deep", path[:200], None, f"nested deeper than {DEEPEST} levels")
        if isinstance(node, Repeating):
            return Refusal(
                "duplicate_key", path, ", ".join(node), "a name stands twice in one object: which value holds?"
            )
        children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for name, child in children:
            here = f"{path}.{name}" if path else str(name)
            if isinstance(child, dict | list):
                waiting.append((here, child, depth + 1))
            elif isinstance(child, Unreadable):
                return Refusal("bad_number", here, str(child), "not a finite number of a size any quantity has")
            if not _is_text(child) or not _is_text(name):
                return Refusal("bad_text", printable(here), printable(child), "not Unicode text")
    return None


def _is_text(value: object) -> bool:
    return not isinstance(value, str) or value.isascii() or not _SURROGATE.search(value)
