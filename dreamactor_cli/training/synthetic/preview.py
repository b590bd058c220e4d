"""Contact sheets, to look at what is learned from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dreamactor_cli import atomic
from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import UsageError
from dreamactor_cli.training.synthetic.clip import BROWS, EYES, FACE, FRAMINGS, MOUTH, SyntheticClip
from dreamactor_cli.training.synthetic.stream import generate_clip

_TINTS = {FACE: (80, 200, 80), EYES: (80, 160, 255), BROWS: (200, 120, 60), MOUTH: (255, 80, 80)}
_DOTS, _JOINTS = (255, 255, 0), (0, 255, 255)


def sheet_row(clip: SyntheticClip, pictures: int) -> U8:
    """First reference, then frames of a clip, in every second the truth drawn over it, (H, W * (pictures + 1), 3)."""
    at = np.linspace(0, len(clip.frames) - 1, pictures).round().astype(int)
    shown = [clip.frames[t] if k % 2 else _with_truth(clip, int(t)) for k, t in enumerate(at)]
    return np.hstack([clip.references[0], *shown])


def _with_truth(clip: SyntheticClip, t: int) -> U8:
    out = clip.frames[t].copy()
    for bit, tint in _TINTS.items():
        seen = (clip.masks[t] & bit) != 0
        out[seen] = (0.65 * out[seen] + 0.35 * np.array(tint)).astype(np.uint8)
    face, body, hands = clip.controls.face, clip.controls.body, clip.controls.hands
    if face is not None and face.score[t] > 0:
        _dots(out, face.landmarks[t, :, :2], _DOTS)
    if body is not None:
        _dots(out, body.joints_2d[t][body.score[t] > 0.3], _JOINTS)
    if hands is not None:
        for side in np.flatnonzero(hands.score[t] > 0):
            _dots(out, hands.joints_2d[t, side], _JOINTS)
    return out


def _dots(picture: U8, points: np.ndarray, tint: tuple[int, int, int]) -> None:
    at = np.rint(points).astype(np.int64)
    inside = ((at >= 0) & (at < len(picture))).all(1)
    picture[at[inside, 1], at[inside, 0]] = tint


def preview_sheet(
    file: Path, *, assets: Path | None = None, seed: int = 0, size: int = 192, rows: int = 8, pictures: int = 6
) -> None:
    """Write a PNG with a clip a row, framings in turn: a reference, then frames, half of them with the truth drawn over.

    Args:
        file: ends in .png.
        assets: see `stream.generate_clip`.
        size: of each picture, px.

    Raises:
        UsageError: the name ends otherwise.
        DiskFull: there is no room for it.
    """
    if file.suffix.lower() != ".png":
        raise UsageError(f"{file} is no name for a sheet", "let it end in .png")
    strips = []
    for row in range(rows):
        clip = generate_clip(seed + row, size=size, frames=24, references=1, framing=FRAMINGS[row % len(FRAMINGS)], assets=assets)
        strips.append(sheet_row(clip, pictures))
    _, data = cv2.imencode(".png", np.vstack(strips)[..., ::-1])
    with atomic.replacing(file) as beside:
        beside.write_bytes(data.tobytes())
