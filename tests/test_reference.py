"""From picture files to a reference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.controls import extract
from dreamactor_cli.errors import InputRefused, NoPersonFound, UnreadableInput
from dreamactor_cli.reference import load_reference

U8 = NDArray[np.uint8]


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, image: U8) -> Path:
        order = [2, 1, 0, 3][: image.shape[2]]
        cv2.imwrite(str(tmp_path / name), image[..., order])
        return tmp_path / name

    return write


def _center(reference: Reference, view: int = 0) -> NDArray[np.float32]:
    assert reference.controls.head is not None
    return reference.controls.head.center[view]


def test_a_portrait(reference: Reference, astronaut_rgb: U8) -> None:
    np.testing.assert_array_equal(reference.images[0], astronaut_rgb)
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    assert face.score[0] == head.score[0] == 1
    eyes = [face.landmarks[0, list(iris), :2].mean(0) for iris in (head_space.IRIS_LEFT, head_space.IRIS_RIGHT)]
    np.testing.assert_allclose(eyes, [[202, 102], [247, 103]], atol=4)  # where a person sees them
    assert np.abs(head_space.euler_degrees(head.rotation[0])).max() < 25
    assert reference.matte[0][60:150, 190:260].min() > 0.9
    assert reference.matte[0][:40, 400:].max() < 0.2


def test_landmarks_are_where_the_sphere_and_the_expression_put_them(reference: Reference) -> None:
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    placed = head_space.to_image(face.identity + face.expression, pose)
    assert np.abs(placed - face.landmarks)[..., :2].max() < 0.01


def test_the_second_time_nothing_is_analysed(astronaut: Path, shared_cache: Cache, reference: Reference) -> None:
    again = load_reference([astronaut], size="source", cache=shared_cache)
    assert again.cache_hits >= 3
    for name, signal in reference.controls.signals().items():
        found = again.reference.controls.signals().get(name)
        if found is not None:
            for key, values in signal.arrays().items():
                np.testing.assert_array_equal(found.arrays()[key], values, err_msg=f"{name}.{key}")
    np.testing.assert_array_equal(again.reference.matte, reference.matte)


def test_a_fresh_analysis_gives_what_the_cache_gives(astronaut_rgb: U8, cache: Cache, save: Callable[..., Path]) -> None:
    path = save("face.png", cv2.resize(astronaut_rgb[:256, 96:352], (160, 160), interpolation=cv2.INTER_AREA))
    first = load_reference([path], size="source", cache=cache)
    second = load_reference([path], size="source", cache=cache)
    assert first.cache_hits == 0 < second.cache_hits
    np.testing.assert_array_equal(first.reference.matte, second.reference.matte)
    one, two = first.reference.controls.face, second.reference.controls.face
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.landmarks, two.landmarks)


def test_two_analyses_are_not_mixed(
    astronaut_rgb: U8, cache: Cache, save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that share a cache may each see all a little elsewhere; what is read later is one of their analyses."""
    path = save("part.png", astronaut_rgb[:300, 100:400])
    controls, matte = extract.image_controls([astronaut_rgb[:300, 100:400]], names=["part"], anybody=False)
    face, head = controls.face, controls.head
    assert face is not None
    assert head is not None

    def seen_elsewhere(px: int) -> tuple[Controls, NDArray[np.float32]]:
        there = replace(face, landmarks=face.landmarks + px), replace(head, center=head.center + px)
        return replace(controls, face=there[0], head=there[1]), matte

    for px in range(5):
        monkeypatch.setattr(extract, "image_controls", lambda *_, px=px, **__: seen_elsewhere(px))
        load_reference([path], size="source", cache=Cache(cache.root / str(px)))
        shutil.copytree(cache.root / str(px), cache.root / "all", dirs_exist_ok=True)
    both = load_reference([path], size="source", cache=Cache(cache.root / "all"))
    assert both.cache_hits == 5
    read = both.reference.controls
    assert read.face is not None
    assert read.head is not None
    moved = (read.face.landmarks - face.landmarks).mean()
    assert np.allclose(read.head.center - head.center, moved, atol=1e-3)


def test_the_size_of_the_output(astronaut: Path, shared_cache: Cache, reference: Reference) -> None:
    framed = load_reference([astronaut], size="200x320", cache=shared_cache).reference
    assert framed.images.shape == (1, 320, 200, 3)
    assert (framed.controls.width, framed.controls.height) == (200, 320)
    assert 0 < _center(framed)[0] < 200
    assert 0 < _center(framed)[1] < 160


def test_transparent_parts_are_not_the_person(astronaut_rgb: U8, shared_cache: Cache, save: Callable[..., Path]) -> None:
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[300:] = 51
    path = save("cut.png", np.concatenate([astronaut_rgb, alpha], 2))
    matte = load_reference([path], size="source", cache=shared_cache).reference.matte[0]
    assert matte[300:].max() <= 0.2 + 1e-6
    assert matte[60:150, 190:260].min() > 0.9


def test_views_have_the_size_of_the_first(
    astronaut: Path, astronaut_rgb: U8, shared_cache: Cache, save: Callable[..., Path]
) -> None:
    other = save("other.png", astronaut_rgb[:300, 60:400])
    reference = load_reference([astronaut, other], size="source", cache=shared_cache).reference
    assert reference.images.shape == (2, 512, 512, 3)
    assert reference.controls.num_frames == 2
    face = reference.controls.face
    assert face is not None
    landmarks = face.landmarks[1, :, :2]
    assert (landmarks > 0).all()
    assert (landmarks < 512).all()
    np.testing.assert_allclose(face.expression[0], 0, atol=1e-4)  # the identity is that of the first


def test_a_picture_of_nobody_is_refused(shared_cache: Cache, save: Callable[..., Path]) -> None:
    path = save("wall.png", np.full((200, 200, 3), 120, np.uint8))
    with pytest.raises(NoPersonFound, match=r"wall\.png"):
        load_reference([path], size="source", cache=shared_cache).check([path], bodies=True)


def test_a_skeleton_stands_in_for_detection(shared_cache: Cache, save: Callable[..., Path], tmp_path: Path) -> None:
    path = save("drawing.png", np.full((200, 200, 3), 120, np.uint8))
    sides = {"shoulder": (15, 60), "elbow": (30, 90), "wrist": (35, 120), "hip": (10, 120), "knee": (12, 150), "ankle": (12, 185)}
    joints = {
        f"{side}_{part}": {"x": 100 + s * x, "y": y} for side, s in (("left", 1), ("right", -1)) for part, (x, y) in sides.items()
    }
    table = {"format": "dreamactor-skeleton", "version": 1, "width": 100, "height": 100, "joints": joints}
    for name, joint in joints.items():
        joints[name] = {axis: value / 2 for axis, value in joint.items()}
    file = tmp_path / "joints.json"
    file.write_text(json.dumps(table))
    loaded = load_reference([path], size="100x100", cache=shared_cache, skeleton=file)
    loaded.check([path], bodies=True)
    body = loaded.reference.controls.body
    assert loaded.reference.controls.face is None
    assert body is not None
    np.testing.assert_allclose(body.joints_2d[0, 15] + 0.25, [67.5, 60], atol=0.01)  # scaled to the picture and framed with it
    assert body.score[0, 15] == 1
    assert body.score[0, 19] == 0  # nobody placed the fingers
    with pytest.raises(NoPersonFound, match="face"):
        loaded.check([path], bodies=False)


def test_a_tiny_picture_is_refused(astronaut_rgb: U8, shared_cache: Cache, save: Callable[..., Path]) -> None:
    path = save("tiny.png", astronaut_rgb[100:150, 200:280])
    with pytest.raises(InputRefused, match="80x50") as refused:
        load_reference([path], size="source", cache=shared_cache)
    assert "64" in refused.value.hint


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, shared_cache: Cache) -> None:
    (tmp_path / "text.png").write_text("text")
    for name in ("text.png", "none.png"):
        with pytest.raises(UnreadableInput, match=name):
            load_reference([tmp_path / name], size="source", cache=shared_cache)
