"""The body of a driving clip: looked at once for its build, and read in smooth stretches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.body_space import EARS, HEAD, HIPS, NUM_JOINTS, SHOULDERS, SHOWN
from dreamactor_cli.contracts import Body, Controls, ControlStream
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.retarget.skeleton import bone_lengths, lifted, point, px_per_metre, raw_bones, torso_frames
from dreamactor_cli.retarget.smoothing import ease_from_anchor, smooth
from dreamactor_cli.retarget.torso_seen import CORNERS, SeenTorso, correction, legs_move, rested, seen_torso

Array = NDArray[np.float64]

SCAN = 256  # frames read at a time when the whole clip is looked at
MEASURED = 4096  # frames at most that lengths are measured in, evenly spread
SEEN_SHARE = 0.5  # of the frames in which a driver shows a joint for it to count
# Metres that smoothing moves a joint: all noise, and all motion. Five frames of a slow clip are half a wave of an arm.
QUICK = (0.004, 0.012)
SURE = (0.5, 0.8)  # visibility of a joint whose quick moves count: all noise, and all motion
SCALE_SECONDS = 0.6  # over which the camera's scale is smoothed: it changes as slowly as people walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Frames of the driver, smoothed.

    Attributes:
        joints_2d: (T, 33, 2) px.
        joints_3d: (T, 33, 3) m.
        head: centre of the head, (T, 2) px.
        scale: px per metre, (T,).
    """

    joints_2d: Array
    joints_3d: Array
    head: Array
    scale: Array

    def fields(self) -> dict[str, Array]:
        """All arrays by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A driver's skeleton in space.

    Attributes:
        bones: (T, 21, 3) px.
        neck: from between the shoulders to the middle of the head, (T, 3) px.
    """

    bones: Array
    neck: Array


class DriverBody:
    """The body of a clip.

    Args:
        driver: the clip, with a body.
        smoothing: frames, as in the preset.
        anchor: frame that stands for the picture.

    Attributes:
        seen: whether the clip shows a body at all.
        shown: joints that it shows, (33,).
        lengths: of the bones, (21,) m.
        anchor: the anchor frame, as one frame of a stretch.
        made_up: it is a built-in motion or an animation, which knows all of its joints.
        sees_face: the clip shows a face most of the time, whose pose is better known than the skeleton's.
    """

    def __init__(self, driver: ControlStream, smoothing: int, anchor: int) -> None:
        self._driver, self._smoothing, self._at = driver, smoothing, anchor
        self.made_up = "motion" in driver.window(0, 1).extractor_versions
        self._look()
        halo = smoothing + 1
        low = max(0, anchor - halo)
        around = driver.window(low, anchor + halo + 1)
        raw = self._read(around, low)
        soft = self._smoothed(raw, around, low)
        self.anchor = Stretch(
            **{n: v[anchor - low][None] for n, v in raw.items()}, scale=self.scales[anchor : anchor + 1]
        )  # fmt: skip
        self._correction = {name: values[anchor - low] - soft[name][anchor - low] for name, values in raw.items()}
        self.anchor_scale = float(self.anchor.scale[0])

    def _look(self) -> None:
        """Scales of all frames, what is shown, and lengths of the bones."""
        frames, step = self._driver.num_frames, max(1, self._driver.num_frames // MEASURED)
        scales, shown, bones, scores, ears, heads, seen = [], np.zeros(NUM_JOINTS), [], [], [], [], []
        torsos, corners, legs, turned = [], [], [], []
        at = self._driver.window(self._at, self._at + 1)
        for start in range(0, frames, SCAN):
            part = self._driver.window(start, start + SCAN)
            body = part.body
            assert body is not None
            flat, deep, score = (a.astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score))
            scale = np.maximum(px_per_metre(flat, deep, score), 1e-6)
            scales.append(scale)
            shown += _shown(part, body).sum(0)
            bones.append((raw_bones(flat, deep, scale) / scale[:, None, None])[::step])
            scores.append(score[::step])
            ears.append(point(flat, EARS))
            heads.append(ears[-1] if part.head is None else part.head.center.astype(np.float64))
            seen.append(np.zeros(len(flat)) if part.head is None else part.head.score.astype(np.float64))
            corners.append(flat[:, CORNERS])
            legs.append(flat[:, HIPS[0] :])
            turned.append(torso_frames(raw_bones(flat, deep, scale), True))
            if part.head is not None and at.head is not None and at.body is not None:
                torsos.append(seen_torso(part.head, at.head, at.body.joints_2d[0, CORNERS].astype(np.float64)))
        self._place_heads(np.concatenate(ears), np.concatenate(heads), np.concatenate(seen) >= SHOWN)
        score = np.concatenate(scores)
        self.seen = bool((score.max(1) >= SHOWN).any())
        self.shown = shown >= SEEN_SHARE * max(frames, 1)
        self.lengths = np.maximum(bone_lengths(np.concatenate(bones), score), 1e-6)
        window = 2 * round(SCALE_SECONDS * float(self._driver.fps) / 2) + 1
        self.scales = np.maximum(smooth(np.concatenate(scales), max(window, 3)), 1e-6)
        self._shift = np.zeros((frames, len(CORNERS), 2))
        self._before = None if self.made_up or at.body is None else at.body.joints_2d[0].astype(np.float64)
        if torsos and not self.made_up:
            torso = SeenTorso(*(np.concatenate(values) for values in zip(*torsos, strict=True)))
            frame = np.concatenate(turned)
            turn = rotations.angle(frame @ frame[self._at].T)
            self._shift, factor = correction(torso, np.concatenate(corners), self.scales, turn, self._at, float(self._driver.fps))
            self.scales = self.scales * factor
        if self._before is not None:
            below = np.concatenate(legs)
            below[:, :2] += self._shift[:, 2:]
            self._legs_move = legs_move(below, self._before, float(self._driver.fps))

    def _place_heads(self, ears: Array, heads: Array, seen: NDArray[np.bool_]) -> None:
        """Centre of the head in every frame, (S, 2) px: where no face is seen, it keeps its place between the ears."""
        self.sees_face = bool(seen.mean() >= SEEN_SHARE)
        self._heads = ears.copy()
        if self.sees_face:
            at = np.flatnonzero(seen)
            for axis in (0, 1):
                self._heads[:, axis] += np.interp(np.arange(len(ears)), at, (heads - ears)[at, axis])

    def _read(self, controls: Controls, low: int) -> dict[str, Array]:
        body = controls.body
        assert body is not None
        head = self._heads[low : low + controls.num_frames]
        flat = body.joints_2d.astype(np.float64)
        flat[:, CORNERS] += self._shift[low : low + controls.num_frames]
        if self._before is not None:
            flat = rested(flat, self._before, self._legs_move[low : low + controls.num_frames])
        return {"joints_2d": flat, "joints_3d": body.joints_3d.astype(np.float64), "head": head}

    def _smoothed(self, raw: dict[str, Array], controls: Controls, low: int) -> dict[str, Array]:
        """Smoothed joints, but as they were where they move too fast for it and are seen well."""
        assert controls.body is not None
        soft = {name: smooth(values, self._smoothing) for name, values in raw.items()}
        scale = self.scales[low : low + controls.num_frames, None]
        sure = smoothstep(controls.body.score.astype(np.float64), *SURE)

        def quick(name: str) -> Array:
            moved = np.linalg.norm(raw[name] - soft[name], axis=-1).reshape(len(scale), -1) / scale
            return np.asarray(smoothstep(moved, *QUICK))

        share = {"joints_2d": (quick("joints_2d") * sure)[..., None], "head": quick("head")}
        share["joints_3d"] = share["joints_2d"]
        return {name: values + share[name] * (raw[name] - values) for name, values in soft.items()}

    def stretch(self, controls: Controls, low: int) -> Stretch:
        """Smoothed frames of a window of the driver that begins at frame ``low``; the anchor frame is as it was measured."""
        soft = self._smoothed(self._read(controls, low), controls, low)
        frames = np.arange(low, low + controls.num_frames)
        if self._smoothing >= 3:
            distance = (frames - self._at).astype(np.float64)
            soft = {name: ease_from_anchor(values, self._correction[name], distance) for name, values in soft.items()}
        return Stretch(**soft, scale=self.scales[frames])

    def at(self, frame: int) -> Stretch:
        """One smoothed frame."""
        low = max(0, frame - self._smoothing - 1)
        around = self.stretch(self._driver.window(low, frame + self._smoothing + 2), low)
        return Stretch(**{name: values[frame - low][None] for name, values in around.fields().items()})

    def stretches(self) -> list[Stretch]:
        """The whole clip, in parts that know their neighbours."""
        halo, out = self._smoothing + 1, []
        for start in range(0, self._driver.num_frames, SCAN):
            low = max(0, start - halo)
            wide = self.stretch(self._driver.window(low, start + SCAN + halo), low)
            inner = slice(start - low, start - low + min(SCAN, self._driver.num_frames - start))
            out.append(Stretch(**{name: values[inner] for name, values in wide.fields().items()}))
        return out

    def describe(self, stretch: Stretch) -> Described:
        """The skeleton in space."""
        raw = raw_bones(stretch.joints_2d, stretch.joints_3d, stretch.scale)
        chest = point(stretch.joints_2d, SHOULDERS)
        deep = (point(stretch.joints_3d, EARS) - point(stretch.joints_3d, SHOULDERS))[:, 2:] * stretch.scale[:, None]
        neck = np.concatenate([stretch.head - chest, deep], 1)
        return Described(bones=lifted(raw, self.lengths * stretch.scale[:, None]), neck=neck)

    def head_turn(self, stretch: Stretch) -> Array:
        """Rotation of the head since the anchor, (T, 3, 3), as the skeleton has it."""
        joints = list(HEAD)
        now, before = (points[:, joints] - points[:, joints].mean(1, keepdims=True) for points in
                       (stretch.joints_3d, self.anchor.joints_3d))  # fmt: skip
        return rotations.best_rotation(before[0], now)


def _shown(controls: Controls, body: Body) -> NDArray[np.bool_]:
    """Joints that frames show, (T, 33); those of a made-up driver need not be in its picture."""
    seen = body.score >= SHOWN
    if "motion" in controls.extractor_versions:
        return seen
    joints = body.joints_2d
    inside = (joints >= 0).all(2) & (joints[..., 0] < controls.width) & (joints[..., 1] < controls.height)
    return np.asarray(seen & inside)
