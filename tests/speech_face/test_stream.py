"""A speaking face in the reference's space: the mouth says what was heard, the rest is the driver's."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, ControlStream, Preset
from dreamactor_cli.retarget.transfer import RetargetedStream
from dreamactor_cli.speech_face.life import life
from dreamactor_cli.speech_face.stream import Performance, SpeakingStream, take
from dreamactor_cli.speech_face.tracks import LEAD, MouthTracks, mouth_tracks


def in_time(speech: Controls, **options: float) -> MouthTracks:
    """Tracks of an articulation that is already in the mouth's time."""
    return mouth_tracks(speech, lead=-LEAD, **options)


FRAMES = 60
PLAIN = Preset(smoothing=0)


@pytest.fixture(scope="module")
def tracks(say):
    return in_time(say(FRAMES, aperture=0.3 + 0.2 * np.sin(np.arange(FRAMES) / 3), closure={30: 0.9}))


def alive(tracks, head_motion=1.0) -> Performance:
    curves = life(tracks, fps=25, seed=2, head_motion=head_motion)
    return Performance(curves=curves, num_frames=len(tracks), fps=Fraction(25), width=512, height=512, name="life")


def test_a_performance_is_a_stream_whose_windows_are_parts_of_the_whole(tracks) -> None:
    stream = alive(tracks)
    assert isinstance(stream, ControlStream)
    whole, part = stream.window(0, FRAMES), stream.window(20, 35)
    assert (whole.num_frames, part.num_frames) == (FRAMES, 15)
    for name, signal in part.signals().items():
        for field, array in signal.arrays().items():
            expected = getattr(whole, name).arrays()[field]
            timed = signal.SHAPES[field][0] == "T"
            np.testing.assert_allclose(array, expected[20:35] if timed else expected, atol=2e-5, err_msg=f"{name}.{field}")


def test_the_mouth_opens_as_heard_and_shuts_at_closures(reference, tracks) -> None:
    """The astronaut smiles with open lips; at a closure they meet."""
    stream = SpeakingStream(RetargetedStream(reference.controls, alive(tracks), PLAIN, Fraction(25)), reference.controls, tracks)
    controls = stream.window(0, FRAMES)
    assert controls.speech is not None
    assert controls.num_frames == stream.num_frames == FRAMES
    shape = controls.face.identity + controls.face.expression
    opening = (shape[:, [87, 14, 317], 1] - shape[:, [82, 13, 312], 1]).mean(1)
    assert np.corrcoef(opening, tracks.opening)[0, 1] > 0.9999
    assert opening[30] < 1e-5
    pixels = controls.face.landmarks
    assert np.abs(pixels[30, 13, :2] - pixels[30, 14, :2]).max() < 0.01


def test_only_the_mouth_of_the_driver_is_left_out(reference, tracks, perform) -> None:
    driver = perform(FRAMES / 25, jawOpen=[0, 1, 0], browInnerUp=[0, 1, 0], headYaw=[0, 15, 0])
    moved = RetargetedStream(reference.controls, driver, PLAIN, Fraction(25))
    silent = replace(tracks.of_length(0)).of_length(FRAMES)
    rest, plain = SpeakingStream(moved, reference.controls, silent).window(0, FRAMES), moved.window(0, FRAMES)
    brows = list(head_space.BROW_LEFT)
    np.testing.assert_allclose(rest.face.expression[:, brows], plain.face.expression[:, brows], atol=0.01)
    np.testing.assert_array_equal(rest.head.rotation, plain.head.rotation)
    assert np.ptp(plain.face.expression[:, 14, 1]) > 0.3
    assert np.ptp(rest.face.expression[:, 14, 1]) < 0.01


def test_a_driver_that_is_a_frame_short_is_held(reference, tracks) -> None:
    short = take(alive(tracks).window(0, FRAMES), np.arange(FRAMES - 2))
    stream = SpeakingStream(RetargetedStream(reference.controls, short, PLAIN, Fraction(25)), reference.controls, tracks)
    last = stream.window(FRAMES - 4, FRAMES)
    assert last.num_frames == 4
    np.testing.assert_array_equal(last.head.center[1], last.head.center[3])
    assert stream.window(FRAMES - 1, FRAMES).num_frames == 1


def test_frames_can_be_taken_in_any_order(tracks) -> None:
    whole = alive(tracks).window(0, 10)
    mixed = take(whole, np.array([3, 3, 9, 0]))
    np.testing.assert_array_equal(mixed.head.center, whole.head.center[[3, 3, 9, 0]])
    np.testing.assert_array_equal(mixed.face.identity, whole.face.identity)
