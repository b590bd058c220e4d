"""Bodies as `body.py` looks at them beside the command: what moves a picture, its frames with alpha, and rigid limbs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Controls, Reference

U8 = NDArray[np.uint8]

LONGER_SIDE = 768  # px of the clips as they are judged
SMALL_HOLE = 0.01  # of the person: larger ones lie between arm and torso


def framed(picture: Path) -> str:
    """Size of a picture as it is drawn: no side over ``LONGER_SIDE``, even."""
    import cv2

    height, width = cv2.imread(str(picture)).shape[:2]
    scale = min(1.0, LONGER_SIDE / max(height, width))
    return f"{round(width * scale / 2) * 2}x{round(height * scale / 2) * 2}"


def inputs(picture: Path, clip: Path, cache: Path, size: str = "source") -> tuple[Reference, Controls]:
    """A reference, and what moves it."""
    from fractions import Fraction

    from dreamactor_cli.cache import Cache
    from dreamactor_cli.contracts import Preset
    from dreamactor_cli.controls.extract import extract_controls
    from dreamactor_cli.reference import load_reference
    from dreamactor_cli.retarget.transfer import RetargetedStream

    store = Cache(cache)
    reference = load_reference([picture], size=size, cache=store).reference
    found = extract_controls(clip, signals=("face", "head", "body", "hands"), cache=store)
    stream = RetargetedStream(reference.controls, found.stream, Preset(), Fraction(found.stream.fps))
    return reference, stream.window(0, stream.num_frames)


def drawn(reference: Reference, controls: Controls, *, alpha: bool = False) -> Iterator[U8]:
    """Frames (H, W, 3 or 4)."""
    from dreamactor_cli.contracts import Preset, RenderSettings
    from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer

    height, width = reference.images.shape[1:3]
    key = id(reference)
    renderer = _RENDERERS.setdefault(key, GeometryRenderer())
    settings = RenderSettings(width=width, height=height, preset=Preset(), alpha=alpha)
    for block in renderer.render(reference, controls, settings):
        yield from block


_RENDERERS: dict[int, Any] = {}


def cracks(reference: Reference, controls: Controls) -> float:
    """Share of the drawn person that is small holes, beyond those of the picture itself."""
    import cv2

    shares = []
    for frame in drawn(reference, controls, alpha=True):
        person = (frame[..., 3] > 127).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(1 - person, connectivity=4)
        total = max(int(person.sum()), 1)
        inside = [
            s[cv2.CC_STAT_AREA] for s in stats[1:]
            if s[0] > 0 and s[1] > 0 and s[0] + s[2] < frame.shape[1] and s[1] + s[3] < frame.shape[0]
        ]  # fmt: skip
        shares.append(sum(area for area in inside if area < SMALL_HOLE * total) / total)
    return max(float(np.mean(shares)) - shares[0], 0.0)


def rigid_limbs(reference: Reference, controls: Controls) -> Iterator[U8]:
    """The naive way: the pixels nearest to each bone move with it, by a similarity, in a fixed order; nothing is completed."""
    import cv2

    from dreamactor_cli.renderers.geometry.body_pose import fit_similarity
    from dreamactor_cli.renderers.geometry.body_skeleton import BONES, TORSO, distances, skeleton_of, torso_distance, with_points
    from dreamactor_cli.renderers.geometry.layers import complete_background, dilate

    image, matte = reference.images[0], reference.matte[0]
    height, width = matte.shape
    body = reference.controls.body
    assert body is not None and controls.body is not None
    skeleton = skeleton_of(body, None, 0, width, height)
    points = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2).astype(np.float64)
    reach = np.full((len(BONES), len(points)), np.inf)
    for index, bone in enumerate(BONES):
        if skeleton.bones[index] and index != TORSO:
            reach[index] = np.divide(*distances(points, skeleton, bone))
    reach[TORSO] = 0.6 + torso_distance(points, skeleton) / (0.09 * skeleton.scale)
    nearest = reach.argmin(0).reshape(height, width)
    background = complete_background(image, dilate(matte > 0.1, 0.03 * height))
    corners = [11, 12, 23, 24]
    for frame in range(controls.num_frames):
        target = with_points(controls.body.joints_2d[frame].astype(np.float64))
        out = background.copy()
        for index, bone in enumerate(BONES):
            ends = corners if index == TORSO else [bone.start, bone.end]
            if not skeleton.bones[index]:
                continue
            matrix = fit_similarity(skeleton.points[ends], target[ends], np.ones(len(ends)))
            alpha = np.where(nearest == index, matte, 0).astype(np.float32)
            alpha = cv2.warpAffine(alpha, matrix, (width, height))[..., None]
            out = out * (1 - alpha) + cv2.warpAffine(image, matrix, (width, height)) * alpha
        yield np.clip(np.rint(out), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Iterator[U8], fps: Any) -> None:
    """Encode frames (H, W, 3)."""
    from dreamactor_cli.media import VideoWriter

    first = next(frames)
    with VideoWriter(path, width=first.shape[1], height=first.shape[0], fps=fps, crf=12, overwrite=True) as writer:
        writer.write(first)
        for frame in frames:
            writer.write(frame)
