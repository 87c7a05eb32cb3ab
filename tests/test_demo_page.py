"""The page of demo.py in a real browser: it draws by mouse, finger and keys, learns, and recognises.

Skipped where Debian's chromium and its driver are missing (`apt-get install chromium chromium-driver`).
DEMO_PICTURE=docs/demo.png python -m pytest tests/test_demo_page.py -k picture: draws the picture of the page anew.
"""
import os
import shutil
import threading
from pathlib import Path

import pytest
import waitress
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
WAYS = 3
PHONE = (360, 740)   # pixels
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium and chromedriver here")
# The strokes of three characters, in parts of the pad's side
CROSS = [[(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.2), (0.5, 0.8)]]
SQUARE = [[(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75), (0.25, 0.25)]]
ZIGZAG = [[(0.2, 0.2), (0.8, 0.35), (0.2, 0.5), (0.8, 0.65), (0.2, 0.8)]]


@pytest.fixture(scope="module")
def address():
    """Where the page is served, with the published network."""
    in_turn = OneThread(60)
    teacher = Teacher(lambda: FewShotClassifier(ROOT / "checkpoints" / "5way-1shot"))
    server = waitress.create_server(make_app(teacher, characters.glyphs(), in_turn), host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    in_turn.close()
    server.close()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--lang=en", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    """The page, fresh, at a phone's width."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": PHONE[0], "height": PHONE[1], "deviceScaleFactor": 1, "mobile": False})
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.get(address)
    wait_for(browser, lambda: browser.execute_script("return typeof state") == "object")   # its script has run
    return browser


def by_id(page, name):
    return page.find_element(By.ID, name)


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


def wait_for(page, what, seconds=30):
    return WebDriverWait(page, seconds, poll_frequency=0.05).until(lambda _: what())


def status(page):
    return by_id(page, "status").text


def numbers(page):
    """The probabilities that the bars show, by the classes' names; empty before there are any."""
    texts = page.execute_script(   # all at once: between two questions the page may have other bars
        "return [...document.querySelectorAll('#bars li')].map(bar => bar.innerText.trim().split(/\\s*\\n\\s*/))")
    return {name: float(number.split()[0]) for name, number in texts if number != "–"}


def press(page, name):
    by_id(page, name).click()


def learn(page):
    press(page, "learn")
    wait_for(page, lambda: status(page).startswith("Learned"))


def answers(page):
    """How many requests for an answer have come back."""
    return page.execute_script("return performance.getEntriesByType('resource').filter("
                               "entry => entry.name.endsWith('api/answer')).length")


def test_it_learns_what_is_drawn_and_recognises_another(page):
    Select(by_id(page, "ways")).select_by_value(str(WAYS))
    assert status(page) == "A has no example yet."
    by_id(page, "name-0").send_keys(Keys.BACKSPACE, "cross")
    for number, strokes in enumerate((CROSS, SQUARE, ZIGZAG)):
        press(page, f"draw-{number}")   # which keeps the drawing before
        draw(page, strokes, finger=number == 1)
    learn(page)
    for name, strokes in zip(("cross", "B", "C"), (CROSS, SQUARE, ZIGZAG)):
        for shown in range(1, len(strokes) + 1):   # live: after each stroke
            before = answers(page)
            draw(page, strokes[shown - 1:shown], shift=0.03, finger=name == "C")
            wait_for(page, lambda before=before: answers(page) > before and numbers(page))
        wait_for(page, lambda name=name: status(page).startswith(f"Taken for {name} ("))
        found = numbers(page)
        assert max(found, key=found.get) == name
        assert sum(found.values()) == pytest.approx(100, abs=0.2)
        press(page, "clear")
        assert numbers(page) == {}
    assert page.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    loaded = page.execute_script("return performance.getEntries().map(entry => entry.name)")
    assert all(name.startswith(page.current_url) for name in loaded if "://" in name)


def test_characters_of_test_alphabets_by_one_click(page):
    Select(by_id(page, "ways")).select_by_value(str(WAYS))
    press(page, "characters")
    wait_for(page, lambda: status(page).startswith("Shown was"))
    assert [len(item.find_elements(By.CLASS_NAME, "thumb"))
            for item in page.find_elements(By.CSS_SELECTOR, "#classes li")] == [1] * WAYS
    right = 0
    for _ in range(6):
        press(page, "another")
        wait_for(page, lambda: len(numbers(page)) == WAYS)
        right += "it is recognised" in status(page)
    assert right >= 4


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
    assert len(page.find_elements(By.CLASS_NAME, "thumb")) == 1
    assert by_id(page, "pad-title").text == "2. Draw an example of B"
    page.find_element(By.CLASS_NAME, "thumb").send_keys(Keys.ENTER)   # removes it
    assert page.find_elements(By.CLASS_NAME, "thumb") == []


def test_what_was_learned_of_other_examples_is_dropped(page):
    """The examples change while the server learns: its answer is of as many classes as there were."""
    page.execute_script("""
        request = () => new Promise(resolve => { answer = resolve; });
        state.examples.forEach(one => one.push(''));""")
    press(page, "learn")
    Select(by_id(page, "ways")).select_by_value("2")
    page.execute_script("answer({name: 'of five', milliseconds: 1})")
    wait_for(page, lambda: by_id(page, "learn").is_enabled())
    assert (status(page), page.execute_script("return state.learned")) == ("Press Learn.", None)
    press(page, "learn")
    page.execute_script("answer({name: 'of two', milliseconds: 1})")
    wait_for(page, lambda: page.execute_script("return state.learned") == "of two")
    press(page, "characters")
    Select(by_id(page, "ways")).select_by_value("3")
    page.execute_script("answer({classes: [{examples: [''], others: ['']}, {examples: [''], others: ['']}]})")
    assert page.execute_script("return state.examples.length") == 3


def test_both_languages_say_everything(page):
    keys = page.execute_script("return Object.values(WORDS).map(words => Object.keys(words).sort())")
    assert keys[0] == keys[1]
    page.find_element(By.CSS_SELECTOR, "[data-language=zh]").click()
    assert by_id(page, "learn").text == "学习"
    assert status(page) == "A 还没有示例。"
    assert page.execute_script("return document.documentElement.lang") == "zh-CN"
    page.refresh()
    assert by_id(page, "learn").text == "学习"


def test_what_the_server_forgot_or_refuses_is_said(page):
    page.execute_script("state.learned = 'unknown'; state.target = null; state.examples.forEach(one => one.push(''))")
    draw(page, CROSS[:1])
    wait_for(page, lambda: status(page) == "The server no longer knows these classes. Press Learn.")
    press(page, "learn")
    wait_for(page, lambda: status(page).startswith("Refused: class 1, image 1: expected a text that begins"))


@pytest.mark.skipif(not os.environ.get("DEMO_PICTURE"), reason="DEMO_PICTURE names no file for the picture")
def test_picture(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 1120, "height": 600, "deviceScaleFactor": 1, "mobile": False})
    Select(by_id(page, "shots")).select_by_value("2")
    press(page, "characters")
    wait_for(page, lambda: status(page).startswith("Shown was"))
    page.execute_script("window.scrollTo(0, 0)")
    page.save_screenshot(ROOT / os.environ["DEMO_PICTURE"])
