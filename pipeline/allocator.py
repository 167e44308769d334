"""How memory that was freed is kept for the next partition instead of being returned to the system; to be set before Polars is loaded.

Series of a partition are blocks of many megabytes. By default Polars' allocator gives each of them back at once and the system clears the
pages again for the next one: measured on size A, half of the system time and a tenth of a partition's wall time. A process keeps what it
once had; the size of partitions bounds it.
"""

import os

PROCESS = {
    "_RJEM_MALLOC_CONF": "oversize_threshold:0,narenas:1,dirty_decay_ms:-1,muzzy_decay_ms:-1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Variables that a process reads when the libraries are loaded; no linear algebra is done, so no threads wait for any."""
WORKER = {**PROCESS, "MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
"""Those, and what the C library reads when a process starts."""


def keep_memory() -> None:
    """Set what is not set yet, for this process; no effect once Polars is loaded."""
    for name, value in PROCESS.items():
        os.environ.setdefault(name, value)
