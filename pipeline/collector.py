"""Python's collector of garbage, kept from what it would do in vain. Light to load."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector while much is loaded: it would go through all of it again and again, a sixth of the time, and free nothing."""
    gc.disable()
    try:
        yield
    finally:
        collect_again()


SELDOM = (20_000, 20, 20)
"""Objects more than before after which the collector looks at the newest, and how often at these before it looks at older ones: seven hundred
and ten took a fiftieth of size A (2.13 -> 2.08 s, sixteen runs each by turns), with as much memory."""


def collect_again() -> None:
    """Let the collector work from here on, but seldom, and not go through what is loaded by now, which stays."""
    if "duckdb" not in sys.modules:  # which complains of leaks where it is not collected
        gc.freeze()
    gc.set_threshold(*SELDOM)
    gc.enable()
