"""The page of demo.py in a real browser, at a phone's width and a desk's: drawn on, given files, learning, recognising.

Skipped where Debian's chromium and its driver are missing (`apt-get install chromium chromium-driver`), and the check
for accessibility where axe-core is (`npm install --no-save --prefix . axe-core` in the checkout).
DEMO_PICTURE=docs/demo.png python -m pytest tests/test_demo_page.py -k picture: draws the picture of the page anew.
"""
import json
import os
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import waitress
from own_images import shape
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.demo import characters
from mindspore_maml.demo.app import make_app
from mindspore_maml.demo.one_thread import OneThread
from mindspore_maml.demo.teacher import Teacher

ROOT = Path(__file__).resolve().parent.parent
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WAYS = 3
PHONE, DESK = (390, 844), (1280, 800)   # pixels
BOTH = [(PHONE, "en"), (DESK, "zh")]
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium and chromedriver here")
# The strokes of three characters, in parts of the pad's side
CROSS = [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]]
SQUARE = [[(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75), (0.25, 0.25)]]
ZIGZAG = [[(0.2, 0.2), (0.8, 0.35), (0.2, 0.5), (0.8, 0.65), (0.2, 0.8)]]
NAMES, FIGURES = ("A", "B", "C"), (CROSS, SQUARE, ZIGZAG)


@pytest.fixture(scope="module")
def in_turn():
    """The thread in which the server learns and answers."""
    in_turn = OneThread()
    yield in_turn
    in_turn.close()


@pytest.fixture(scope="module")
def address(in_turn):
    """Where the page is served, with the published network."""
    teacher = Teacher(FewShotClassifier)
    in_turn(teacher.fitted, [images for images, _ in characters.glyphs().draw(WAYS, 1, np.random.default_rng(1))])
    server = waitress.create_server(make_app(teacher, characters.glyphs(), in_turn), host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """The folder where the browser puts what it downloads."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    yield driver
    driver.quit()


@pytest.fixture
def page(request, browser, address):
    """The page, fresh, with three classes; its size and language as parameter, by default a phone's and English."""
    size, language = getattr(request, "param", (PHONE, "en"))
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
    browser.get(address)
    browser.execute_script("localStorage.clear(); localStorage.setItem('language', arguments[0])", language)
    reload(browser, address)
    Select(by_id(browser, "ways")).select_by_value(str(WAYS))
    yield browser
    assert [entry for entry in browser.get_log("browser") if "Failed to load resource" not in entry["message"]] == []


def reload(page, address):
    page.get(address)
    wait_for(page, lambda: page.execute_script("return typeof state") == "object")   # its scripts have run


def by_id(page, name):
    return page.find_element(By.ID, name)


def press(page, name):
    by_id(page, name).click()


def draw(page, strokes, finger=False, shift=0.0):
    """Draw with a real pointer: down, along the corners of each stroke, up."""
    pad = by_id(page, "pad")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
    side = pad.size["width"]
    pointer = PointerInput(interaction.POINTER_TOUCH, "finger") if finger else \
        PointerInput(interaction.POINTER_MOUSE, "mouse")
    for stroke in strokes:
        chain = ActionChains(page, duration=10, devices=[pointer])
        action = chain.w3c_actions.pointer_action
        for number, (x, y) in enumerate(stroke):
            action.move_to(pad, round((x + shift - 0.5) * side), round((y + shift - 0.5) * side))
            if number == 0:
                action.pointer_down()
        action.pointer_up()
        chain.perform()


def drop(page, files, element):
    """Drop files on an element, as if they came from outside the browser."""
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    place = page.execute_script("const box = arguments[0].getBoundingClientRect();"
                                "return {x: box.x + box.width / 2, y: box.y + box.height / 2}", element)
    data = {"items": [], "files": list(map(str, files)), "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def wait_for(page, what, seconds=90):
    return WebDriverWait(page, seconds, poll_frequency=0.05).until(lambda _: what())


def status(page):
    return by_id(page, "status").text


def says(page, *expected):
    """Whether the status is this one, in the page's language: a key of its words, and the first of what fills it in."""
    said, text = page.execute_script("return [state.status, say(...state.status)]")
    return said[:len(expected)] == list(expected) and status(page) == text


def wait_for_status(page, key, *values):
    wait_for(page, lambda: says(page, key, *values))


def counts(page):
    """How many examples each class shows."""
    return [len(item.find_elements(By.CLASS_NAME, "thumb"))
            for item in page.find_elements(By.CSS_SELECTOR, "#classes li")]


def numbers(page):
    """The probabilities that the bars show, by the classes' names; empty before there are any."""
    texts = page.execute_script(   # all at once: between two questions the page may have other bars
        "return [...document.querySelectorAll('#bars li')].map(bar => bar.innerText.trim().split(/\\s*\\n\\s*/))")
    return {text[0]: float(text[1].split()[0]) for text in texts if len(text) > 1 and text[1] != "–"}


def learn(page):
    press(page, "learn")
    wait_for_status(page, "learned")


def draw_classes(page):
    """Draw an example of each class, going on by the button beside the pad, which learns in the end."""
    for number, strokes in enumerate(FIGURES):
        draw(page, strokes, finger=number == 1)
        press(page, "next")
    wait_for_status(page, "learned")


def answers(page):
    """How many requests for an answer have come back."""
    return page.execute_script("return performance.getEntriesByType('resource').filter("
                               "entry => entry.name.endsWith('api/answer')).length")


# ---- by drawing

@pytest.mark.parametrize("page", BOTH, indirect=True)
def test_it_learns_what_is_drawn_and_recognises_another(page):
    assert says(page, "missing", "A")
    by_id(page, "name-0").send_keys(Keys.BACKSPACE, "cross")
    draw_classes(page)
    for name, strokes in zip(("cross", "B", "C"), FIGURES):
        for shown in range(1, len(strokes) + 1):   # live: after each stroke
            before = answers(page)
            draw(page, strokes[shown - 1:shown], shift=0.03, finger=name == "C")
            wait_for(page, lambda before=before: answers(page) > before and numbers(page))
        wait_for_status(page, "taken", name)
        found = numbers(page)
        assert max(found, key=found.get) == name
        assert sum(found.values()) == pytest.approx(100, abs=0.2)
        press(page, "clear")
        assert numbers(page) == {}
    loaded = page.execute_script("return performance.getEntries().map(entry => entry.name)")
    assert all(name.startswith(page.current_url) for name in loaded if "://" in name)


@pytest.mark.parametrize("page", [(PHONE, "en"), (PHONE, "zh"), (DESK, "en"), (DESK, "zh")], indirect=True)
def test_the_answer_stands_beside_the_pad(page):
    Select(by_id(page, "ways")).select_by_value("10")
    page.execute_script("""
        state.names[3] = 'a name of twenty let';
        state.answer = { probabilities: Array(10).fill(0.1), seen: '' };
        Object.assign(state, { learned: 'some', target: null });
        show();""")
    pad, bars = by_id(page, "pad").rect, by_id(page, "bars").rect
    assert bars["x"] >= pad["x"] + pad["width"]
    assert abs(bars["y"] - pad["y"]) < 20
    assert pad["width"] >= 200
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_keep_stays_on_its_class(page):
    for strokes in (CROSS, CROSS[:1]):
        draw(page, strokes)
        press(page, "keep")
    assert (counts(page), page.execute_script("return state.target")) == ([2, 0, 0], 0)
    assert says(page, "kept", "A", 2, 5)
    press(page, "keep")
    assert says(page, "empty")
    press(page, "next")
    draw(page, SQUARE)
    press(page, "draw-2")   # which keeps the drawing before
    assert counts(page) == [2, 1, 0]
    for _ in range(6):
        draw(page, CROSS[:1])
        press(page, "keep")
    assert (counts(page), says(page, "full", "C", 5)) == ([2, 1, 5], True)


def test_everything_is_reached_and_drawn_by_keys(page):
    for _ in range(20):
        ActionChains(page, duration=0).send_keys(Keys.TAB).perform()
        if page.switch_to.active_element.get_attribute("id") == "pad":
            break
    pad = page.switch_to.active_element
    pad.send_keys(" ", *[Keys.ARROW_RIGHT] * 5, *[Keys.ARROW_DOWN] * 5, " ")
    inked = page.execute_script("return [...arguments[0].getContext('2d').getImageData(220, 205, 80, 10).data]"
                                ".filter((value, place) => place % 4 == 0 && value < 100).length", pad)
    assert inked > 100
    pad.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "keep"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert counts(page) == [1, 0, 0]
    page.find_element(By.CLASS_NAME, "thumb").send_keys(Keys.ENTER)   # removes it
    assert counts(page) == [0, 0, 0]


def test_characters_of_test_alphabets_by_one_click(page):
    press(page, "characters")
    wait_for(page, lambda: numbers(page))
    assert counts(page) == [1] * WAYS
    seen = page.find_elements(By.CSS_SELECTOR, ".thumb .seen, #seen-image")   # of examples and question
    assert [image.get_property("naturalWidth") for image in seen] == [28] * (WAYS + 1)
    right = 0
    for _ in range(6):
        press(page, "another")
        wait_for(page, lambda: len(numbers(page)) == WAYS)
        right += "it is recognised" in status(page)
    assert right >= 4


def test_that_an_answer_is_waited_for_is_said(page, in_turn):
    draw_classes(page)
    held = threading.Event()
    in_turn.later(held.wait, 30)   # as while it compiles
    draw(page, SQUARE)
    wait_for_status(page, "recognising")
    held.set()
    wait_for_status(page, "taken", "B")


def test_an_answer_may_be_none_of_these(page):
    page.execute_script("""
        state.learned = 'some';
        state.target = null;
        request = async () => ({ probabilities: [0.2, 0.7, 0.1], none: true, seen: '' });""")
    draw(page, ZIGZAG)
    wait_for_status(page, "none", "B", "70.0")
    assert [item.text for item in page.find_elements(By.CSS_SELECTOR, "#bars .best")] == ["None of these"]
    page.execute_script("report(0)")
    assert status(page) == "Shown was A, but it is taken for none of these (nearest: B, 70.0 %)."


def test_what_was_learned_of_other_examples_is_dropped(page):
    """The examples change while the server learns: its answer is of as many classes as there were."""
    page.execute_script("""
        request = () => new Promise(resolve => { answer = resolve; });
        state.examples.forEach(one => one.push({url: ''}));""")
    press(page, "learn")
    Select(by_id(page, "ways")).select_by_value("2")
    page.execute_script("answer({name: 'of three', milliseconds: 1, seen: [[''], [''], ['']]})")
    wait_for(page, lambda: by_id(page, "learn").is_enabled())
    assert (status(page), page.execute_script("return state.learned")) == ("Press Learn.", None)
    press(page, "learn")
    page.execute_script("answer({name: 'of two', milliseconds: 1, seen: [[''], ['']]})")
    wait_for(page, lambda: page.execute_script("return state.learned") == "of two")
    press(page, "characters")
    Select(by_id(page, "ways")).select_by_value("3")
    page.execute_script("answer({classes: [{examples: [''], others: ['']}, {examples: [''], others: ['']}]})")
    assert page.execute_script("return state.examples.length") == 3


# ---- by files

@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files as a camera makes them, of the three classes: two for each, in mixed formats."""
    folder, draws = tmp_path_factory.mktemp("photos"), np.random.default_rng(2)
    names = [f"{name} {number}{suffix}" for name in ("circle", "cross", "stripes")
             for number, suffix in enumerate((".jpg", ".png"))]
    for name in names:
        shape(name.split()[0], draws).resize((1600, 1200)).save(folder / name)
    return [folder / name for name in names]


@pytest.mark.parametrize("page", BOTH, indirect=True)
def test_photos_are_dropped_on_a_class_and_on_the_question(page, photos):
    for number in range(WAYS):
        drop(page, photos[2 * number:2 * number + 1], page.find_elements(By.CSS_SELECTOR, "#classes li")[number])
        wait_for_status(page, "kept", page.execute_script("return state.names")[number], 1, 5)
    learn(page)
    for number, name in enumerate(NAMES):
        drop(page, photos[2 * number + 1:2 * number + 2], by_id(page, "pad"))
        wait_for_status(page, "taken", name)
        press(page, "clear")


def test_photos_are_chosen(page, photos, tmp_path):
    by_id(page, "photo-files").send_keys("\n".join(map(str, photos[:2])))
    wait_for_status(page, "kept", "A", 2, 5)
    seen = page.find_elements(By.CSS_SELECTOR, ".thumb .seen")   # at once, for the crop to be judged
    assert [image.get_property("naturalWidth") for image in seen] == [28, 28]
    press(page, "draw-1")
    by_id(page, "camera-file").send_keys(str(photos[2]))
    wait_for_status(page, "kept", "B", 1, 5)
    (tmp_path / "letter.txt").write_text("no picture")
    by_id(page, "photo-files").send_keys("\n".join(map(str, (tmp_path / "letter.txt", photos[3]))))
    wait_for_status(page, "refusedFile", "letter.txt")   # and the other is taken
    assert counts(page) == [2, 2, 0]
    by_id(page, "photo-files").send_keys("\n".join(map(str, photos)))
    wait_for_status(page, "full", "B", 5)
    assert counts(page) == [2, 5, 0]


def test_a_file_dropped_beside_everything_does_not_replace_the_page(page, photos):
    drop(page, photos[:1], page.find_element(By.TAG_NAME, "h1"))
    assert (counts(page), by_id(page, "learn").is_displayed()) == ([0, 0, 0], True)


def test_a_project_outlives_a_reload_and_is_saved_and_loaded(page, address, downloads, photos, tmp_path):
    by_id(page, "name-1").send_keys(Keys.BACKSPACE, "<b>波</b>")
    draw(page, CROSS)
    press(page, "next")
    by_id(page, "photo-files").send_keys(str(photos[0]))
    wait_for_status(page, "kept", "<b>波</b>", 1, 5)
    kept = page.execute_script("return projectText()")
    reload(page, address)
    assert (counts(page), page.execute_script("return projectText()")) == ([1, 1, 0], kept)
    press(page, "save")
    saved = downloads / "drawings.json"
    wait_for(page, saved.exists)
    press(page, "fresh")
    page.switch_to.alert.accept()
    assert (counts(page), page.execute_script("return state.names")) == ([0, 0, 0], ["A", "B", "C"])
    by_id(page, "project-file").send_keys(str(saved))
    wait_for(page, lambda: page.execute_script("return projectText()") == kept)
    assert json.loads(saved.read_text(encoding="utf-8"))["classes"][1]["name"] == "<b>波</b>"
    for number, text in enumerate(("{", "null", '{"kind": "few-shot drawings 1"}', kept.replace("/png", "/html"),
                                   kept.replace('"A"', '7'), kept.replace('"A"', '"' + 21 * "A" + '"'))):
        path = tmp_path / f"bad {number}.json"
        path.write_text(text, encoding="utf-8")
        by_id(page, "project-file").send_keys(str(path))
        wait_for_status(page, "noProject", path.name)
    assert page.execute_script("return projectText()") == kept


def test_the_network_is_downloaded(page, downloads):
    draw_classes(page)
    press(page, "download")
    wait_for(page, (downloads / "network.zip").exists)
    with zipfile.ZipFile(downloads / "network.zip") as archive:
        assert sorted(archive.namelist()) == ["drawings.py", "network.json", "network.onnx"]
        assert json.loads(archive.read("network.json"))["classes"] == ["A", "B", "C"]
    wait_for_status(page, "learned")


# ---- for everyone

def test_both_languages_say_everything(page, address):
    keys = page.execute_script("return Object.values(WORDS).map(words => Object.keys(words).sort())")
    assert keys[0] == keys[1]
    page.find_element(By.CSS_SELECTOR, "[data-language=zh]").click()
    assert by_id(page, "learn").text == "学习"
    assert status(page) == "A 还没有示例。"
    assert page.execute_script("return document.documentElement.lang") == "zh-CN"
    reload(page, address)
    assert by_id(page, "learn").text == "学习"


def test_what_the_server_forgot_or_refuses_is_said(page):
    page.execute_script("state.learned = 'unknown'; state.target = null;"
                        "state.examples.forEach(one => one.push({url: ''}))")
    draw(page, CROSS[:1])
    wait_for(page, lambda: status(page) == "The server no longer knows these classes. Press Learn.")
    press(page, "learn")
    wait_for(page, lambda: status(page).startswith("Refused: class 1, image 1: expected a text that begins"))


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core here: npm install --no-save --prefix . axe-core")
@pytest.mark.parametrize(("page", "scheme"), [
    ((PHONE, "en"), "light"), ((PHONE, "zh"), "dark"), ((DESK, "en"), "dark"), ((DESK, "zh"), "light")],
    indirect=["page"])
def test_axe_finds_nothing(page, scheme):
    prefers = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers})
    page.execute_script(AXE.read_text(encoding="utf-8"))
    found = axe(page)   # with nothing drawn
    press(page, "characters")
    wait_for(page, lambda: numbers(page))
    found += axe(page)
    dark = page.execute_script("return getComputedStyle(document.documentElement).backgroundColor") == "rgb(13, 17, 23)"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (found, dark) == ([], scheme == "dark")


def axe(page):
    """What axe-core has against the page: each rule with the elements that break it."""
    return page.execute_async_script("""
        axe.run().then(({ violations }) => arguments[0](violations.map(
            (rule) => [rule.id, rule.nodes.map((node) => node.html)])))""")


@pytest.mark.skipif(not os.environ.get("DEMO_PICTURE"), reason="DEMO_PICTURE names no file for the picture")
def test_picture(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 1280, "height": 770, "deviceScaleFactor": 1, "mobile": False})
    Select(by_id(page, "ways")).select_by_value("5")
    Select(by_id(page, "shots")).select_by_value("2")
    press(page, "characters")
    wait_for(page, lambda: numbers(page))
    page.execute_script("window.scrollTo(0, 0)")
    page.save_screenshot(ROOT / os.environ["DEMO_PICTURE"])
