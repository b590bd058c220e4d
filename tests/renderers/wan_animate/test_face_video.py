"""Face pictures: the reference's own face, moving, cropped as the model knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from dreamactor_cli.contracts import Controls, Preset, Reference, RenderSettings
from dreamactor_cli.renderers.wan_animate.face_video import AREA, FaceVideo, face_box, face_crop
from dreamactor_cli.retarget.transfer import RetargetedStream

SIZE = 64


def _settings(reference: Reference) -> RenderSettings:
    height, width = reference.images.shape[1:3]
    return RenderSettings(width=width, height=height, preset=Preset(), threads=1)


def _landmarks() -> np.ndarray:
    """Landmarks on an ellipse, 100 px wide and 140 high about (200, 200)."""
    angle = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    return np.stack([200 + 50 * np.cos(angle), 200 + 70 * np.sin(angle), 0 * angle], 1).astype(np.float32)


def test_the_box_has_its_area_and_stays_in_the_picture(reference: Reference) -> None:
    face = reference.controls.face
    assert face is not None
    left, top, right, bottom = face_box(face.landmarks[0], 512, 512)
    chin, brow = face.landmarks[0, 152, 1], face.landmarks[0, [105, 334], 1].min()
    wide = np.ptp(face.landmarks[0, [234, 454], 0])
    assert abs((bottom - top) - np.sqrt(AREA) * (chin - brow)) < 0.06 * (chin - brow)
    assert abs((right - left) - np.sqrt(AREA) * wide) < 0.1 * wide
    assert chin - bottom < 0 < brow - top  # around the face
    assert face_box(_landmarks() - 200, 300, 300)[:2] == (0, 0)


def test_a_face_outside_the_picture_is_black() -> None:
    frame = np.full((100, 100, 3), 255, np.uint8)
    assert not face_crop(frame, _landmarks() + 500, SIZE).any()
    assert face_crop(frame, _landmarks() - 180, SIZE).all()


def test_the_reference_itself_moves(reference: Reference, perform: Callable[..., Controls]) -> None:
    driver = perform(1.0, fps=Fraction(4), jawOpen=[0, 1])
    controls = RetargetedStream(reference.controls, driver, Preset(smoothing=0), Fraction(4)).window(0, 4)
    video = FaceVideo(SIZE)
    video.prepare(reference, _settings(reference))
    crops = video.draw(reference, controls, _settings(reference)).astype(int)
    assert crops.shape == (4, SIZE, SIZE, 3)
    assert controls.face is not None
    own = face_crop(reference.images[0], controls.face.landmarks[0], SIZE).astype(int)
    assert np.abs(crops[0] - own).mean() < 8  # at rest it is the picture, grey levels
    change = np.abs(crops[3] - crops[0]).mean(2)
    assert change[SIZE // 2 :].mean() > 2 * change[: SIZE // 3].mean()  # the mouth is in the lower half
    assert change.mean() > 2


def test_nobody_is_black(reference: Reference) -> None:
    faceless = replace(reference.controls, face=None)
    assert not FaceVideo(SIZE).draw(reference, faceless, _settings(reference)).any()
    assert not FaceVideo(SIZE).draw(replace(reference, controls=faceless), reference.controls, _settings(reference)).any()
