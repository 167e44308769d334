"""Text logs, gzipped or plain, read as whole lines in bounded memory, whatever the file turns out to hold."""

import gzip
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import InputError

CHUNK_BYTES = 32 * 2**20
"""Text read at a time."""
LONGEST_LINE_BYTES = 16 * 2**20
"""A longer line is taken for a file that is no log."""
FREE_EXPANSION_BYTES = 512 * 2**20
"""Compressed logs may expand this far whatever their ratio."""
LARGEST_RATIO = 250
"""Beyond that, text that expands more than this many times is taken for a bomb (logs: 5 to 40 times)."""
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Lines:
    r"""Whole lines of a file, ends of line made `\\n`, without a byte order mark."""

    text: bytes
    first: int
    """Number of the first line, from 1."""


def refuse_pipe(source: Path) -> None:
    """InputError for what is there but neither a file nor a folder: a pipe may never end, a device never does."""
    try:
        mode = source.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as problem:
        raise InputError(f"{source}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{source}: a pipe or a device, not a file; write what it gives to a file first")


def log_files(source: Path) -> list[Path]:
    """The file itself, or the files of a folder in order of their names."""
    refuse_pipe(source)
    if source.is_dir():
        files = sorted(p for p in source.iterdir() if p.is_file() and not p.name.startswith("."))
        if not files:
            raise InputError(f"{source}: an empty folder")
        return files
    if not source.exists():
        raise InputError(f"{source}: no such file")
    return [source]


def read_lines(path: Path) -> Iterator[Lines]:
    """The lines of a text file in chunks; InputError where it is broken, binary, or expands without measure."""
    rest, first = b"", 1
    for block in read_blocks(path):
        text = rest + block
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if len(rest) > LONGEST_LINE_BYTES:
            line = first + text.count(b"\n")
            raise InputError(f"{path}: line {line} has no end in {LONGEST_LINE_BYTES} bytes: not a text log")
        if cut:
            yield Lines(_plain(text[:cut]), first)
            first += text.count(b"\n", 0, cut)
    if rest:
        yield Lines(_plain(rest), first)


def _plain(text: bytes) -> bytes:
    """Text with plain ends of line."""
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def read_blocks(path: Path) -> Iterator[bytes]:
    """The file's text in blocks that end anywhere, expanded where it is gzipped; the same refusals."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            yield from _checked(path, raw, gzip.GzipFile(fileobj=raw) if zipped else raw)
    except EOFError:
        raise InputError(f"{path}: the gzip file is cut off before its end") from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise InputError(f"{path}: the gzip file is broken: {problem}") from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _checked(path: Path, raw: BinaryIO, text: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    """Blocks of text: no zero bytes, no boundless expansion, no byte order mark."""
    expanded = 0
    while block := text.read(CHUNK_BYTES):
        if b"\0" in block:
            raise InputError(f"{path}: holds zero bytes, so it is not a text log in UTF-8 or ASCII")
        if expanded == 0:
            block = block.removeprefix(b"\xef\xbb\xbf")
        expanded += len(block)
        if expanded > FREE_EXPANSION_BYTES and expanded > LARGEST_RATIO * raw.tell():
            raise InputError(
                f"{path}: {raw.tell()} bytes expand to more than {expanded}: not a log that can be trusted"
            )
        yield block
