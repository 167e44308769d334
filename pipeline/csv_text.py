"""CSV as it must be before any cell is read: UTF-8, commas, balanced quotes, as many cells in every line as in the header.

Polars would fill up short lines and cut off or merge others in silence, so every byte is looked at once here, many lines at a time.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

PIECE_BYTES = 16 << 20
LONGEST_LINE = 64 << 20
LONGEST_HEADER = 1 << 20
MOST_COLUMNS = 1000
COMMA, QUOTE, CR, LF = b',"\r\n'
BOM = b"\xef\xbb\xbf"
OTHER_FORMATS = {
    b"PAR1": "Parquet (it should be named .parquet)",
    b"PK\x03\x04": "a workbook or an archive (save the sheet as CSV UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old workbook (save the sheet as CSV UTF-8)",
    b"\x1f\x8b": "a compressed file (unpack it)",
    b"SQLite format 3\x00": "a database (export the table as CSV)",
    b"%PDF": "a PDF",
}
"""How files of other kinds begin."""


@dataclass
class Flaw(Exception):
    """Why a file cannot be read as a table; `row` where a certain line is at fault."""

    rule: str
    expected: str
    row: int | None = None
    value: object = None


def header(path: Path) -> list[str]:
    """The cells of the header line; Flaw where the file is no comma-separated text."""
    with path.open("rb") as opened:
        head = opened.read(LONGEST_HEADER).removeprefix(BOM)
    if not head.strip():
        raise Flaw("empty file", "a header line with the names of the columns")
    for beginning, other in OTHER_FORMATS.items():
        if head.startswith(beginning):
            raise Flaw("format", f"a CSV file, not {other}")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in (head[0:1], head[1:2]):
        raise Flaw("encoding", "UTF-8, not UTF-16 (save the file again as CSV UTF-8)")
    text = head.decode("utf-8", errors="replace")
    if "\r" in text and "\n" not in text:
        raise Flaw("line ends", "lines that end in LF or CRLF, not in CR alone")
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error as error:
        raise Flaw("header", f"a header line with the names of the columns ({error})") from error
    if not any(name.strip() for name in names):
        raise Flaw("header", "the names of the columns in the first line, which is blank")
    for mark, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            raise Flaw("separator", f"columns separated by commas, not {word}", value=names[0])
    if len(names) > MOST_COLUMNS:
        raise Flaw("too many columns", f"at most {MOST_COLUMNS} columns", value=len(names))
    return names


def check_shape(path: Path, width: int) -> int:
    """Flaw at the first line that is not UTF-8, has not `width` cells, or has a quote out of place.

    Blank lines may stand anywhere; the number of those just below the header is returned.
    """
    row = 0
    below_header: list[Mask] = []
    for piece in _whole_lines(path):
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError as error:
            where = row + piece[: error.start].count(b"\n")
            raise Flaw("encoding", "UTF-8 (save the file again as CSV UTF-8)", row=where or None) from error
        blank = _check_piece(piece, width, row)
        if all(earlier.all() for earlier in below_header):
            below_header.append(blank if row else blank[1:])
        row += len(blank)
    leading = np.concatenate([*below_header, [False]])
    return int(leading.argmin())


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The file in pieces of whole lines (a line break between quotes ends none), each ending in a line break."""
    with path.open("rb") as opened:
        rest = opened.read(len(BOM)).removeprefix(BOM)
        while more := opened.read(PIECE_BYTES):
            rest += more
            end = _last_line_end(rest)
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > LONGEST_LINE:
                raise Flaw("quotes", f"quotes that are closed (a line is longer than {LONGEST_LINE >> 20} MB)")
    if rest:
        yield rest + b"\n"


def _last_line_end(text: bytes) -> int:
    """Just after the last line break outside quotes; 0 where there is none."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero((data == LF) & ~_inside_quotes(data))
    return int(ends[-1]) + 1 if len(ends) else 0


Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def _inside_quotes(data: Bytes) -> Mask:
    """Which bytes stand between quotes, where the first does not; a doubled quote closes and opens."""
    inside: Mask = np.bitwise_xor.accumulate(data == QUOTE)
    return inside


def _check_piece(piece: bytes, width: int, first: int) -> Mask:
    """Check whole lines of which the first is row `first` (the header is row 0); which of them are blank."""
    data = np.frombuffer(piece, dtype=np.uint8)
    outside: Mask | None = None
    if b'"' in piece:
        outside = ~_inside_quotes(data)
        _check_quotes(data, outside, first)
    if piece.count(b"\r") != piece.count(b"\r\n"):
        _check_line_ends(data, outside, first)
    marks = (data == COMMA) | (data == LF)
    at = np.flatnonzero(marks if outside is None else marks & outside)
    ends = np.flatnonzero(data[at] == LF)
    cells = np.diff(ends, prepend=-1)
    lengths = np.diff(at[ends], prepend=-1)
    blank: Mask = (lengths == 1) | ((lengths == 2) & (data[at[ends] - 1] == CR))
    ragged = np.flatnonzero((cells != width) & ~blank)
    if len(ragged):
        row = first + int(ragged[0])
        found = f"{cells[ragged[0]]} cell{'s' if cells[ragged[0]] > 1 else ''}"
        raise Flaw("cells per line", f"{width} cells, as many as the header has", row=row, value=found)
    return blank


def _check_quotes(data: Bytes, outside: Mask, first: int) -> None:
    """Quotes stand around a whole cell; within it they are doubled."""
    at = np.flatnonzero(data == QUOTE)
    opening, closing = at[0::2], at[1::2]
    before = np.where(opening > 0, data[opening - 1], LF)
    after = data[np.minimum(closing + 1, len(data) - 1)]
    next_but_one = data[np.minimum(closing + 2, len(data) - 1)]
    wrong_open = opening[~np.isin(before, (COMMA, LF, QUOTE))]
    ends_cell = np.isin(after, (COMMA, LF, QUOTE)) | ((after == CR) & (next_but_one == LF))
    never_closed = opening[-1:] if len(at) % 2 else opening[:0]
    wrong = np.concatenate([wrong_open, closing[~ends_cell], never_closed])
    if len(wrong):
        row = first + int(np.count_nonzero((data[: wrong.min()] == LF) & outside[: wrong.min()]))
        raise Flaw("quotes", 'quotes around whole cells, closed, and doubled within them: "5"" disk"', row=row or None)


def _check_line_ends(data: Bytes, outside: Mask | None, first: int) -> None:
    lone = (data[:-1] == CR) & (data[1:] != LF)
    line_ends = data[:-1] == LF
    if outside is not None:
        lone &= outside[:-1]
        line_ends &= outside[:-1]
    if lone.any():
        row = first + int(np.count_nonzero(line_ends[: lone.argmax()]))
        raise Flaw("line ends", "lines that end in LF or CRLF, not in CR alone", row=row or None)
