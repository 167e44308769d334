"""Ids of any characters: valid, kept to the letter, told apart; in messages one safe line."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

from pipeline import model
from tests.door.models import Case, Edit, Tables, at, cell, refused, renamed

IDS = {
    "slashes": "a/b/c",
    "a way out": "../../etc/passwd",
    "an absolute path": "/dev/null",
    "a drive": "C:\\temp\\x",
    "an equals sign": "server_id=web",
    "percent signs": "100%25%2F..",
    "quotes": 'it\'s "so" `called`',
    "a line break": "two\nlines",
    "a CRLF": "two\r\nlines",
    "a tab": "tab\there",
    "NUL": "nul\x00byte",
    "escape codes": "\x1b[31mred\x1b[0m\x07",
    "SQL": "'; DROP TABLE servers; --",
    "SQL with quotes": '" OR "1"="1',
    "HTML": "<script>alert(1)</script>&amp;",
    "an attribute": '" onmouseover="alert(1)',
    "a template": "{{7*7}}${7*7}%(x)s{0}",
    "a formula": "=cmd|' /C calc'!A0",
    "a sum": "+1+1",
    "a minus": "-2+3",
    "a mention": "@SUM(1)",
    "right to left": "\u05e9\u05e8\u05ea \u0633\u064a\u0631\u0641\u0631",
    "direction marks": "a\u202egnp.exe\u202c",
    "combining characters": "Z\u0351\u036f\u0300\u0301a\u0334\u0321l\u0335g\u0336o",
    "an emoji of many": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "beyond the first plane": "\U00020000\U0010ffff",
    "a mark of byte order": "\ufeffweb",
    "spaces around": "  web  ",
    "a space": " ",
    "a no-break space": "\u00a0",
    "no width": "\u200b",
    "line separators": "a\u2028b\u2029c\x85d",
    "commas": "a,b,,c",
    "10,000 characters": "x" * 10_000,
    "10,000 lines": "\n" * 10_000,
    "a number": "007",
    "a number of 400 digits": "9" * 400,
    "a float": "1e5",
    "a word for nothing": "null",
    "NaN": "NaN",
    "true": "true",
    "a word of our own": "nothing",
    "a column of ours": ":row",
    "a glob": "*.[a-z]?{x}",
    "a home": "~root",
    "a dash option": "--help",
    "an unpaired quote": '"',
    "a device of Windows": "CON",
    "a regular expression": "(a+)+$^\\",
}

WEB = [("servers", "server_id"), ("services", "server_id"), ("jobs", "server_id")]
READ = [("jobs", "job_id"), ("occurrences", "job_id")]


def kept(hostile: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        loaded = model.load(folder)
        assert hostile in loaded["servers"].collect()["server_id"]
        assert hostile in loaded["occurrences"].collect()["job_id"].cast(str)

    return check


def both(*edits: Edit) -> Edit:
    def edit(tables: Tables) -> None:
        for one in edits:
            one(tables)

    return edit


KEPT = [
    Case(f"an id with {name}", (renamed(WEB, "web", text), renamed(READ, "read", text)), check=kept(text))
    for name, text in IDS.items()
]
SHOWN = [
    refused(f"a dangling id with {name}", cell("jobs", 1, "server_id", text),
            at("jobs", 1, "server_id", text, "the server_id of a row in servers or gpu_servers or cloud_servers"))
    for name, text in IDS.items()
]  # fmt: skip

COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "caf\u00e9"), unicodedata.normalize("NFD", "caf\u00e9")
TWINS = {"case": ("Web", "web2"), "Unicode form": (COMPOSED, DECOMPOSED), "a space behind": ("a", "a "), "a zero before": ("7", "07"), "a byte beyond 255": ("\u0101", "\x01")}  # fmt: skip


def _twins(first: str, second: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        assert model.load(folder)["servers"].collect()["server_id"].to_list() == [first, second]

    return check


APART = [
    Case(f"ids that differ by {name}", (renamed(WEB, "web", first), renamed(WEB, "farm", second)), check=_twins(first, second))
    for name, (first, second) in TWINS.items()
]  # fmt: skip
MIXED_UP = [
    refused("an id in another Unicode form", both(renamed(WEB, "farm", COMPOSED), cell("jobs", 1, "server_id", DECOMPOSED)),
            at("jobs", 1, "server_id", DECOMPOSED, "the server_id of a row in servers")),
    refused("a category in another Unicode form", cell("servers", 1, "server_type", "auto\u200bscaling"),
            at("servers", 1, "server_type", "auto\u200bscaling", "autoscaling or serverless or on-premise")),
    refused("an id twice, one of them with hostile characters", both(renamed(WEB, "farm", "\x1b[2J"), renamed(WEB, "web", "\x1b[2J")),
            at("servers", 2, "server_id", "\x1b[2J", "each key once; it stands in 2 rows")),
]  # fmt: skip

CASES: list[Case] = [*KEPT, *SHOWN, *APART, *MIXED_UP]
