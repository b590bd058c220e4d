"""The driver's motion on another person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space, person_space
from dreamactor_cli.contracts import Controls, ControlStream, Face, Head, Preset
from dreamactor_cli.retarget.lids import LIP_PAIRS
from dreamactor_cli.retarget.transfer import RetargetedStream, neutral_frame

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference

FPS = Fraction(25)
EYES = [*head_space.EYE_LEFT, *head_space.EYE_RIGHT]
LIPS = [*head_space.OUTER_LIPS, *head_space.INNER_LIPS]


def _whole(stream: ControlStream) -> Controls:
    return stream.window(0, stream.num_frames)


def _moved(reference: Reference, driver: ControlStream, fps: Fraction = FPS, **options: Any) -> Controls:
    """All frames of the reference, driven."""
    return _whole(RetargetedStream(reference.controls, driver, Preset(**({"smoothing": 0} | options)), fps))


def _face(controls: Controls) -> Face:
    assert controls.face is not None
    return controls.face


def _head(controls: Controls) -> Head:
    assert controls.head is not None
    return controls.head


def _canonical(controls: Controls) -> NDArray[np.float64]:
    """(T, 478, 3)."""
    face = _face(controls)
    return (face.identity + face.expression).astype(np.float64)


def _assert_equal(one: Controls, other: Controls, atol: float) -> None:
    for name, signal in one.signals().items():
        for key, values in signal.arrays().items():
            np.testing.assert_allclose(other.signals()[name].arrays()[key], values, atol=atol, err_msg=f"{name}.{key}")


@pytest.mark.parametrize("smoothing", [0, 5, 9])
def test_at_the_anchor_stands_the_reference(reference: Reference, driver: Controls, smoothing: int) -> None:
    """Whoever drives: the first frame is the picture, and with smoothing too."""
    first = _moved(reference, driver, smoothing=smoothing).window(0, 1)
    landmarks = _face(reference.controls).landmarks
    assert np.abs(_face(first).landmarks - landmarks)[..., :2].max() < 0.01
    head, own = _head(first), _head(reference.controls)
    np.testing.assert_allclose(head.center, own.center, atol=1e-3)
    np.testing.assert_allclose(head.radius, own.radius, atol=1e-3)
    np.testing.assert_allclose(head.rotation, own.rotation, atol=1e-5)
    np.testing.assert_allclose(head.field, 0, atol=1e-6)
    np.testing.assert_allclose(head.torso_2d, np.eye(2, 3)[None], atol=1e-3)


@pytest.mark.parametrize("smoothing", [0, 5])
def test_a_person_who_drives_herself_gets_her_own_motion_back(reference: Reference, driver: Controls, smoothing: int) -> None:
    herself = replace(_moved(reference, driver, smoothing=9), space="driving")
    again = _moved(reference, herself, smoothing=smoothing)
    gone = np.abs(_face(again).landmarks - _face(herself).landmarks)[..., :2].max(2)
    assert gone[0].max() < 0.01
    assert gone.max() < (0.5 if smoothing == 0 else 0.8)
    if smoothing == 0:  # around the eyes, lids that were shut are shut once more
        assert gone[:, [*LIPS, *head_space.FACE_OVAL, 1, 168]].max() < 0.01


def test_turns_of_the_driver_turn_the_reference(reference: Reference, perform: Callable[..., Controls]) -> None:
    turning = perform(1.0, headYaw=(0, 25), headPitch=(0, -10))
    moved = _head(_moved(reference, turning)).rotation.astype(np.float64)
    own = _head(reference.controls).rotation[0].astype(np.float64)
    relative = head_space.euler_degrees(moved @ own.T)
    expected = head_space.euler_degrees(_head(turning).rotation)
    np.testing.assert_allclose(relative, expected, atol=0.01)
    assert relative[-1, 0] > 23
    assert np.linalg.det(moved) == pytest.approx(1, abs=1e-5)


def test_travel_and_growth_are_scaled_by_the_size_of_the_heads(reference: Reference, perform: Callable[..., Controls]) -> None:
    nearing = perform(1.0, headX=(0, 0.5), headY=(0, -0.2), headZ=(0, 0.2))
    moved = _head(_moved(reference, nearing))
    own, theirs = _head(reference.controls), _head(nearing)
    ratio = own.radius[0] / theirs.radius[0]
    np.testing.assert_allclose(moved.center - own.center[0], (theirs.center - theirs.center[0]) * ratio, atol=0.01)
    np.testing.assert_allclose(moved.radius / own.radius[0], theirs.radius / theirs.radius[0], rtol=1e-4)


def test_the_torso_moves_about_the_chin_and_in_the_size_of_the_reference(
    reference: Reference, perform: Callable[..., Controls]
) -> None:
    shifting = perform(1.0, torsoX=(0, 0.4))
    unit = _head(shifting).radius[0] / head_space.SPHERE_RADIUS
    own = _head(reference.controls).radius[0] / head_space.SPHERE_RADIUS
    assert _head(shifting).torso_2d[-1, 0, 2] == pytest.approx(0.4 * unit * 24 / 25, rel=0.02)
    torso = _head(_moved(reference, shifting)).torso_2d
    np.testing.assert_allclose(torso[:, :, :2], np.broadcast_to(np.eye(2), (25, 2, 2)), atol=1e-5)
    assert torso[-1, 0, 2] / own == pytest.approx(_head(shifting).torso_2d[-1, 0, 2] / unit, rel=1e-3)
    assert abs(torso[-1, 1, 2]) < 0.01


def test_landmarks_agree_with_pose_and_expression(reference: Reference, driver: Controls) -> None:
    moved = _moved(reference, driver, smoothing=5)
    head = _head(moved)
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    placed = head_space.to_image(_canonical(moved), pose)
    assert np.abs(placed - _face(moved).landmarks).max() < 0.01
    assert (moved.space, moved.width, moved.height) == ("reference", 512, 512)


@pytest.mark.parametrize(
    ("region", "head_moves", "body_moves", "still", "moving"),
    [
        (("mouth",), False, False, EYES, LIPS),
        (("eyes",), False, False, LIPS, EYES),
        (("head",), True, False, [*EYES, *LIPS], []),
        (("body",), False, True, [*EYES, *LIPS], []),
        (("face",), False, False, [], [*EYES, *LIPS]),
        (("mouth", "head", "body"), True, True, EYES, LIPS),
    ],
)
def test_only_the_region_moves(
    reference: Reference, driver: Controls, region: tuple[str, ...], head_moves: bool, body_moves: bool, still: list[int],
    moving: list[int],
) -> None:  # fmt: skip
    moved = _moved(reference, driver, region=region, smoothing=5)
    head, own = _head(moved), _head(reference.controls)
    travel = np.abs(head.rotation - own.rotation[0]).max(), np.abs(head.center - own.center[0]).max()
    assert (min(travel) > 0.1) if head_moves else (max(travel) < 1e-4)
    torso = np.abs(head.torso_2d - np.eye(2, 3)).max()
    assert (torso > 1) if body_moves else (torso == 0)
    assert head_moves or not np.abs(head.head_2d - np.eye(2, 3)).any()
    change = np.abs(_canonical(moved) - _canonical(reference.controls)[:1]).max((0, 2))
    if still:
        assert change[still].max() < 0.01
    if moving:
        assert change[moving].max() > 0.08
    hair, shoulders = np.abs(head.field[:, :3]).max(), np.abs(head.field[:, -2:]).max()
    assert (hair > 0.05) if head_moves else (hair < 1e-3)
    assert (shoulders > 0.05) if body_moves else (shoulders < 1e-3)


def test_expression_can_be_scaled(reference: Reference, perform: Callable[..., Controls]) -> None:
    speaking = perform(0.4, jawOpen=(0, 0.6))
    rest = _canonical(reference.controls)[0]
    once, twice, none = (_canonical(_moved(reference, speaking, expression_scale=s)) - rest for s in (1.0, 1.6, 0.0))
    np.testing.assert_allclose(twice[:, head_space.CHIN], 1.6 * once[:, head_space.CHIN], atol=1e-5)
    assert once[-1, head_space.CHIN, 1] > 0.1
    np.testing.assert_allclose(none, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("frames", "source", "fps", "expected"),
    [
        (1001, Fraction(25), Fraction(30000, 1001), 1200),
        (1200, Fraction(30000, 1001), Fraction(25), 1001),
        (100, Fraction(24000, 1001), Fraction(24000, 1001), 100),
        (38, Fraction(25), Fraction(50), 76),
        (1, Fraction(30), Fraction(1), 1),
    ],
)
def test_the_number_of_frames_is_exact(
    reference: Reference, perform: Callable[..., Controls], frames: int, source: Fraction, fps: Fraction, expected: int
) -> None:
    one = perform(0.04)
    many = _Repeated(one, frames, source)
    stream = RetargetedStream(reference.controls, many, Preset(), fps)
    assert stream.num_frames == expected == max(1, round(frames * fps / source))
    last = stream.window(expected - 3, expected + 10)
    assert last.num_frames == min(3, expected)
    assert last.fps == fps


class _Repeated:
    """One frame, held for a long clip."""

    def __init__(self, one: Controls, frames: int, fps: Fraction) -> None:
        self._one, self.num_frames, self.fps = one, frames, fps
        self.width, self.height = one.width, one.height

    def window(self, start: int, stop: int) -> Controls:
        count = max(min(stop, self.num_frames) - max(start, 0), 0)
        signals = {}
        for name, signal in self._one.signals().items():
            arrays = {
                key: np.repeat(values[:1], count, 0) if signal.SHAPES[key][0] == "T" else values
                for key, values in signal.arrays().items()
            }
            signals[name] = type(signal)(**arrays)
        return replace(self._one, num_frames=count, fps=self.fps, **signals)


def test_rate_conversion_keeps_the_time_of_what_happens(reference: Reference, perform: Callable[..., Controls]) -> None:
    turning = perform(2.0, headYaw=(0, 40))
    fps = Fraction(30000, 1001)
    moved = _head(_moved(reference, turning, fps=fps)).rotation.astype(np.float64)
    own = _head(reference.controls).rotation[0].astype(np.float64)
    yaw = head_space.euler_degrees(moved @ own.T)[:, 0]
    times = np.arange(len(yaw)) / float(fps)
    inside = times <= 49 / 25
    np.testing.assert_allclose(yaw[inside], 20 * times[inside], atol=0.02)


@pytest.mark.parametrize("fps", [FPS, Fraction(30000, 1001), Fraction(12)])
@pytest.mark.parametrize("options", [{}, {"anchor": "neutral"}, {"motion": "absolute"}, {"smoothing": 9}, {"smoothing": 0}])
def test_a_window_is_a_slice_of_the_whole(reference: Reference, driver: Controls, fps: Fraction, options: dict[str, Any]) -> None:
    stream = RetargetedStream(reference.controls, driver, Preset(**({"smoothing": 5} | options)), fps)
    whole = _whole(stream)
    for start, stop in ((0, 1), (1, 8), (7, 8), (13, 20), (stream.num_frames - 3, stream.num_frames)):
        _assert_equal(whole.window(start, stop), stream.window(start, stop), atol=1e-4)


def test_a_window_is_a_slice_of_the_whole_to_the_last_digits(reference: Reference, driver: Controls) -> None:
    stream = RetargetedStream(reference.controls, driver, Preset(smoothing=5), Fraction(30000, 1001))
    whole = _whole(stream)
    for start, stop in ((3, 4), (7, 29), (31, 60)):
        part, cut = stream.window(start, stop), whole.window(start, stop)
        np.testing.assert_allclose(_face(part).expression, _face(cut).expression, atol=1e-5)
        np.testing.assert_allclose(_head(part).rotation, _head(cut).rotation, atol=1e-5)
        np.testing.assert_allclose(_head(part).field, _head(cut).field, atol=1e-5)


def test_smoothing_takes_out_tremor_and_no_time(reference: Reference, perform: Callable[..., Controls]) -> None:
    clean = perform(4.0, headYaw=tuple(10 * np.sin(np.arange(9) * 1.3)))
    head = _head(clean)
    tremor = np.random.default_rng(3).normal(0, 1.0, head.center.shape).astype(np.float32)
    shaky = replace(clean, head=replace(head, center=head.center + tremor))
    own = _head(_moved(reference, clean)).center
    rough = _head(_moved(reference, shaky)).center - own
    calm = _head(_moved(reference, shaky, smoothing=7)).center - own
    assert (calm[8:-8].std(0) < 0.75 * rough[8:-8].std(0)).all()
    yaw = [head_space.euler_degrees(_head(_moved(reference, clean, smoothing=s)).rotation)[:, 0] for s in (0, 7)]
    lags = [np.corrcoef(yaw[0][10:-10], np.roll(yaw[1], -lag)[10:-10])[0, 1] for lag in range(-4, 5)]
    assert int(np.argmax(lags)) - 4 == 0


def test_the_neutral_frame_is_the_calm_one(perform: Callable[..., Controls]) -> None:
    keys = {"jawOpen": (0.9, 0.5, 0, 0.5), "headYaw": (30, 10, 0, 20), "mouthSmile": (1, 0.5, 0, 1)}
    clip = perform(3.0, **keys)
    assert neutral_frame(clip) == 50
    assert neutral_frame(perform(3.0)) == 0


def test_a_frame_without_a_face_is_never_the_neutral_one(perform: Callable[..., Controls]) -> None:
    clip = perform(1.0, jawOpen=(0, 1))
    face = _face(clip)
    score = face.score.copy()
    score[:6] = 0
    assert neutral_frame(replace(clip, face=replace(face, score=score))) == 6


def test_a_neutral_anchor_puts_the_reference_where_the_driver_is_calm(
    reference: Reference, perform: Callable[..., Controls]
) -> None:
    clip = perform(2.0, jawOpen=(1, 0, 1), headYaw=(20, 0, -20))
    moved = _moved(reference, clip, anchor="neutral", smoothing=5)
    own = _face(reference.controls).landmarks[0]
    distance = np.abs(_face(moved).landmarks - own)[..., :2].max((1, 2))
    assert distance[25] < 0.01
    assert distance.argmin() == 25
    assert distance[0] > 5


def test_absolute_motion_takes_the_drivers_own_pose(reference: Reference, perform: Callable[..., Controls]) -> None:
    clip = perform(1.0, headYaw=(18, 18), jawOpen=(0, 0, 0, 0, 0.7))
    relative, absolute = (_head(_moved(reference, clip, motion=motion)).rotation for motion in ("relative", "absolute"))
    np.testing.assert_allclose(absolute, _head(clip).rotation, atol=1e-5)
    np.testing.assert_allclose(relative[0], _head(reference.controls).rotation[0], atol=1e-5)


def test_a_clip_that_begins_with_an_open_mouth_opens_the_references(
    reference: Reference, perform: Callable[..., Controls]
) -> None:
    """The anchor of the mouth is the frame that is as open as the picture's, not the first one."""
    clip = replace(perform(2.0, jawOpen=(0.7, 0, 0, 0, 0, 0, 0)), extractor_versions={"face": "1"})
    rest = _canonical(reference.controls)[0]
    moved = _canonical(_moved(reference, clip)) - rest
    assert moved[0, head_space.CHIN, 1] > 0.15
    assert np.abs(moved[-1]).max() < 0.03


def test_absolute_expression_does_not_depend_on_the_first_frame(reference: Reference, perform: Callable[..., Controls]) -> None:
    """A driver who begins with an open mouth: absolute motion opens it, relative motion takes it for the picture's."""
    clip = perform(2.0, jawOpen=(0.7, 0, 0, 0, 0, 0, 0))
    rest = _canonical(reference.controls)[0]
    absolute = _canonical(_moved(reference, clip, motion="absolute")) - rest
    meant = _face(clip).expression[0, head_space.CHIN, 1]
    assert meant > 0.15
    assert absolute[0, head_space.CHIN, 1] == pytest.approx(meant, rel=0.1)
    assert np.abs(absolute[-1]).max() < 0.02
    assert np.abs(_canonical(_moved(reference, clip))[0] - rest).max() < 1e-5


def test_lips_never_cross(reference: Reference, perform: Callable[..., Controls]) -> None:
    """The driver begins with an open mouth and closes it; the reference's mouth is nearly closed already."""
    closing = perform(1.0, jawOpen=(1, 0), mouthClose=(0, 0))
    moved = _canonical(_moved(reference, closing))
    rest = _canonical(reference.controls)[0]
    chin = moved[-1, head_space.CHIN, 1] - rest[head_space.CHIN, 1]
    assert chin < -0.2  # the jaw is where the driver wants it, only the lips give way
    for high, low in LIP_PAIRS:
        floor = min(0.0, rest[low, 1] - rest[high, 1])
        assert (moved[:, low, 1] - moved[:, high, 1]).min() > floor - 1e-5


def test_blinks_close_the_eyes_of_the_reference(reference: Reference, perform: Callable[..., Controls]) -> None:
    blinking = perform(1.0, eyeBlink=(0, 1, 0))
    moved = _canonical(_moved(reference, blinking))
    gaps = moved[:, [145, 374], 1] - moved[:, [159, 386], 1]
    assert gaps[12].max() < 0.3 * gaps[0].min()
    np.testing.assert_allclose(gaps[-1], gaps[0], rtol=0.15)


def test_held_frames_are_passed_on_as_held(reference: Reference, perform: Callable[..., Controls]) -> None:
    clip = perform(0.4)
    score = np.ones(10, np.float32)
    score[4:6] = 0
    moved = _moved(reference, replace(clip, face=replace(_face(clip), score=score)), smoothing=5)
    np.testing.assert_array_equal(_face(moved).score, score)


def test_the_border_of_head_and_body_shares_the_field(reference: Reference, driver: Controls) -> None:
    """What the head and the body take of the field is together the whole."""
    parts = [_head(_moved(reference, driver, region=(region,))).field for region in ("head", "body")]
    whole = _head(_moved(reference, driver)).field
    np.testing.assert_allclose(parts[0] + parts[1], whole, atol=1e-6)
    assert whole.shape[1:] == (person_space.FIELD_ROWS, person_space.FIELD_COLUMNS, 2)
