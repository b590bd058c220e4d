"""Draws control signals over the clip that they come from: skeleton, hands, head sphere, face box and landmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8, Body, Controls, ControlStream, Face, Hands, Head
from dreamactor_cli.head_space import EYE_LEFT, EYE_RIGHT, FACE_OVAL, INNER_LIPS, IRIS_LEFT, IRIS_RIGHT, OUTER_LIPS

Points = NDArray[np.floating]
Colour = tuple[int, int, int]

WINDOW = 64  # frames whose signals are held at a time
CRF = 20
MIN_SCORE = 0.3  # joints below are not drawn
SHIFT = 4  # cv2 draws at 1/16 px

BONES = (
    (11, 12), (11, 23), (12, 24), (23, 24), (11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28),
    (27, 29), (29, 31), (27, 31), (28, 30), (30, 32), (28, 32),
)  # fmt: skip
FINGERS = ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (5, 9, 10, 11, 12), (9, 13, 14, 15, 16), (13, 17, 18, 19, 20), (0, 17))

# RGB
FACE_COLOUR, HELD_COLOUR, SPHERE_COLOUR, IRIS_COLOUR = (80, 230, 120), (150, 150, 150), (90, 170, 255), (255, 255, 80)
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR = (255, 140, 60), (60, 200, 255), (240, 240, 240)
AXES = ((255, 70, 70), (70, 255, 70), (90, 120, 255))  # x, y, z of the head


def write_preview(
    video: Path,
    stream: ControlStream,
    output: Path,
    *,
    start: Fraction = Fraction(0),
    on_progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Draw the signals over the frames they were measured in, and write the result with the clip's sound.

    Args:
        video: the clip, or a picture.
        stream: signals of its frames from `start` on.
        output: the video to write, in any form that `media.VideoWriter` knows.
        start: seconds.
        on_progress: is told ("preview", frames done, frames in all).

    Raises:
        DreamActorError: the clip cannot be read or the output not be written.
    """
    from dreamactor_cli.media import AudioSource, VideoWriter, is_video, load_image, probe, read_frames

    audio = None
    frames: Iterator[U8]
    if is_video(video):
        info = probe(video)
        first = round(start * info.fps)
        frames = read_frames(video, first, first + stream.num_frames, info=info)
        if info.audio_codec:
            audio = AudioSource(path=video, start=Fraction(first) / info.fps, duration=stream.num_frames / stream.fps)
    else:
        frames = iter([load_image(video).rgb])
    writer = VideoWriter(output, width=stream.width, height=stream.height, fps=stream.fps, crf=CRF, audio=audio, overwrite=True)
    with writer:
        window = stream.window(0, 0)
        for t, frame in enumerate(frames):
            if t % WINDOW == 0:
                window = stream.window(t, t + WINDOW)
            writer.write(draw(frame, window, t % WINDOW))
            if on_progress:
                on_progress("preview", t + 1, stream.num_frames)


def draw(frame: U8, controls: Controls, t: int) -> U8:
    """A copy of the frame (H, W, 3) with the signals of frame t drawn over it."""
    canvas = np.ascontiguousarray(frame).copy()
    width = max(1, round(min(frame.shape[:2]) / 360))
    if controls.body is not None:
        _body(canvas, controls.body, t, width)
    if controls.hands is not None:
        _hands(canvas, controls.hands, t, width)
    if controls.head is not None:
        _head(canvas, controls.head, t, width)
    if controls.face is not None:
        _face(canvas, controls.face, t, width)
    return canvas


def _body(canvas: U8, body: Body, t: int, width: int) -> None:
    joints, score = body.joints_2d[t], body.score[t]
    for a, b in BONES:
        if min(score[a], score[b]) >= MIN_SCORE:
            colour = MIDDLE_COLOUR if a % 2 != b % 2 else LEFT_COLOUR if a % 2 else RIGHT_COLOUR
            _line(canvas, joints[[a, b]], colour, width + 1)
    for joint in sorted({end for bone in BONES for end in bone}):
        if score[joint] >= MIN_SCORE:
            _circle(canvas, joints[joint], 1.5 * width + 1, MIDDLE_COLOUR, -1)


def _hands(canvas: U8, hands: Hands, t: int, width: int) -> None:
    for side, colour in enumerate((LEFT_COLOUR, RIGHT_COLOUR)):
        if hands.score[t, side] >= MIN_SCORE:
            for finger in FINGERS:
                _line(canvas, hands.joints_2d[t, side, list(finger)], colour, width)


def _head(canvas: U8, head: Head, t: int, width: int) -> None:
    seen = head.score[t] > 0
    center, radius = head.center[t], float(head.radius[t])
    _circle(canvas, center, radius, SPHERE_COLOUR if seen else HELD_COLOUR, width)
    # The front of an axis is drawn where it leaves the sphere; z points into the picture, so the nose is at -z.
    for axis, colour in zip(head.rotation[t].T * np.array([[1], [1], [-1]]), AXES, strict=True):
        _line(canvas, np.stack([center, center + radius * axis[:2]]), colour if seen else HELD_COLOUR, width)


def _face(canvas: U8, face: Face, t: int, width: int) -> None:
    points = face.landmarks[t, :, :2]
    colour: Colour = FACE_COLOUR if face.score[t] > 0 else HELD_COLOUR
    low, high = points.min(0), points.max(0)
    _line(canvas, np.array([low, [high[0], low[1]], high, [low[0], high[1]]]), colour, width, closed=True)
    for x, y in np.rint(points).astype(int):
        if 0 <= x < canvas.shape[1] and 0 <= y < canvas.shape[0]:
            canvas[y, x] = colour
    for ring in (FACE_OVAL, EYE_LEFT, EYE_RIGHT, OUTER_LIPS, INNER_LIPS):
        _line(canvas, points[list(ring)], colour, width, closed=True)
    for iris in (IRIS_LEFT, IRIS_RIGHT):
        center = points[iris[0]]
        _circle(canvas, center, float(np.linalg.norm(points[list(iris[1:])] - center, axis=1).mean()), IRIS_COLOUR, width)


def _line(canvas: U8, points: Points, colour: Colour, width: int, *, closed: bool = False) -> None:
    import cv2

    fixed = np.rint(np.clip(points, -1e5, 1e5) * (1 << SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [fixed], closed, colour, width, cv2.LINE_AA, SHIFT)


def _circle(canvas: U8, center: Points, radius: float, colour: Colour, width: int) -> None:
    import cv2

    x, y, r = (round(float(np.clip(v, -1e4, 1e4)) * (1 << SHIFT)) for v in (center[0], center[1], radius))
    cv2.circle(canvas, (x, y), max(r, 1), colour, width, cv2.LINE_AA, SHIFT)
