"""The gallery's page, opened and clicked in a real browser.

It needs playwright (requirements/dev.txt) and a Chromium or Chrome: the one that TEST_BROWSER names, or one on the
PATH, or the one that playwright has installed.
"""
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_tools import show_coco
from pose_tools.dataset.data_set import DataSet
from pose_tools.dataset.findings import Finding
from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.gallery import collect
from pose_tools.report.gallery_page import Page, write_page

pytestmark = pytest.mark.slow
BROWSERS = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "google-chrome-stable",
            "chrome", "microsoft-edge", "brave-browser")
EVIL = "</script><script>window.hacked=1</script>"
EVIL_POINT = "<img src=x onerror=window.hacked=1>"
NAMES = KeypointSet(("cat", EVIL), ("nose", "left-ear", EVIL_POINT), (("left-ear", EVIL_POINT), ),
                    (("nose", "left-ear"), ("left-ear", EVIL_POINT)))
VISIBLE, NOSE_HIDDEN, NO_NOSE = [(30, 40, 2), (60, 40, 2), (90, 40, 2)], \
    [(30, 40, 1), (60, 40, 2), (90, 40, 2)], [(0, 0, 0), (60, 40, 2), (0, 0, 0)]
# Split, picture, and its objects: class (1 cat, 2 evil) and points.
PICTURES = [("train", "b2.png", [(1, VISIBLE)]),
            ("train", "b10.png", [(1, NOSE_HIDDEN), (2, NO_NOSE)]),
            ("train", "<b>貓</b>.png", [(2, VISIBLE), (1, NO_NOSE), (1, VISIBLE)]),
            ("val", "a.png", []),
            ("val", "v.png", [(2, NOSE_HIDDEN)])]


def find_browser():
    """A browser's path, or None for playwright's own; and why there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    named = os.environ.get("TEST_BROWSER")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as driver:
        if found is None and not Path(driver.chromium.executable_path).is_file():
            pytest.skip("no Chromium or Chrome on the PATH or in TEST_BROWSER (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def browser():
    path = find_browser()
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=path)
        except Error as error:
            if "TEST_BROWSER" in os.environ:
                raise
            pytest.skip(f"{path or 'the browser'} does not start: {str(error).splitlines()[0]}")
        yield started
        started.close()


def data_of(folder):
    """Pictures of 120 x 80 px; annotation ids count from 1 in each split."""
    files = {split: folder / f"{split}_coco.json" for split in ("train", "val")}
    sides = {split: {"images": [], "annotations": [], "categories": coco_categories(NAMES)} for split in files}
    (folder / "images").mkdir()
    for split, name, objects in PICTURES:
        data = sides[split]
        data["images"].append(coco_image(len(data["images"]) + 1, name, (120, 80)))
        if "<" not in name:  # one is missing; the others can exist on any system
            cv2.imwrite(str(folder / "images" / name), np.full((80, 120, 3), 70, np.uint8))
        data["annotations"] += [
            coco_annotation(len(data["annotations"]) + 1 + i, len(data["images"]), category, (20, 30, 100, 50), points)
            for i, (category, points) in enumerate(objects)]
    return DataSet(files, sides, dict.fromkeys(files, folder / "images"))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    data = data_of(folder)
    train = data.files["train"]
    findings = [
        Finding(train, "points nowhere", "annotation 2", "odd-point", "warning", 2, 2, ("nose", ), 7.0),
        Finding(train, "is hidden", "annotation 2", "hidden", "error", 2, 2, (EVIL_POINT, ), 0.0),
        Finding(train, f"is {EVIL}", "annotation 4", "odd-point", "warning", 3, 4, (), 3.0),
        Finding(train, f"about {EVIL_POINT}", "", "whole", "warning")]
    pictures, elsewhere = collect(data, findings)
    write_page(folder / "page.html", pictures, Page(f"set {EVIL}", NAMES, 8, elsewhere))
    return (folder / "page.html").as_uri()


class Gallery:
    """An open page, and what the browser complained of."""

    def __init__(self, browser, address, **options):
        self.page = browser.new_page(viewport={"width": 1200, "height": 800}, **options)
        self.errors = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else self.errors.append(r.url))
        self.address = address
        self.page.goto(address)

    def cards(self):
        return [card.get_attribute("data-name") for card in self.page.locator(".card:visible").all()]

    def choose(self, **values):
        for name, value in values.items():
            self.page.locator(f"#controls [name={name}]").select_option(value)
        return sorted(self.cards())

    def count(self):
        return self.page.inner_text("#count")

    def open(self, name):
        self.page.locator(f'.card[data-name="{name}"] .open').click()

    def visible(self, selector):
        # A level line has a box of no height, which playwright takes for invisible.
        return self.page.evaluate("""(selector) => {
            const shown = (one) => !one.closest || getComputedStyle(one).display !== "none" && shown(one.parentNode);
            return [...document.querySelectorAll(selector)].filter(shown).length; }""", f"#stage {selector}")


@pytest.fixture
def gallery(browser, address):
    opened = Gallery(browser, address)
    yield opened
    assert opened.errors == []
    assert opened.page.evaluate("window.hacked") is None, "a name was run as a script"
    opened.page.close()


def test_all_pictures_are_there_the_worst_first(gallery):
    assert gallery.cards() == ["b10.png", "<b>貓</b>.png", "b2.png", "a.png", "v.png"], "error, warning, then by name"
    assert gallery.count() == "5 of 5 pictures, 7 objects"
    assert gallery.page.inner_text("#left-out") == "The 5 most suspicious of 8 pictures; --count takes more."
    assert gallery.page.locator(".card:nth-child(1) svg image").count() == 1
    assert gallery.page.locator(".card:nth-child(1) .foot").inner_text().count("hidden") == 1


def test_filters_leave_what_fits(gallery):
    assert gallery.choose(split="val") == ["a.png", "v.png"]
    assert gallery.choose(split="", **{"class": EVIL}) == ["<b>貓</b>.png", "b10.png", "v.png"]
    assert gallery.count() == "3 of 5 pictures, 3 objects"
    # Of the three evil objects, one has a visible nose, one a hidden one and one has none.
    assert gallery.choose(keypoint="nose", how="lacks") == ["b10.png"]
    assert gallery.choose(how="has") == ["<b>貓</b>.png", "v.png"]
    assert gallery.choose(how="occluded") == ["v.png"]
    assert gallery.choose(**{"class": ""}) == ["b10.png", "v.png"]
    assert gallery.choose(split="train", how="lacks") == ["<b>貓</b>.png", "b10.png"]
    gallery.page.click("#clear")
    assert len(gallery.cards()) == 5
    assert gallery.choose(finding="rule:odd-point") == ["<b>貓</b>.png", "b10.png"]
    assert gallery.choose(finding="rule:hidden") == ["b10.png"] == gallery.choose(finding="level:error")
    assert gallery.choose(finding="none") == ["a.png", "b2.png", "v.png"]


def test_searching_by_name(gallery):
    search = gallery.page.locator("#controls [name=q]")
    search.fill("貓")
    assert gallery.cards() == ["<b>貓</b>.png"] and gallery.count() == "1 of 5 pictures, 3 objects"
    search.fill("B1")
    assert gallery.cards() == ["b10.png"]
    search.fill("nothing like it")
    assert gallery.cards() == [] and gallery.page.locator("#none").is_visible()


def test_sorting(gallery):
    gallery.choose(sort="name")
    assert gallery.cards() == ["<b>貓</b>.png", "a.png", "b2.png", "b10.png", "v.png"], "2 before 10"
    gallery.choose(sort="objects")
    assert gallery.cards() == ["<b>貓</b>.png", "b10.png", "b2.png", "v.png", "a.png"]


def test_the_large_view_shows_findings_and_objects(gallery):
    page = gallery.page
    gallery.open("b10.png")
    assert page.inner_text("#large-name") == "train: b10.png"
    said = [row.inner_text() for row in page.locator("#findings li").all()]
    assert len(said) == 2 and "annotation 2: is hidden" in said[0] and "annotation 2: points nowhere" in said[1]
    rows = page.locator("#objects .object")
    assert rows.count() == 2 and "not labelled: nose, " in rows.nth(1).inner_text()
    assert EVIL in rows.nth(1).inner_text(), "as text"
    # Annotation 2: nose hidden, two visible; annotation 3: the left ear alone.
    assert (gallery.visible(".point"), gallery.visible(".ring"), gallery.visible(".disc")) == (4, 1, 3)
    assert gallery.visible("circle.mark.error") == gallery.visible("circle.mark.warning") == 1
    rows.nth(0).locator("summary").click()
    cells = [cell.inner_text() for cell in rows.nth(0).locator("tr:nth-child(2) td").all()]
    assert cells == ["1", "nose", "occluded", "30", "40"]


def test_toggles_hide_parts_of_the_labels(gallery):
    gallery.open("b2.png")
    assert gallery.visible(".of-links .link") == 2 and gallery.visible(".box") == 1 and gallery.visible(".point") == 3
    for key, selector in (("links", ".link"), ("boxes", ".box"), ("points", ".point")):
        box = gallery.page.locator(f"#large [data-look={key}]")
        box.uncheck()
        assert gallery.visible(selector) == 0, key
        box.check()
        assert gallery.visible(selector) > 0
    assert gallery.visible(".swap") == gallery.visible("tspan.of-names") == 0, "off at first"
    gallery.page.locator("#large [data-look=swaps]").check()
    gallery.page.locator("#large [data-look=names]").check()
    assert gallery.visible(".swap") == 1 and gallery.visible("tspan.of-names") == 3
    assert EVIL_POINT in gallery.page.locator("#stage svg").text_content()


def test_hovering_names_a_point(gallery):
    gallery.open("b10.png")
    gallery.page.locator('#stage .point[data-annotation="2"][data-number="0"]').hover()
    assert gallery.page.inner_text("#tip") == "1 nose\noccluded, x 30, y 40\ncat #2"
    gallery.page.locator('#stage .point[data-annotation="2"][data-number="2"]').hover()
    assert EVIL_POINT in gallery.page.inner_text("#tip")


def test_points_are_drawn_where_they_are(gallery):
    """The nose at (30, 40) of a picture of 120 x 80 px is at (30.5 / 120, 40.5 / 80) of it on the screen."""
    gallery.open("b2.png")
    picture = gallery.page.locator("#stage image").bounding_box()
    nose = gallery.page.locator('#stage .point[data-number="0"] .disc').bounding_box()
    assert nose["x"] + nose["width"] / 2 == pytest.approx(picture["x"] + picture["width"] * 30.5 / 120, abs=1)
    assert nose["y"] + nose["height"] / 2 == pytest.approx(picture["y"] + picture["height"] * 40.5 / 80, abs=1)


def test_keys_go_through_the_pictures_that_are_left(gallery):
    page = gallery.page
    gallery.choose(split="train", sort="name")
    gallery.open("b2.png")
    assert page.inner_text("#large-place").endswith("2 of 3")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-name") == "train: b10.png"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-name") == "train: b10.png", "the last"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#large-name") == "train: <b>貓</b>.png"
    assert "cannot be read: the file is not there" in page.inner_text("#facts-of-picture")
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()
    # The browser gives the focus back in its own time.
    assert waited_for(page, "<b>貓</b>.png") == "<b>貓</b>.png"
    page.keyboard.press("ArrowRight")
    assert waited_for(page, "b2.png") == "b2.png"


def waited_for(page, name):
    """The name of the card that has the focus, once it is this one or two seconds have passed."""
    for _ in range(100):
        found = page.evaluate("document.activeElement.closest('.card')?.dataset.name")
        if found == name:
            break
        page.wait_for_timeout(20)
    return found


def test_zooming(gallery):
    page = gallery.page

    def view():
        return [float(value) for value in page.locator("#stage svg").get_attribute("viewBox").split()]

    gallery.open("b10.png")
    assert view() == [0, 0, 120, 80]
    page.keyboard.press("+")
    assert view() == pytest.approx([12, 8, 96, 64])
    size = page.locator("#stage .disc").first.bounding_box()["width"]
    page.keyboard.press("+")
    larger = page.locator("#stage .disc").first.bounding_box()["width"]
    assert larger == pytest.approx(size, abs=1), "points keep their size"
    page.keyboard.press("0")
    assert view() == [0, 0, 120, 80]
    page.locator("#objects .object button").first.click()
    # Box (20, 30) to (100, 50), a fifth of its longer side as room.
    assert view() == pytest.approx([4, 14, 112, 52])
    page.click("#large-whole")
    page.locator("#stage").hover()
    page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('#stage svg').viewBox.baseVal.width < 119")


def test_the_address_keeps_the_state(browser, address, gallery):
    page = gallery.page
    gallery.choose(**{"class": EVIL}, keypoint=EVIL_POINT, how="lacks", sort="name")
    page.locator("#controls [data-look=links]").uncheck()
    gallery.open("b10.png")
    again = Gallery(browser, page.url)
    assert again.page.inner_text("#large-name") == "train: b10.png"
    again.page.keyboard.press("Escape")
    assert again.cards() == ["b10.png"] and again.page.locator("#controls [name=sort]").input_value() == "name"
    assert not again.page.locator("#controls [data-look=links]").is_checked()
    assert again.errors == []
    again.page.evaluate("location.hash = 'split=val&class=nowhere'")
    again.page.wait_for_function("document.querySelector('#count').textContent.startsWith('2 of 5')")
    assert again.cards() == ["a.png", "v.png"], "a class that is not there is no filter"
    again.page.close()


def test_names_stay_text(gallery):
    page = gallery.page
    assert page.title() == page.inner_text("h1") == f"set {EVIL}"
    assert page.locator("b").count() == 0 and page.locator("img").count() == 0
    assert EVIL_POINT in page.inner_text("#elsewhere")
    assert page.locator(f'#controls [name=class] option[value="{EVIL}"]').inner_text() == EVIL
    assert EVIL_POINT in page.inner_text("#legend")


def test_what_is_clicked_has_a_name(gallery):
    """Buttons, boxes and lists have a text that a screen reader can say."""
    gallery.open("b10.png")
    nameless = gallery.page.evaluate("""() => [...document.querySelectorAll('button, input, select, svg[role=img]')]
        .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.[0]?.textContent))
        .map((one) => one.outerHTML.slice(0, 80))""")
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_text_can_be_read_by_day_and_night(browser, address, scheme):
    opened = Gallery(browser, address, color_scheme=scheme)
    ink, paper = (opened.page.evaluate(f"getComputedStyle(document.body).{what}")
                  for what in ("color", "backgroundColor"))
    bright = [sum(int(part) for part in colour[4:-1].split(",")) for colour in (ink, paper)]
    assert (bright[0] < 200 and bright[1] > 600) if scheme == "light" else (bright[0] > 600 and bright[1] < 200)
    opened.page.close()


def test_the_whole_command_in_chinese(browser, cars, tmp_path):
    assert show_coco.main([str(cars), "--html", str(tmp_path / "p.html"), "--lang", "zh-TW", "--swaps"]) == 0
    opened = Gallery(browser, (tmp_path / "p.html").as_uri())
    assert len(opened.cards()) == 12 and "共 12 張圖片" in opened.count()
    assert len(opened.choose(split="val")) == 3
    opened.page.locator(".card:visible .open").first.click()
    assert opened.visible(".swap") > 0 and opened.errors == []
    opened.page.close()


def test_one_finding_is_not_several(gallery):
    badges = gallery.page.locator(".badge").all_inner_texts()
    assert badges and not {"1 errors", "1 warnings"} & set(badges)
