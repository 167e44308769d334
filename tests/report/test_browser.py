"""The page in a real browser without a network: nothing complains, nothing is asked for, everything is drawn."""

import pytest

from pipeline import report
from tests.report.browser import CHROMIUM, Browser
from tests.report.models import hours, job, journey, published, server, smallest
from tests.report.test_page import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]

DESKTOP, PHONE = 1200, 390
DRAWN = "document.querySelectorAll('.chart[role=graphics-document] svg.marks').length"
WANTED = "document.querySelectorAll('script[data-chart]').length"
EMPTY = "[...document.querySelectorAll('.chart svg.marks')].filter(s => !s.querySelector('.mark-rect.role-mark path')).length"
TOO_WIDE = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    base = tmp_path_factory.mktemp("pages")
    usual, hostile = published(base / "usual", journey()), published(base / "hostile", journey(HOSTILE))
    single = published(base / "single", smallest(1))
    empty = published(base / "empty", {"servers": [server()], "jobs": [job()], "occurrences": hours(0)})
    return {
        "usual": report.write(usual),
        "hostile": report.write(hostile),
        "compared": report.write(usual, base / "compared.html", against=single),
        "single": report.write(single),
        "empty": report.write(empty),
    }


@pytest.mark.parametrize("name", ["usual", "hostile", "compared", "single", "empty"])
def test_a_page_is_drawn_whole_and_in_silence(browser, pages, name):
    for width, dark in ((DESKTOP, False), (PHONE, True)):
        browser.look(width, dark)
        browser.open(pages[name])
        assert browser.complaints == []
        assert [u for u in browser.asked_for if not u.startswith(("file:", "data:"))] == []
        assert browser.ask(DRAWN) == browser.ask(WANTED)
        assert browser.ask(EMPTY) == 0
        assert browser.ask(TOO_WIDE) <= 0


def test_the_page_is_dark_where_the_reader_is_and_light_on_paper(browser, pages):
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = []
    for dark, media in ((False, "screen"), (True, "screen"), (True, "print")):
        browser.look(DESKTOP, dark, media)
        browser.open(pages["usual"])
        seen.append(browser.ask(ground))
    assert seen[0] == seen[2] == "rgb(255, 255, 255)"
    assert seen[1] == "rgb(21, 25, 30)"


def test_a_phase_of_the_flow_can_be_chosen(browser, pages):
    browser.look(DESKTOP)
    browser.open(pages["usual"])
    visible = "[...document.querySelectorAll('.flow')].filter(f => f.offsetHeight > 0).map(f => f.className)"
    assert browser.ask(visible) == ["flow flow-all"]
    browser.ask("document.getElementById('flow-usage').click()")
    assert browser.ask(visible) == ["flow flow-usage"]


def test_a_phone_gets_the_narrow_flow_in_readable_letters(browser, pages):
    browser.look(PHONE)
    browser.open(pages["usual"])
    letters = "[...document.querySelectorAll('.flow-all .narrow text')].map(t => t.getBoundingClientRect().height)"
    assert min(browser.ask(letters)) > 11
    assert browser.ask("document.querySelector('.flow-all .wide').offsetHeight") == 0


def test_no_script_of_an_id_runs_and_none_could(browser, pages):
    browser.look(DESKTOP)
    browser.open(pages["hostile"])
    assert (
        browser.ask("document.querySelectorAll('main img, main script:not([type]), main b[onmouseover]').length") == 0
    )
    browser.ask(
        "{const s = document.createElement('script'); s.textContent = 'window.gotIn = 1'; document.body.append(s)}"
    )
    assert browser.ask("window.gotIn") is None
    assert any("Content Security Policy" in told for told in browser.complaints)


def test_the_page_prints(browser, pages):
    browser.look(DESKTOP)
    browser.open(pages["usual"])
    printed = browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
    assert len(printed["data"]) > 20_000


def test_a_pointed_at_bar_says_what_it_is(browser, pages):
    browser.look(DESKTOP, height=3000)
    browser.open(pages["hostile"])
    place = browser.ask(
        "(() => { const r = document.querySelector('#chart-jobs .mark-rect.role-mark path').getBoundingClientRect();"
        "return [r.x + r.width / 2, r.y + r.height / 2] })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    said = browser.ask("document.getElementById('vg-tooltip-element')?.textContent")
    assert "Manufacturing" in said or "Usage" in said
    assert browser.complaints == []
