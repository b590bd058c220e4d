"""What the driver does at each frame of the output."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, ControlStream, Face, Preset
from dreamactor_cli.retarget.regions import expression_weights, moves_head

WINDOW = 256  # frames that are read at a time
TAKES_PART = 0.3  # weight from which a landmark counts as moved
# Every fourth landmark says enough of how a face moves.
FEW = tuple(range(0, head_space.NUM_MESH, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverMotion:
    """The part of the driver's motion that the output should show, at the output's frames.

    Attributes:
        points: (T, N, 2), landmarks in inter-ocular units; only differences between frames mean something.
        seen: (T,) bool, the face was seen.
        turn: (T,), degrees that the head is turned away from the camera.
    """

    points: F32
    seen: np.ndarray
    turn: F32

    def speed(self) -> F32:
        """(T,), root mean square step to the frame before, inter-ocular units; 0 in frame 0 and where no face is seen."""
        steps = np.zeros(len(self.points), np.float32)
        if len(self.points) > 1 and self.points.shape[1]:
            both = self.seen[1:] & self.seen[:-1]
            steps[1:] = _rms(np.diff(self.points, axis=0)) * both
        return steps

    def travel(self, start: int, stop: int) -> float:
        """How far the points get from where they are at ``start``, before ``stop``, inter-ocular units."""
        part, seen = self.points[start:stop], self.seen[start:stop]
        if not part.shape[1] or not seen.any():
            return 0.0
        part = part[seen]
        return float(_rms(part - part[0]).max())


def driver_motion(controls: ControlStream, preset: Preset, fps: Fraction, num_frames: int) -> DriverMotion | None:
    """Motion of a driver with a face; None without one, or where none of it is taken over.

    Args:
        fps, num_frames: of the output.
    """
    takes_head, region = moves_head(preset.region), preset.region
    weights = expression_weights(region)[list(FEW)]
    if not takes_head and (preset.expression_scale == 0 or not (weights > TAKES_PART).any()):
        return None
    wanted = np.minimum((np.arange(num_frames) * float(controls.fps / fps)).round().astype(int), controls.num_frames - 1)
    points, sizes, seen, turn = [], [], [], []
    for start in range(0, controls.num_frames, WINDOW):
        window = controls.window(start, start + WINDOW)
        if window.face is None or window.head is None:
            return None
        points.append(_points(window.face, takes_head, weights, preset.expression_scale))
        sizes.append(head_space.head_pose(window.face.landmarks).scale if takes_head else np.ones(window.num_frames))
        seen.append(window.face.score > 0.5)
        turn.append(_turn(window.head.rotation))
    size = max(float(np.median(np.concatenate(sizes))), 1e-3)  # one for the clip: its noise times a position would be motion
    return DriverMotion(
        points=(np.concatenate(points)[wanted] / size).astype(np.float32), seen=np.concatenate(seen)[wanted],
        turn=np.concatenate(turn)[wanted].astype(np.float32),
    )  # fmt: skip


def _points(face: Face, takes_head: bool, weights: np.ndarray, scale: float) -> np.ndarray:
    """(T, N, 2) of a window: px of the whole face, or of a still head what its expression moves, inter-ocular units."""
    if takes_head:
        return np.asarray(face.landmarks[:, list(FEW), :2])
    moved = weights > TAKES_PART
    return np.asarray(face.expression[:, list(FEW), :2][:, moved] * (weights[moved, None] * scale))


def _turn(rotation: F32) -> np.ndarray:
    """Angle (T,) between the head's forward axis and the camera, degrees."""
    return np.degrees(np.arccos(np.clip(rotation[:, 2, 2], -1, 1)))


def _rms(steps: np.ndarray) -> np.ndarray:
    """Root mean square length over the points of (T, N, 2), (T,)."""
    return np.asarray(np.sqrt((steps**2).sum(2).mean(1)))
