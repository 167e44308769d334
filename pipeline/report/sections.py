"""What the sections of the page are made of: charts with captions and numbers, and the words they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from pipeline.report.charts import Chart
from pipeline.report.markup import Html, tag
from pipeline.report.words import (
    shown,
)

KIND_WORDS = {"server": "Servers", "storage": "Storage", "network": "Network", "device": "Devices"}
PHASE_WORDS = {"manufacturing": "Manufacturing", "usage": "Usage"}
PERIOD_WORDS = {"1h": "hour", "1d": "day", "1mo": "month", "1y": "year"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CO2 = "CO₂e"
IN_QUOTES = 40


@dataclass(frozen=True)
class Figure:
    """A chart with its caption and its numbers."""

    chart: Chart
    caption: str
    numbers: Html


@dataclass(frozen=True)
class Section:
    """A part of the page; `parts` in order, markup or figures."""

    key: str
    short: str
    title: str
    parts: Sequence[Html | Figure] = field(default_factory=tuple)

    @property
    def figures(self) -> list[Figure]:
        """The charts of the section, with their captions."""
        return [p for p in self.parts if isinstance(p, Figure)]


def total(values: pl.Series) -> float:
    """The sum of numbers, 0 where there are none."""
    return float(values.sum())


def note(words: str) -> Html:
    """A sentence below what it explains."""
    return tag("p", words, class_="note")


def paragraph(words: str) -> Html:
    """A sentence."""
    return tag("p", words)


def quoted(label: str) -> str:
    """A name from the model inside a sentence."""
    return f"“{shown(label, IN_QUOTES)}”"


def when(moment: datetime, every: str) -> str:
    """A period as a person writes it."""
    form = {"1h": "%Y-%m-%d %H:00 UTC", "1d": "%Y-%m-%d", "1mo": "%Y-%m", "1y": "%Y"}[every]
    return f"{moment:{form}}"
