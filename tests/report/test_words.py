import pytest

from pipeline.report.markup import json_script, named, table, tag
from pipeline.report.words import change, count, distinct, energy, listed, mass, percent, shown, significant, stored

NB, NNB = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("kg", "said"),
    [(0, "0 kg"), (1.2345, "1.23 kg"), (999.6, "1,000 kg"), (1234, "1.23 t"), (0.0123, "12.3 g"), (1e-9, "0.00100 mg"), (17.9e6, "17.9 kt")],
)  # fmt: skip
def test_masses_are_in_the_unit_that_suits_them(kg, said):
    assert mass(kg).replace(NB, " ").replace(NNB, ",") == said


def test_energies_and_data_have_their_own_units():
    assert energy(0.5) == f"500{NB}Wh"
    assert energy(2.5e6) == f"2.50{NB}GWh"
    assert stored(0.25) == f"250{NB}GB"
    assert mass(None) == mass(float("nan")) == "–"


def test_a_difference_has_its_sign():
    assert [change(x)[0] for x in (1, -1, 0)] == ["+", "\u2212", "±"]


def test_a_share_says_little_rather_than_zero():
    assert percent(1, 3) == f"33.3{NB}%"
    assert percent(1, 10_000) == f"under{NB}0.1{NB}%"
    assert percent(1, 0) == percent(None) == "–"
    assert percent(1, 1) == f"100{NB}%"
    assert percent(0.9999, 1) == f"over{NB}99.9{NB}%"
    assert percent(742, 100) == f"742{NB}%"


def test_numbers_keep_three_digits():
    assert significant(12345.6) == f"12{NNB}300"
    assert significant(0.000123456) == "0.000123"
    assert significant(1e-30) == "1.00e-30"


def test_counts_have_plurals():
    assert count(1, "job") == f"1{NB}job"
    assert count(2000, "job") == f"2{NNB}000{NB}jobs"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert listed(["a", "b"]) == "a and b"


def test_a_text_is_one_harmless_line():
    assert shown("a\nb\x1b[31m\u202e") == "a⟨000A⟩b⟨001B⟩[31m⟨202E⟩"
    assert shown("x" * 10_000) == "x" * 59 + "…"
    assert shown("עברית é") == "עברית é"


def test_no_two_labels_are_alike():
    labels = distinct({1: "x" * 100, 2: "x" * 101, 3: "x" * 60})
    assert len(set(labels.values())) == 3
    assert all(len(label) <= 62 for label in labels.values())


def test_everything_in_markup_is_escaped():
    bad = "<b>\"'&"
    assert named(bad) == "<bdi>&lt;b&gt;&quot;&#x27;&amp;</bdi>"
    assert tag("p", bad, title=bad) == '<p title="&lt;b&gt;&quot;&#x27;&amp;">&lt;b&gt;&quot;&#x27;&amp;</p>'
    assert "<b>" not in table(bad, [bad], [[bad]])


def test_data_cannot_leave_its_script():
    inside = json_script({"a": "</script><!--\u2028", "b": float("nan"), "c": float("inf")})
    assert inside.count("<") == 2
    assert '"b":null,"c":null' in inside
