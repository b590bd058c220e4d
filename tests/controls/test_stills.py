"""Control signals of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.controls.stills import image_controls
from dreamactor_cli.errors import NoPersonFound
from dreamactor_cli.media import load_image


def test_face_head_body_and_matte_of_a_photograph(astronaut_rgb: np.ndarray) -> None:
    controls, matte = image_controls([astronaut_rgb], names=["astronaut.png"])
    assert (controls.width, controls.height, controls.num_frames) == (512, 512, 1)
    eyes = controls.face.landmarks[0][[33, 263], :2].mean(0)
    assert np.abs(eyes - [225, 102]).max() < 6
    assert np.abs(controls.face.expression).max() < 1e-3
    assert np.linalg.norm(controls.head.center[0] - eyes) < 1.5 * controls.head.radius[0]
    assert np.abs(head_space.euler_degrees(controls.head.rotation)).max() < 30
    left, right = controls.body.joints_2d[0, 11], controls.body.joints_2d[0, 12]
    assert right[0] < 224 < left[0]  # the person's left shoulder is on the picture's right
    assert matte.shape == (1, 512, 512)
    assert matte[0, 100:150, 200:250].mean() > 0.95
    assert matte[0, 20:60, 440:500].mean() < 0.1


def test_views_of_one_person_share_the_identity_of_the_first(astronaut_rgb: np.ndarray) -> None:
    controls, matte = image_controls([astronaut_rgb, np.ascontiguousarray(astronaut_rgb[:, ::-1])], names=["a", "b"])
    assert controls.num_frames == len(matte) == 2
    assert controls.face.landmarks[1, 1, 0] > 256 > controls.face.landmarks[0, 1, 0]


def test_a_small_face_is_found(astronaut_rgb: np.ndarray) -> None:
    import cv2

    large = np.full((1024, 1024, 3), 128, np.uint8)
    large[300:470, 500:670] = cv2.resize(astronaut_rgb, (170, 170), interpolation=cv2.INTER_AREA)
    controls, _ = image_controls([large], names=["far.png"])
    eyes = controls.face.landmarks[0][[33, 263], :2].mean(0)
    assert np.abs(eyes - [500 + 225 / 3.01, 300 + 102 / 3.01]).max() < 4


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_what_is_no_person_is_refused(name: str) -> None:
    from skimage import data

    picture = np.ascontiguousarray(getattr(data, name)())
    with pytest.raises(NoPersonFound, match=f"{name}.png"):
        image_controls([picture], names=[f"{name}.png"])


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(NoPersonFound, match=r"dot\.png is too small"):
        image_controls([np.zeros((1, 1, 3), np.uint8)], names=["dot.png"])


def test_the_cat_of_the_media_set_is_refused_and_drawn_faces_are_found(shared_media: object) -> None:
    import cv2

    def load(name: str) -> np.ndarray:
        return np.ascontiguousarray(cv2.imread(f"{shared_media}/photo/{name}")[..., ::-1])

    with pytest.raises(NoPersonFound):
        image_controls([load("nonhuman_cat.jpg")], names=["cat"])
    for name in ("illus_anime_woman.png", "illus_cartoon_man.jpg", "paint_mona_lisa.jpg", "drawing_child_figure.png"):
        assert image_controls([load(name)], names=[name])[0].face is not None


def test_the_matte_of_a_whole_body_has_the_legs_and_not_what_stands_beside_them(shared_media: Path) -> None:
    import av

    with av.open(str(shared_media / "full" / "taichi_man_indoor.mp4")) as clip:  # small, and beside a table
        frame = next(frame for frame in clip.decode(video=0) if frame.time is not None and frame.time >= 3.5)
    image = frame.to_ndarray(format="rgb24")
    controls, matte = image_controls([image], names=["taichi.png"])
    assert controls.body is not None
    for joint in (15, 16, 25, 26, 27, 28):  # wrists, knees, ankles
        x, y = np.rint(controls.body.joints_2d[0, joint]).astype(int)
        assert matte[0, y, x] > 0.8
    doubtful = ((matte > 0.1) & (matte < 0.9)).sum() / (matte > 0.5).sum()
    assert doubtful < 0.3
    outside = matte[0].copy()
    low, high = controls.body.joints_2d[0].min(0), controls.body.joints_2d[0].max(0)
    margin = 0.15 * (high - low).max()
    (x0, y0), (x1, y1) = np.rint(low - margin).astype(int), np.rint(high + margin).astype(int)
    outside[max(y0, 0) : y1, max(x0, 0) : x1] = 0
    assert outside.max() < 0.1


def test_the_matte_of_a_whole_body_has_an_arm_before_a_bright_wall(shared_media: Path) -> None:
    image = load_image(shared_media / "photo" / "full_woman_studio.jpg").rgb
    controls, matte = image_controls([image], names=["studio.jpg"])
    assert controls.body is not None
    elbow, wrist = controls.body.joints_2d[0, [13, 15]].astype(float)
    outwards = np.array([wrist[1] - elbow[1], elbow[0] - wrist[0]]) / np.linalg.norm(wrist - elbow)
    along = np.array([-0.1, 0.1, 0.3])[:, None, None] * (wrist - elbow)
    places = (elbow + along + np.array([0, 4, 7])[:, None] * outwards).reshape(-1, 2)
    x, y = np.rint(places).astype(int).T
    assert image[y, x].astype(int).ptp(1).min() > 25  # that is skin, and the wall is grey
    assert matte[0, y, x].min() > 0.9
