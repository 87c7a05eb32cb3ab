"""Fitted drawings: light, paper, colour, pen, size and what lies around make no difference; blank paper is none."""
import contextlib

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks.drawn_set import fitted_twice
from benchmarks.photographs import Scene, any_scene, bitmap, photograph
from mindspore_maml.data.drawings import BOX, PEN, SIDE, NoInkError, fit_drawing, thinned
from mindspore_maml.data.glyphs import drawings_of

SMALL = 28


def drawing(number):
    """A glyph, [105, 105] of bool."""
    return ~np.asarray(drawings_of(1, number)[0])


def likeness(image, other):
    """The correlation of two images that are blurred, so that a pixel's shift counts little."""
    blurred = [ndimage.gaussian_filter(each.astype(float), 1.2).ravel() for each in (image, other)]
    return np.corrcoef(*blurred)[0, 1]


NUMBERS = (331, 335, 340, 347)
CLEAN = {number: fit_drawing(Image.fromarray(np.where(drawing(number), 0, 255).astype(np.uint8)), SMALL)
         for number in NUMBERS}
WAYS = {
    "small on the sheet": Scene(sheet=3), "light falls off": Scene(fall_off=0.6), "hard shadow": Scene(shadow=0.3),
    "faint": Scene(strength=0.1), "thin": Scene(pen=4), "thick": Scene(pen=8), "very thick": Scene(pen=13),
    "frame": Scene(frame=1), "cut": Scene(cut=True),
    "cut, a negative": Scene(cut=True, ink=(255, 255, 255), paper=(0, 0, 0)),
    "ruled": Scene(ruled=12, sheet=1.5), "noisy": Scene(noise=10), "tilted": Scene(tilt=0.05, sheet=1.5),
    "yellow": Scene(ink=(255, 240, 80)), "red on green": Scene(ink=(190, 60, 60), paper=(60, 110, 70)),
}


def test_bitmaps_are_of_many_sizes_and_pens_and_show_the_drawing():
    rng = np.random.default_rng(1)
    pictures = [bitmap(drawing(NUMBERS[0]), rng) for _ in range(40)]
    found = [likeness(fit_drawing(picture, SMALL), CLEAN[NUMBERS[0]]) for picture in pictures]
    assert (np.median(found) > 0.9, min(max(picture.size) for picture in pictures) < 30) == (True, True)
    inked = [(np.asarray(picture) < 128).mean() for picture in pictures]
    assert max(inked) > 2 * min(inked)
    assert {picture.mode for picture in pictures} == {"L"}
    again = bitmap(drawing(NUMBERS[0]), np.random.default_rng(1))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(pictures[0]))


def test_the_set_for_own_drawings_holds_each_drawing_fitted_clean_and_as_a_bitmap():
    drawings = np.stack([drawing(number) for number in NUMBERS])
    found = fitted_twice((7, drawings))
    np.testing.assert_array_equal(found[:len(NUMBERS)], np.stack(list(CLEAN.values())))
    assert (found.shape, found.dtype) == ((2 * len(NUMBERS), SMALL, SMALL), np.uint8)
    assert min(map(likeness, found[len(NUMBERS):], CLEAN.values())) > 0.5
    np.testing.assert_array_equal(found, fitted_twice((7, drawings)))


@pytest.mark.parametrize("way", WAYS)
def test_what_a_picture_is_like_makes_no_difference(way):
    rng = np.random.default_rng(1)
    for number in NUMBERS:
        found = fit_drawing(photograph(drawing(number), WAYS[way], rng), SMALL)
        others = [likeness(found, CLEAN[other]) for other in NUMBERS if other != number]
        assert likeness(found, CLEAN[number]) > max(0.75, *others), number


def test_a_negative_of_few_pixels_is_what_the_positive_is():
    few = Image.fromarray(np.where(drawing(NUMBERS[0]), 0, 255).astype(np.uint8)).reduce(8)
    found = fit_drawing(few, SMALL)
    np.testing.assert_array_equal(found, fit_drawing(few.point(lambda level: 255 - level), SMALL))
    assert likeness(found, CLEAN[NUMBERS[0]]) > 0.75


def test_a_narrow_drawing_cut_to_its_ink_is_the_one_on_a_sheet():
    """Its strokes are a third of the picture's width, which of a square picture would be a shadow."""
    sheet = Image.new("L", (600, 600), 255)
    draw = ImageDraw.Draw(sheet)
    draw.line((280, 200, 280, 400), fill=0, width=20)
    draw.line((270, 390, 330, 390), fill=0, width=20)
    whole = fit_drawing(sheet, SMALL)
    cut = fit_drawing(sheet.crop((270, 200, 331, 401)), SMALL)
    assert likeness(cut, whole) > 0.95


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (235, 20)])
@pytest.mark.parametrize("line", [
    [(380, 110), (160, 110), (160, 390), (380, 390)], [(380, 200), (380, 110), (160, 110), (160, 290), (380, 290)]])
def test_strokes_along_the_edges_of_what_is_cut_are_no_frame(line, ink, paper):
    sheet = Image.new("L", (500, 500), paper)
    ImageDraw.Draw(sheet).line(line, fill=ink, width=10)
    whole = fit_drawing(sheet, SMALL)
    cut = sheet.crop(sheet.point(lambda level: 255 * (level != paper)).getbbox())
    assert likeness(fit_drawing(cut, SMALL), whole) > 0.95
    ImageDraw.Draw(sheet).rectangle((0, 0, 499, 499), outline=ink, width=5)   # that is one
    assert likeness(fit_drawing(sheet, SMALL), whole) > 0.95


def test_what_a_thick_pen_filled_stays_a_blot():
    rows, columns = np.mgrid[:105, :105] - 52
    filled = ((rows / 30) ** 2 + ((columns - 30) / 12) ** 2 < 1) | ((np.abs(rows) < 4) & (np.abs(columns) < 40))
    found = fit_drawing(Image.fromarray(np.where(filled, 0, 255).astype(np.uint8)), SIDE) > 127
    assert ndimage.distance_transform_edt(found).max() > 1.5 * PEN / 2


def test_half_of_a_slant_is_taken_off():
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line((80, 160, 120, 40), fill=0, width=10)
    rows, columns = np.nonzero(fit_drawing(image, SIDE) > 127)
    assert -np.polyfit(rows, columns, 1)[0] == pytest.approx(1 / 6, abs=0.04)


def test_photographs_of_all_kinds_at_once():
    rng = np.random.default_rng(2)
    alike = [likeness(fit_drawing(photograph(drawing(number), any_scene(rng), rng), SMALL), CLEAN[number])
             for number in NUMBERS for _ in range(3)]
    assert np.mean(np.array(alike) > 0.75) >= 0.9


def test_size_and_place_are_those_of_training():
    for number, image in CLEAN.items():
        rows, columns = (np.flatnonzero((image > 96).any(axis=axis)) for axis in (1, 0))
        longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        assert abs(longest - BOX * SMALL / SIDE) <= 1.5, number
        assert abs(rows[0] + rows[-1] - SMALL + 1) <= 2 and abs(columns[0] + columns[-1] - SMALL + 1) <= 2
        assert image.max() == 255 and np.median(image) == 0


def test_a_dot_stays_a_dot():
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).ellipse((90, 90, 102, 102), fill=0)
    assert 1 < (fit_drawing(image, SMALL) / 255).sum() < 12


def sheets():
    """Blank ones: even, unevenly lit, shadowed, ruled, noisy, on a table, and noise alone."""
    rng = np.random.default_rng(3)
    nothing = np.zeros((105, 105), bool)
    for scene in (Scene(), Scene(noise=6), Scene(fall_off=0.5, noise=3), Scene(shadow=0.25, noise=3),
                  Scene(ruled=14, noise=2), Scene(tilt=0.04, noise=2, blur=0.6, paper=(240, 238, 225))):
        yield photograph(nothing, scene, rng)
    yield Image.fromarray(rng.integers(0, 256, (105, 105), np.uint8))
    yield Image.fromarray(rng.integers(0, 256, (300, 200, 3), np.uint8))


@pytest.mark.parametrize("sheet", list(sheets()))
def test_blank_sheets_and_noise_show_no_ink(sheet):
    with pytest.raises(NoInkError):
        fit_drawing(sheet, SMALL)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 3), (2, 40), (4000, 60)])
def test_any_size_is_fitted_or_shows_no_ink(size):
    for picture in (Image.new("L", size, 255), Image.fromarray(
            np.random.default_rng(1).integers(0, 2, size[::-1], np.uint8) * 255)):
        with contextlib.suppress(NoInkError):
            assert fit_drawing(picture, SMALL).shape == (SMALL, SMALL)


def test_thinning_leaves_lines_of_a_pixel_as_connected_as_before():
    shape = drawing(NUMBERS[0])
    thin = thinned(shape)
    assert not (thin & ~shape).any()
    assert ndimage.label(thin, np.ones((3, 3)))[1] == ndimage.label(shape, np.ones((3, 3)))[1]
    assert not ndimage.binary_erosion(thin, np.ones((2, 2))).sum() > 3   # hardly a square of four pixels
