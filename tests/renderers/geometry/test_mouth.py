"""The inside of the mouth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.head_space import FACE_OVAL, INNER_LIPS, rotation_from_euler
from dreamactor_cli.renderers.geometry.mouth import MouthInterior

from .conftest import Portrait, portrait_of

UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LUMA = np.array([0.299, 0.587, 0.114])


def mouth_of(portrait: Portrait) -> MouthInterior:
    return MouthInterior(portrait.image, portrait.landmarks, portrait.rotation)


def inside(landmarks: NDArray[np.float64], shape: tuple[int, ...], grow: int = 0) -> NDArray[np.bool_]:
    """Pixels between the inner lips, grown or shrunk by some px."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(landmarks[list(INNER_LIPS), :2] * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1,) * 2)
    return (cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel)) > 0


@pytest.fixture(scope="module")
def closed(portrait: Portrait) -> Portrait:
    """The same face with its lips together: no teeth to learn from."""
    landmarks = portrait.landmarks.copy()
    landmarks[list(LOWER)] = landmarks[list(UPPER)] + [0, 0.5, 0]
    return portrait_of(portrait.image, landmarks)


def test_a_still_face_stays_the_picture_it_was(portrait: Portrait) -> None:
    frame = portrait.image.copy()
    mouth_of(portrait).draw(frame, portrait.landmarks, portrait.rotation)
    np.testing.assert_array_equal(frame, portrait.image)


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5])
def test_an_open_mouth_is_dark_with_ivory_teeth_and_nothing_else_changes(closed: Portrait, amount: float) -> None:
    landmarks = closed.opened(amount)
    frame = closed.image.copy()
    mouth_of(closed).draw(frame, landmarks, closed.rotation)

    outside = ~inside(landmarks, frame.shape, grow=2)
    np.testing.assert_array_equal(frame[outside], closed.image[outside])
    colors = frame[inside(landmarks, frame.shape, grow=-3)].astype(float)
    light = colors @ LUMA
    ivory = (light > 130) & (np.ptp(colors, axis=1) < 0.35 * light)
    assert (light < 70).mean() > 0.15
    assert 0.01 < ivory.mean() < 0.5
    assert (colors[ivory, 0] >= colors[ivory, 2] - 1).all(), "teeth are never blue"


def test_a_lips_breadth_of_opening_is_a_dark_line_not_a_white_bar(closed: Portrait) -> None:
    landmarks = closed.opened(0.03)
    frame = closed.image.copy()
    mouth_of(closed).draw(frame, landmarks, closed.rotation)
    lip = closed.image[inside(closed.landmarks, frame.shape, grow=6) & ~inside(closed.landmarks, frame.shape, grow=2)]
    drawn = frame[inside(landmarks, frame.shape)].astype(float) @ LUMA
    assert drawn.mean() < 0.75 * (lip.astype(float) @ LUMA).mean()


def test_upper_teeth_stay_with_the_skull(portrait: Portrait) -> None:
    mouth = mouth_of(portrait)
    column = round(float(portrait.landmarks[2, 0]))
    tips = []
    for amount in (0.15, 0.3, 0.45):
        frame = portrait.image.copy()
        landmarks = portrait.opened(amount)
        mouth.draw(frame, landmarks, portrait.rotation)
        top, bottom = (round(float(landmarks[i, 1])) for i in (13, 14))
        light = frame[top + 4 : bottom, column - 3 : column + 4].astype(float).mean(1) @ LUMA
        tips.append(top + 4 + int(np.argmax(light < 100)))
    assert np.ptp(tips) <= 2
    assert tips[0] > portrait.landmarks[13, 1] + 5


def test_the_teeth_of_the_reference_are_used(portrait: Portrait) -> None:
    """Painted green, they come out green."""
    image = portrait.image.copy()
    teeth = inside(portrait.landmarks, image.shape) & (image.astype(float) @ LUMA > 120)
    image[teeth] = np.clip(image[teeth] * [0.86, 1.0, 0.86], 0, 255).astype(np.uint8)
    green = replace(portrait, image=image)
    frame = image.copy()
    landmarks = portrait.opened(0.25)
    mouth_of(green).draw(frame, landmarks, portrait.rotation)
    colors = frame[inside(landmarks, frame.shape, grow=-3)].astype(float)
    bright = colors[colors @ LUMA > 150]
    assert len(bright) > 100
    assert (bright[:, 1] > bright[:, 0]).mean() > 0.7


def test_black_and_white_stays_black_and_white(closed: Portrait) -> None:
    grey = replace(closed, image=np.repeat(cv2.cvtColor(closed.image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2))
    frame = grey.image.copy()
    mouth_of(grey).draw(frame, grey.opened(0.4), grey.rotation)
    assert (frame != grey.image).any()
    assert np.ptp(frame.astype(int), axis=-1).max() <= 1


def test_nothing_outshines_the_face(closed: Portrait) -> None:
    dim = replace(closed, image=(closed.image * 0.4).astype(np.uint8))
    landmarks = dim.opened(0.4)
    frame = dim.image.copy()
    mouth_of(dim).draw(frame, landmarks, dim.rotation)
    oval = np.zeros(frame.shape[:2], np.uint8)
    cv2.fillConvexPoly(oval, cv2.convexHull(np.rint(dim.landmarks[list(FACE_OVAL), :2]).astype(np.int32)), 1)
    brightest = np.percentile(dim.image[oval > 0].astype(float) @ LUMA, 99.5)
    assert (frame[inside(landmarks, frame.shape)].astype(float) @ LUMA).max() <= brightest


def test_a_turned_head_shows_its_teeth_from_the_side(closed: Portrait) -> None:
    """The arch lies behind the lips, so its middle moves against the turn of the nose."""
    mouth, landmarks = mouth_of(closed), closed.opened(0.3)
    frames = []
    for yaw in (-15, 15):
        frame = closed.image.copy()
        mouth.draw(frame, landmarks, rotation_from_euler([yaw, 0, 0]) @ closed.rotation)
        frames.append(frame.astype(float) @ LUMA)
    inner = inside(landmarks, frames[0].shape, grow=-3)
    columns = np.nonzero(inner)[1]
    left, right = (np.average(columns, weights=np.maximum(f[inner] - 100, 0)) for f in frames)
    assert abs(left - right) > 1.0


def test_the_drivers_mouth_fills_the_lips_in_the_references_light(closed: Portrait) -> None:
    mouth, landmarks = mouth_of(closed), closed.opened(0.3)
    patch = np.full((48, 96, 3), (90, 40, 40), np.uint8)
    patch[:2] = patch[-2:] = (170, 110, 105)
    patch[8:24, :48] = (200, 190, 170)
    frames = []
    for gain in (1.0, 0.6):
        frame = closed.image.copy()
        mouth.draw(frame, landmarks, closed.rotation, (patch * gain).astype(np.uint8))
        frames.append(frame)
    outside = ~inside(landmarks, frame.shape, grow=2)
    np.testing.assert_array_equal(frames[0][outside], closed.image[outside])
    inner = inside(landmarks, frame.shape, grow=-3)
    middle = round(float(landmarks[[78, 308], 0].mean()))
    bright = (frames[0].astype(float) @ LUMA > 130) & inner
    assert bright[:, :middle].sum() > 5 * bright[:, middle:].sum()
    ratio = frames[1][inner].astype(float).mean() / frames[0][inner].astype(float).mean()
    assert ratio > 0.75, "a driver in the dark is brightened"


def test_threads_share_one_mouth(portrait: Portrait) -> None:
    mouth = mouth_of(portrait)
    targets = [portrait.opened(a) for a in np.linspace(0.02, 0.4, 12)]

    def render(landmarks: NDArray[np.float64]) -> bytes:
        frame = portrait.image.copy()
        mouth.draw(frame, landmarks, portrait.rotation)
        return frame.tobytes()

    alone = [render(t) for t in targets]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(render, targets * 4)) == alone * 4


def test_a_face_that_leaves_the_frame_is_clipped(portrait: Portrait) -> None:
    mouth, landmarks = mouth_of(portrait), portrait.opened(0.4)
    lips = landmarks[list(INNER_LIPS), :2]
    for corner in (lips.mean(0), lips.max(0) + 50):
        frame = np.full((64, 64, 3), 128, np.uint8)
        shifted = landmarks - [*corner, 0]
        mouth.draw(frame, shifted, portrait.rotation)
        assert (frame != 128).any() == (corner < lips.max(0)).all()


def test_a_speaking_mouth_does_not_fall_back_to_the_pictures_own(reference) -> None:
    """At the reference's own opening the layer is left out of a still face, but not of one that speaks."""
    image = reference.images[0]
    face, head = reference.controls.face, reference.controls.head
    landmarks, rotation = face.landmarks[0].astype(np.float64), head.rotation[0].astype(np.float64)
    interior = MouthInterior(image, landmarks, rotation)
    still, speaking = image.copy(), image.copy()
    interior.draw(still, landmarks, rotation)
    interior.draw(speaking, landmarks, rotation, always=True)
    np.testing.assert_array_equal(still, image)
    assert (speaking != image).any()
