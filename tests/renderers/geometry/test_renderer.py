"""A still picture in motion, as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Appearance, Controls, ControlStream, Preset, Reference, RenderSettings
from dreamactor_cli.reference import load_reference
from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer
from dreamactor_cli.retarget.framing import frame_reference
from dreamactor_cli.retarget.transfer import RetargetedStream

if TYPE_CHECKING:
    from pathlib import Path

U8 = NDArray[np.uint8]
SPECKS = 12  # px in all that the soft rim of the face may leave alone, of some 10000


def _settings(reference: Reference, alpha: bool = False) -> RenderSettings:
    height, width = reference.images.shape[1:3]
    return RenderSettings(width=width, height=height, preset=Preset(), alpha=alpha)


def _frames(reference: Reference, controls: ControlStream, *, alpha: bool = False, threads: int = 1) -> U8:
    """All frames, (T, H, W, 3 or 4)."""
    return np.concatenate(list(GeometryRenderer(threads).render(reference, controls, _settings(reference, alpha))))


def _driven(reference: Reference, driver: Controls, **options: Any) -> RetargetedStream:
    return RetargetedStream(reference.controls, driver, Preset(**({"smoothing": 0} | options)), driver.fps)


def _last(reference: Reference, driver: Controls, *, alpha: bool = False) -> U8:
    stream = _driven(reference, driver)
    return _frames(reference, stream.window(stream.num_frames - 1, stream.num_frames), alpha=alpha)[0]


def _psnr(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9)))


@pytest.fixture(scope="module")
def small(reference: Reference) -> Reference:
    """The astronaut's head and shoulders, 256x256, cut without scaling twice."""
    return frame_reference(reference, 256, 256)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: U8, shared_cache: Cache) -> Reference:
    """511x397 px with an alpha channel: cut off at the left, half transparent at the lower right."""
    path: Path = tmp_path_factory.mktemp("odd") / "odd.png"
    rgb = cv2.resize(astronaut_rgb, (511, 397), interpolation=cv2.INTER_AREA)
    alpha = np.full((397, 511), 255, np.uint8)
    alpha[:, :60], alpha[300:, 400:] = 0, 90
    cv2.imwrite(str(path), np.dstack([rgb[..., ::-1], alpha]))
    return load_reference([path], size="source", cache=shared_cache).reference


def test_at_zero_motion_the_picture_stays_as_it_is(reference: Reference) -> None:
    frame = _frames(reference, reference.controls)[0]
    assert _psnr(frame, reference.images[0]) >= 45
    assert np.percentile(np.abs(frame.astype(int) - reference.images[0]), 99.9) <= 8


def test_at_zero_motion_an_odd_picture_with_alpha_stays_as_it_is(odd: Reference) -> None:
    assert odd.images.shape == (1, 397, 511, 3)
    assert _psnr(_frames(odd, odd.controls)[0], odd.images[0]) >= 45


@pytest.mark.parametrize("size", [(300, 512), (257, 190)])
def test_at_zero_motion_a_framed_picture_stays_as_it_is(reference: Reference, size: tuple[int, int]) -> None:
    framed = frame_reference(reference, *size)
    assert _psnr(_frames(framed, framed.controls)[0], framed.images[0]) >= 45


@pytest.mark.parametrize("smoothing", [0, 5])
def test_the_first_frame_of_a_performance_is_the_picture(
    small: Reference, perform: Callable[..., Controls], smoothing: int
) -> None:
    stream = _driven(small, perform(0.4, headYaw=(0, 20), jawOpen=(0, 1)), smoothing=smoothing)
    assert _psnr(_frames(small, stream.window(0, 1))[0], small.images[0]) >= 45


def test_alpha_and_background_together_are_the_picture(reference: Reference) -> None:
    """What is transparent at zero motion is not the person; over another colour the person stays."""
    frame = _frames(reference, reference.controls, alpha=True)[0]
    alpha = frame[..., 3:] / 255.0
    over = {c: alpha * frame[..., :3] + (1 - alpha) * np.array(c) for c in ((0.0, 255.0, 0.0), (255.0, 0.0, 255.0))}
    green, pink = over.values()
    surely = cv2.erode((reference.matte[0] > 0.9).astype(np.uint8), np.ones((21, 21), np.uint8)) > 0
    nobody = cv2.dilate((reference.matte[0] > 0.1).astype(np.uint8), np.ones((41, 41), np.uint8)) == 0
    assert min(surely.sum(), nobody.sum()) > 20_000
    assert np.abs(green - reference.images[0])[surely].mean() < 1
    assert np.abs(green - pink)[surely].max() < 10
    assert np.abs(green[nobody] - [0, 255, 0]).mean() < 1
    assert np.abs(pink[nobody] - [255, 0, 255]).mean() < 1


def test_alpha_of_the_reference_is_kept(odd: Reference) -> None:
    frame = _frames(odd, odd.controls, alpha=True)[0]
    assert frame[:, :50, 3].max() < 10


def test_the_same_frames_with_and_without_alpha(small: Reference, perform: Callable[..., Controls]) -> None:
    """Inside the person both are the same; without alpha nothing is transparent."""
    turned = perform(0.2, headYaw=(0, 15))
    plain, cut = _last(small, turned), _last(small, turned, alpha=True)
    assert plain.shape == (256, 256, 3)
    inside = cut[..., 3] == 255
    assert inside.mean() > 0.2
    assert np.abs(plain.astype(int) - cut[..., :3])[inside].max() <= 2


def test_frames_do_not_depend_on_threads(small: Reference, perform: Callable[..., Controls]) -> None:
    stream = _driven(small, perform(0.4, headYaw=(0, 20), jawOpen=(0, 1), eyeBlink=(0, 1), torsoX=(0, 0.3)))
    one = _frames(small, stream, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(_frames(small, stream, threads=threads), one)


def test_one_renderer_does_not_mix_its_jobs(small: Reference, odd: Reference, perform: Callable[..., Controls]) -> None:
    renderer = GeometryRenderer(2)
    driver = perform(0.2, headYaw=(0, 20), jawOpen=(0, 1))
    first = list(renderer.render(small, _driven(small, driver), _settings(small)))
    list(renderer.render(odd, _driven(odd, driver), _settings(odd)))
    again = list(renderer.render(small, _driven(small, driver), _settings(small)))
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(first))
    renderer.close()


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 65])
def test_windows_are_joined_without_a_seam(small: Reference, perform: Callable[..., Controls], frames: int) -> None:
    """As many frames as were asked for, each the one that it is when drawn alone."""
    stream = _driven(frame_reference(small, 96, 96), perform(2.6, headYaw=(0, 25), headX=(0, 0.3)), smoothing=5)
    tiny = frame_reference(small, 96, 96)
    drawn = _frames(tiny, _First(stream, frames), threads=2)
    assert drawn.shape == (frames, 96, 96, 3)
    for k in {0, frames // 2, min(31, frames - 1), min(32, frames - 1), frames - 1}:
        alone = _frames(tiny, stream.window(k, k + 1))[0]
        assert np.abs(drawn[k].astype(int) - alone).max() <= 1


class _First:
    """The first frames of a stream."""

    def __init__(self, whole: ControlStream, frames: int) -> None:
        self._whole, self.num_frames = whole, frames
        self.fps, self.width, self.height = whole.fps, whole.width, whole.height

    def window(self, start: int, stop: int) -> Controls:
        return self._whole.window(start, min(stop, self.num_frames))


def test_a_size_fits_every_multiple_that_the_renderer_names(reference: Reference) -> None:
    spec = GeometryRenderer.spec
    assert spec.size_multiple == 1
    framed = frame_reference(reference, 101 * spec.size_multiple, 67 * spec.size_multiple)
    assert _frames(framed, framed.controls).shape[1:3] == framed.images.shape[1:3]


@pytest.fixture(scope="module")
def marked(reference: Reference) -> Reference:
    """The astronaut with a green face in a blue world, so that the place of every face pixel shows."""
    face = reference.controls.face
    assert face is not None
    image = np.full_like(reference.images[0], (0, 0, 200))
    oval = np.rint(face.landmarks[0, list(head_space.FACE_OVAL), :2]).astype(np.int32)
    cv2.fillPoly(image, [oval], (0, 200, 0))
    return replace(reference, images=image[None])


@pytest.mark.parametrize("pitch", [0, 12])
@pytest.mark.parametrize("yaw", [-30, -15, 15, 30])
def test_a_turned_face_has_no_holes_and_no_islands(
    marked: Reference, perform: Callable[..., Controls], yaw: float, pitch: float
) -> None:
    frame = _last(marked, perform(0.2, headYaw=(0, yaw * 1.25), headPitch=(0, pitch * 1.25)))
    green = (frame[..., 1] > 100).astype(np.uint8)
    face = marked.controls.face
    assert face is not None
    assert 0.6 < green.sum() / (marked.images[0][..., 1] > 100).sum() < 1.5
    _, _, stats, _ = cv2.connectedComponentsWithStats(green, connectivity=8)
    pieces = np.sort(stats[1:, cv2.CC_STAT_AREA])[:-1]
    assert pieces.sum() <= SPECKS, stats[1:]
    contours, _ = cv2.findContours(green, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    silhouette = cv2.drawContours(np.zeros_like(green), contours, -1, 1, cv2.FILLED)
    assert (silhouette > green).sum() <= SPECKS, np.argwhere(silhouette > green)
    outline = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(outline)
    assert cv2.arcLength(outline, True) < 1.12 * cv2.arcLength(hull, True)  # the cheek is no saw
    assert cv2.contourArea(outline) > 0.93 * cv2.contourArea(hull)


def _mirrored(reference: Reference) -> Reference:
    """The same person in a mirror."""
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    across, width = head_space.mirror(), reference.images.shape[2]
    flip = np.array([-1, 1, 1], np.float32)
    place = np.array([width - 1, 0, 0], np.float32)
    controls = replace(
        reference.controls, body=None, hands=None,
        face=replace(
            face, landmarks=face.landmarks[:, across] * flip + place, expression=face.expression[:, across] * flip,
            identity=face.identity[across] * flip,
        ),
        head=replace(head, rotation=head.rotation * np.outer(flip, flip), center=head.center * flip[:2] + place[:2]),
    )  # fmt: skip
    return replace(
        reference, images=np.ascontiguousarray(reference.images[:, :, ::-1]), controls=controls,
        matte=np.ascontiguousarray(reference.matte[:, :, ::-1]),
    )  # fmt: skip


@pytest.mark.parametrize("yaw", [-25, 25])
def test_a_mirrored_person_turned_the_other_way_gives_the_mirrored_frame(
    reference: Reference, perform: Callable[..., Controls], yaw: float
) -> None:
    """The renderer has no favourite side."""
    one = _last(reference, perform(0.2, headYaw=(0, yaw * 1.25)))
    other = _last(_mirrored(reference), perform(0.2, headYaw=(0, -yaw * 1.25)))
    assert _psnr(one, reference.images[0]) < 30
    assert _psnr(other[:, ::-1], one) > 34


def test_motion_goes_where_the_landmarks_go(reference: Reference, perform: Callable[..., Controls]) -> None:
    """The head travels by a known way; the picture of the face is found there."""
    stream = _driven(reference, perform(0.4, headX=(0, 0.5), headY=(0, 0.25)))
    last = stream.window(9, 10)
    face, own = last.face, reference.controls.face
    assert face is not None
    assert own is not None
    way = (face.landmarks[0, :, :2] - own.landmarks[0, :, :2]).mean(0)
    assert np.hypot(*way) > 15
    frame = cv2.cvtColor(_frames(reference, last)[0], cv2.COLOR_RGB2GRAY)
    before = cv2.cvtColor(reference.images[0], cv2.COLOR_RGB2GRAY)
    low, high = own.landmarks[0, :, :2].min(0).astype(int), own.landmarks[0, :, :2].max(0).astype(int)
    patch = before[low[1] + 10 : high[1] - 10, low[0] + 10 : high[0] - 10]
    scores = cv2.matchTemplate(frame, patch, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(scores)
    assert best > 0.97
    assert np.abs(np.array([x, y]) - (low + 10) - way).max() < 1


def test_the_background_stands_still(reference: Reference, perform: Callable[..., Controls]) -> None:
    stream = _driven(reference, perform(0.4, headYaw=(0, 20), headX=(0, 0.2), torsoX=(0, 0.2)))
    frame = _frames(reference, stream.window(9, 10))[0]
    nobody = cv2.dilate((reference.matte[0] > 0.02).astype(np.uint8), np.ones((71, 71), np.uint8)) == 0
    assert nobody.sum() > 10_000
    assert np.abs(frame.astype(int) - reference.images[0])[nobody].max() <= 2


def test_an_opening_mouth_shows_its_dark_inside(reference: Reference, perform: Callable[..., Controls]) -> None:
    stream = _driven(reference, perform(0.4, jawOpen=(0, 0.9)))
    last = stream.window(9, 10)
    assert last.face is not None
    frame = cv2.cvtColor(_frames(reference, last)[0], cv2.COLOR_RGB2GRAY)
    lips = np.rint(last.face.landmarks[0, list(head_space.INNER_LIPS), :2]).astype(np.int32)
    inside = cv2.fillPoly(np.zeros(frame.shape, np.uint8), [lips], 1) > 0
    own = reference.controls.face
    assert own is not None
    before = np.rint(own.landmarks[0, list(head_space.INNER_LIPS), :2]).astype(np.int32)
    closed = cv2.fillPoly(np.zeros(frame.shape, np.uint8), [before], 1) > 0
    assert inside.sum() > 1.5 * closed.sum()
    grey = cv2.cvtColor(reference.images[0], cv2.COLOR_RGB2GRAY)
    assert frame[inside].mean() < 0.75 * grey[closed].mean()
    assert np.percentile(frame[inside], 20) < 70


def test_a_head_that_leaves_the_picture_is_harmless(small: Reference, perform: Callable[..., Controls]) -> None:
    frame = _last(small, perform(0.2, headX=(0, 5), headY=(0, -5), torsoX=(0, 5)))
    assert frame.shape == (256, 256, 3)
    near = _last(small, perform(0.2, headZ=(0, 2.5)))
    assert near.std() > 10


def test_a_render_that_is_left_early_leaves_no_threads(small: Reference, perform: Callable[..., Controls]) -> None:
    before = threading.active_count()
    frames: Iterator[U8] = GeometryRenderer(3).render(small, _driven(small, perform(20.0, headYaw=(0, 20))), _settings(small))
    assert next(frames).shape == (1, 256, 256, 3)
    began = time.monotonic()
    frames.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    assert threading.active_count() == before


def test_an_error_in_the_controls_reaches_the_caller(small: Reference) -> None:
    class Broken(_First):
        def window(self, start: int, stop: int) -> Controls:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        next(GeometryRenderer(2).render(small, Broken(small.controls, 9), _settings(small)))


@pytest.mark.parametrize("relight", [True, False])
def test_the_drivers_light_lies_on_the_face_alone(reference: Reference, relight: bool) -> None:
    """A darker left half of the atlas darkens that half of the face, and only if it is asked for."""
    shading = np.full((1, 64, 64, 3), 128, np.uint8)
    shading[:, :, :32] = 100
    appearance = Appearance(mouth=np.zeros((1, 48, 96, 3), np.uint8), shading=shading)
    controls = replace(reference.controls, appearance=appearance)
    settings = _settings(reference)
    settings = replace(settings, preset=replace(settings.preset, relight=relight))
    frame = next(GeometryRenderer(1).render(reference, controls, settings))[0].astype(float)
    change = frame - reference.images[0]
    face = reference.controls.face
    assert face is not None
    left, right = (np.rint(face.landmarks[0, i, :2]).astype(int) for i in (50, 280))  # the cheeks
    at_left, at_right = (change[y - 4 : y + 5, x - 4 : x + 5].mean() for x, y in (left, right))
    assert abs(at_right) < 2
    assert (at_left < -15) if relight else (abs(at_left) < 2)
    outside = np.ones(frame.shape[:2], np.uint8)
    outline = face.landmarks[0, list(head_space.FACE_OVAL), :2]
    cv2.fillPoly(outside, [np.rint(outline).astype(np.int32)], 0)
    assert np.abs(change)[cv2.erode(outside, np.ones((9, 9), np.uint8)) > 0].max() < 10


def test_light_that_did_not_change_changes_nothing(reference: Reference) -> None:
    appearance = Appearance(mouth=np.zeros((1, 48, 96, 3), np.uint8), shading=np.full((1, 64, 64, 3), 128, np.uint8))
    settings = _settings(reference)
    lit = replace(settings, preset=replace(settings.preset, relight=True))
    frame = next(GeometryRenderer(1).render(reference, replace(reference.controls, appearance=appearance), lit))[0]
    np.testing.assert_array_equal(frame, _frames(reference, reference.controls)[0])
