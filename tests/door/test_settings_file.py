"""wattrow.toml: unknown, misspelt and impossible settings are refused before anything is read."""

import pytest

from pipeline import settings
from pipeline.errors import InputError

WRONG = {
    "an unknown setting": ("colour = 'red'", "colour"),
    "a misspelt setting": ("atribution_key = 'weight'", "atribution_key"),
    "a value that is none of the words": ("attribution_key = 'size'", "attribution_key"),
    "a word in capitals": ("columns = 'ALL'", "columns"),
    "a number for a word": ("columns = 3", "columns"),
    "an unknown table": ("tables = 'need.job, need.jobs'", "need.jobs"),
    "no runs to keep": ("keep_runs = 0", "keep_runs"),
    "a fraction of runs to keep": ("keep_runs = 1.5", "keep_runs"),
    "no workers": ("workers = 0", "workers"),
    "a million workers": ("workers = 1000000", "workers"),
    "memory without a unit": ("memory = '2'", "memory"),
    "memory too small to work in": ("memory = '1MB'", "memory"),
    "memory in words": ("memory = 'much'", "memory"),
    "no TOML": ("columns: all", "wattrow.toml"),
    "a setting twice": ("columns = 'all'\ncolumns = 'base'", "wattrow.toml"),
    "a string without an end": ("columns = 'all", "wattrow.toml"),
    "a table of settings": ("[run]\ncolumns = 'all'", "run"),
    "a list of settings": ("columns = ['all', 'base']", "columns"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused(name, tmp_path):
    text, named = WRONG[name]
    (tmp_path / "wattrow.toml").write_text(text)
    with pytest.raises(InputError, match=named) as refusal:
        settings.load(tmp_path, {})
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize("data", [b"columns = 'all\xff'", b"\xff\xfec\x00o\x00", b"\x00\x00"])
def test_settings_that_are_no_text_are_refused(data, tmp_path):
    (tmp_path / "wattrow.toml").write_bytes(data)
    with pytest.raises(InputError, match=r"wattrow\.toml"):
        settings.load(tmp_path, {})


def test_a_folder_for_settings_is_refused(tmp_path):
    (tmp_path / "wattrow.toml").mkdir()
    with pytest.raises(InputError, match=r"wattrow\.toml"):
        settings.load(tmp_path, {})
