"""How memory that was freed is kept for the next partition instead of being returned to the system; to be set before Polars is loaded.

Series of a partition are blocks of many megabytes. By default the allocators of Polars, Arrow and numpy each give them back at once, and the
system clears the pages again for the next one: measured on size A, half of the system time and a tenth of a partition's wall time. A process
keeps what it once had; the size of partitions bounds it. Arrow takes its memory from the C library, as numpy does, so that one uses what
the other has freed (size A with base columns: 2.84 -> 2.71 s).
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PROCESS = {
    "_RJEM_MALLOC_CONF": "oversize_threshold:0,narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Variables that a process reads when the libraries are loaded; products are of single series, too short for threads."""
LARGEST_OF_HEAP, KEPT_OF_HEAP = 1_000_000_000, 2_000_000_000
"""Bytes of a block from which on the C library asks the system for each, and bytes freed at the end of its heap from which on it returns them."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""What they are called in malloc.h."""
FIRST_BYTES = 100 << 20
"""What is had ready for a first partition; not tuned: with it one of size A took 0.32 s instead of 0.38."""


def keep_memory() -> None:
    """Set what is not set yet, for this process; no effect on Polars and Arrow once they are loaded."""
    for name, value in PROCESS.items():
        os.environ.setdefault(name, value)
    with suppress(OSError, AttributeError):  # another C library than glibc
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_OF_HEAP)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_OF_HEAP)


@contextmanager
def warming_up() -> Iterator[None]:
    """Have the system give the memory of the first partition, in a thread: it takes longer than to use it again. At the end it is there to be used."""
    import numpy as np

    block = np.empty(FIRST_BYTES, dtype=np.uint8)
    given = threading.Thread(target=ctypes.memset, args=(ctypes.c_void_p(block.ctypes.data), 0, FIRST_BYTES))
    given.start()
    try:
        yield
    finally:
        given.join()
