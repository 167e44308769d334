"""Which of Polars' engines works out a plan: the streaming one, which is its default, or the one in memory.

The streaming engine hands every plan over to other threads, 0.14 ms for a plan that does nothing against 0.02 in memory. A small model is
hundreds of plans over few rows, and a modelled partition some sixty over few rows of long lists: in memory size A with base columns took
3.6 s instead of 3.9, 100,000 jobs 14.3 instead of 16.6. Many rows that are grouped it does faster, and within bounded memory: a million
rows of sacct took 10.5 s, 12.5 in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import polars as pl

SMALL_INPUTS = 64 << 20
"""Bytes of input files up to which a model is small."""


@contextmanager
def in_memory() -> Iterator[None]:
    """All plans of the process in memory, meanwhile."""
    with pl.Config(engine_affinity="in-memory"):
        yield


@contextmanager
def for_inputs(size: int) -> Iterator[None]:
    """The engine that suits input files of so many bytes."""
    with in_memory() if size <= SMALL_INPUTS else nullcontext():
        yield
