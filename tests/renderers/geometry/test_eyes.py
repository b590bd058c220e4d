"""Gaze and lids."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.head_space import EYE_LEFT, EYE_RIGHT
from dreamactor_cli.renderers.geometry.eyes import Eyes

from .conftest import Portrait, portrait_of

Array = NDArray[np.float64]
LUMA = np.array([0.299, 0.587, 0.114])
CORNERS = ((33, 133, 468), (362, 263, 473))
LIDS = (
    ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155)),
    ((398, 382), (384, 381), (385, 380), (386, 374), (387, 373), (388, 390), (466, 249)),
)


def inside(landmarks: Array, shape: tuple[int, ...], grow: int = 0) -> NDArray[np.bool_]:
    """Pixels between the lids of both eyes, grown or shrunk by some px."""
    mask = np.zeros(shape[:2], np.uint8)
    for eye in (EYE_LEFT, EYE_RIGHT):
        cv2.fillPoly(mask, [np.rint(landmarks[list(eye), :2] * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1,) * 2)
    return (cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel)) > 0


def blinking(portrait: Portrait, amount: float) -> Array:
    """Landmarks with the upper lids so far down."""
    move = np.zeros((478, 3))
    for eye in LIDS:
        for upper, lower in eye:
            move[upper] = amount * (portrait.canonical[lower] - portrait.canonical[upper])
    return portrait.moved(move)


def gaze(landmarks: Array) -> Array:
    """Place of the irises along their eyes, mean of both; 0 in the middle, in widths of an eye."""
    places = []
    for first, last, iris in CORNERS:
        chord = landmarks[last, :2] - landmarks[first, :2]
        places.append((landmarks[iris, :2] - landmarks[[first, last], :2].mean(0)) @ chord / (chord @ chord))
    return np.mean(places)


def test_a_still_face_stays_the_picture_it_was(portrait: Portrait) -> None:
    frame = portrait.image.copy()
    Eyes(portrait.image, portrait.landmarks).draw(frame, portrait.landmarks)
    np.testing.assert_array_equal(frame, portrait.image)


def test_gaze_is_seen_again_in_the_picture(portrait: Portrait, detect: Callable[[NDArray[np.uint8]], Array]) -> None:
    eyes = Eyes(portrait.image, portrait.landmarks)
    wanted, seen = [], []
    for shift in np.linspace(-0.09, 0.09, 7):
        landmarks = portrait.looking(shift)
        frame = portrait.image.copy()
        eyes.draw(frame, landmarks)
        wanted.append(gaze(landmarks))
        seen.append(gaze(detect(frame)))
    assert np.corrcoef(wanted, seen)[0, 1] > 0.97
    assert 0.7 < np.polyfit(wanted, seen, 1)[0] < 1.3


@pytest.mark.parametrize("shift", [-0.08, 0.08])
def test_gaze_changes_nothing_but_the_eyes(portrait: Portrait, shift: float) -> None:
    frame = portrait.image.copy()
    Eyes(portrait.image, portrait.landmarks).draw(frame, portrait.looking(shift))
    outside = ~inside(portrait.landmarks, frame.shape, grow=2)
    np.testing.assert_array_equal(frame[outside], portrait.image[outside])
    # Where the iris was there is the white of the eye now.
    for _, _, iris in CORNERS:
        x, y = np.rint(portrait.landmarks[iris, :2]).astype(int)
        side = x - int(np.sign(shift) * 0.07 * portrait.unit)
        before, after = (p[y - 2 : y + 3, side - 2 : side + 3].astype(float).mean((0, 1)) @ LUMA for p in (portrait.image, frame))
        assert after > before + 25


def test_lids_hide_the_eye(portrait: Portrait) -> None:
    """The whites go, and a shut eye is a dark line."""
    eyes = Eyes(portrait.image, portrait.landmarks)
    open_eye = inside(portrait.landmarks, portrait.image.shape)
    white = np.percentile(portrait.image[open_eye].astype(float) @ LUMA, 90)
    landmarks = blinking(portrait, 0.85)
    frame = portrait.image.copy()
    eyes.draw(frame, landmarks)
    slit = frame[inside(landmarks, frame.shape)].astype(float) @ LUMA
    assert len(slit) > 20
    assert slit.mean() < 0.75 * white
    assert (slit > 0.95 * white).mean() < 0.1


def test_a_lowered_lid_is_skin_with_its_lashes_at_the_edge(portrait: Portrait) -> None:
    """The lashes come down with the edge, and are not drawn out over the lid."""
    eyes = Eyes(portrait.image, portrait.landmarks)
    landmarks = blinking(portrait, 0.85)
    frame = portrait.image.copy()
    eyes.draw(frame, landmarks)
    for upper, fold in ((159, 27), (386, 257)):
        x = round(float(landmarks[upper, 0]))
        top, edge = round(float(landmarks[fold, 1])), round(float(landmarks[upper, 1]))
        light = frame[top : edge + 6, x - 3 : x + 4].astype(float).mean(1) @ LUMA
        assert abs(top + int(np.argmin(light)) - edge) <= 5
        lid = light[(edge - top) // 3 : 2 * (edge - top) // 3]
        assert lid.min() > light.min() + 40


def test_lids_that_are_driven_past_each_other_stay_shut(portrait: Portrait) -> None:
    frame = portrait.image.copy()
    landmarks = blinking(portrait, 1.3)
    Eyes(portrait.image, portrait.landmarks).draw(frame, landmarks)
    changed = (frame != portrait.image).any(-1)
    rows = np.nonzero(changed)[0]
    assert changed.any()
    assert rows.max() < landmarks[[145, 374], 1].max() + 0.15 * portrait.unit


def test_black_and_white_stays_black_and_white(portrait: Portrait) -> None:
    grey = replace(portrait, image=np.repeat(cv2.cvtColor(portrait.image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2))
    frame = grey.image.copy()
    Eyes(grey.image, grey.landmarks).draw(frame, grey.looking(0.08))
    assert (frame != grey.image).any()
    assert np.ptp(frame.astype(int), axis=-1).max() <= 1


def test_eyes_of_a_few_pixels_are_left_alone(portrait: Portrait) -> None:
    image = cv2.resize(portrait.image, (64, 64), interpolation=cv2.INTER_AREA)
    tiny = portrait_of(image, portrait.landmarks / 8)
    frame = image.copy()
    Eyes(image, tiny.landmarks).draw(frame, tiny.looking(0.08))
    np.testing.assert_array_equal(frame, image)


def test_a_reference_with_shut_eyes_can_open_them(portrait: Portrait) -> None:
    """Nothing is known of these eyes; what is drawn has a white and something darker in it."""
    shut = portrait_of(portrait.image, blinking(portrait, 0.97))
    skin = portrait.image.copy()
    skin[inside(portrait.landmarks, skin.shape, grow=4)] = (200, 160, 140)
    frame = skin.copy()
    Eyes(skin, shut.landmarks).draw(frame, portrait.landmarks)
    light = frame[inside(portrait.landmarks, frame.shape, grow=-2)].astype(float) @ LUMA
    assert np.percentile(light, 95) - np.percentile(light, 5) > 50


def test_threads_share_the_eyes(portrait: Portrait) -> None:
    eyes = Eyes(portrait.image, portrait.landmarks)
    targets = [portrait.looking(a) for a in np.linspace(-0.1, 0.1, 6)] + [blinking(portrait, b) for b in (0.3, 0.6, 1.0)]

    def render(landmarks: Array) -> bytes:
        frame = portrait.image.copy()
        eyes.draw(frame, landmarks)
        return frame.tobytes()

    alone = [render(t) for t in targets]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(render, targets * 4)) == alone * 4
