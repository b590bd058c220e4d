"""From the driver's controls to controls of the reference: relative or absolute motion, by region.

Relative motion: rotation ``R' = R_t R_a^T R_ref``, travel scaled by the size of the heads, expression as a difference to the
driver's anchor frame ``a``. Absolute motion: the driver's own rotation, and the expression as a difference to the driver's
neutral face; the reference should look neutral itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space, person_space, rotations
from dreamactor_cli.contracts import BLENDSHAPES, Appearance, Controls, ControlStream, Face, Head, Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.retarget import regions
from dreamactor_cli.retarget.figure import Figure, PosedFigure, moves_figure
from dreamactor_cli.retarget.lids import close_lids, eye_gains, keep_lips_apart, mouth_opening
from dreamactor_cli.retarget.numbers import carry_blendshapes, carry_gaze
from dreamactor_cli.retarget.smoothing import ease_from_anchor, keep_quick, nearest_rotations, smooth
from dreamactor_cli.retarget.stand_in import with_stand_in
from dreamactor_cli.retarget.timing import frame_positions, interpolate
from dreamactor_cli.retarget.travel import below_head, held_travel

Array = NDArray[np.float64]

FLOW = ("head_2d", "torso_2d", "field")
FLOW_EXTRA = 2  # image motion is noisier than landmarks: its window is this much wider
FIELD_BORDER = (1.2, 2.2)  # inter-ocular units below the head's centre where the field passes from head to torso
BLINKS = [BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]
MOUTH_CORNERS = (61, 291)
SAME_OPENING = 0.04  # inter-ocular units by which two mouths count as equally open
SHADING_TURN = (10.0, 25.0)  # degrees from the anchor between which the driver's shading stops to say anything
SCAN_WINDOW = 256  # frames read at a time when the whole clip has to be looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """What drives one window, before it is put on the reference. Shapes as in `contracts.Head` and `contracts.Face`."""

    expression: Array  # (T, 478, 3)
    rotation: Array  # (T, 3, 3)
    center: Array  # (T, 2)
    radius: Array  # (T,)
    head_2d: Array  # (T, 2, 3)
    torso_2d: Array  # (T, 2, 3)
    field: Array  # (T, 15, 17, 2)
    gaze: Array  # (T, 2, 2)
    blendshapes: Array  # (T, 52)
    score: Array  # (T,)

    def fields(self) -> dict[str, Array]:
        """All arrays by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def _motion(controls: Controls) -> Motion:
    face, head = controls.face, controls.head
    assert face is not None and head is not None  # the pipeline extracts what the renderer's spec needs
    return Motion(
        expression=face.expression.astype(np.float64), rotation=head.rotation.astype(np.float64),
        center=head.center.astype(np.float64), radius=head.radius.astype(np.float64),
        head_2d=head.head_2d.astype(np.float64), torso_2d=head.torso_2d.astype(np.float64),
        field=head.field.astype(np.float64), gaze=face.gaze.astype(np.float64), blendshapes=face.blendshapes.astype(np.float64),
        score=face.score.astype(np.float64),
    )  # fmt: skip


def _smoothed(motion: Motion, window: int) -> Motion:
    """All curves smoothed; the score stays as it is."""
    if window < 3:
        return motion
    out = {}
    for name, values in motion.fields().items():
        wide = window + FLOW_EXTRA if name in FLOW else window
        out[name] = values if name == "score" else smooth(values, wide)
    out["rotation"] = nearest_rotations(out["rotation"])
    out["expression"] = keep_quick(motion.expression, out["expression"])
    return Motion(**out)


def neutral_frame(driver: ControlStream) -> int:
    """The frame with the calmest face that looks most nearly into the camera, of those where a face was seen."""
    best, best_cost = 0, np.inf
    for start in range(0, driver.num_frames, SCAN_WINDOW):
        part = _motion(driver.window(start, start + SCAN_WINDOW))
        turn = np.abs(head_space.euler_degrees(part.rotation)) / 30
        cost = part.blendshapes.sum(1) + turn.sum(1) + 1e3 * (part.score < 0.5)
        if cost.min() < best_cost:
            best, best_cost = start + int(cost.argmin()), float(cost.min())
    return best


def neutral_expression(driver: ControlStream) -> Array:
    """Mean expression of the clip's calm quarter, (478, 3): what absolute motion takes for the driver's neutral face."""
    calm: list[tuple[float, Array]] = []
    for start in range(0, driver.num_frames, SCAN_WINDOW):
        part = _motion(driver.window(start, start + SCAN_WINDOW))
        cost = part.blendshapes.sum(1) + 1e3 * (part.score < 0.5)
        k = max(1, len(cost) // 4)
        rows = np.argsort(cost, kind="stable")[:k]
        calm.append((float(k), part.expression[rows].mean(0)))
    total = sum(k for k, _ in calm)
    return np.sum([k * mean for k, mean in calm], axis=0) / total


def mouth_anchor(driver: ControlStream, anchor: Array, opening: float) -> Array:
    """Expression (478, 3) of the frame whose mouth is as open as the reference's, and otherwise as in the anchor frame.

    A mouth that is open in the anchor frame would hold the reference's shut mouth shut for most of the clip.

    Args:
        anchor: expression of the anchor frame, (478, 3).
        opening: of the reference, see `lids.mouth_opening`.
    """
    best, best_cost = anchor, np.inf
    for start in range(0, driver.num_frames, SCAN_WINDOW):
        face = driver.window(start, start + SCAN_WINDOW).face
        assert face is not None
        expression = face.expression.astype(np.float64)
        off = np.abs(mouth_opening(face.identity + expression) - opening)
        corners = np.linalg.norm(expression[:, list(MOUTH_CORNERS)] - anchor[list(MOUTH_CORNERS)], axis=2).mean(1)
        cost = off + 0.5 * corners + 1e3 * (face.score < 0.5)
        if cost.min() < best_cost:
            best, best_cost = expression[int(cost.argmin())], float(cost.min())
    return best


class RetargetedStream:
    """A `ControlStream` in the reference's space, made window by window.

    Args:
        reference: controls of the reference pictures; frame 0 counts.
        driver: controls of the driving clip.
        preset: motion, anchor, region, expression_scale, smoothing are read.
        fps: of the output; the number of frames is exact: ``round(T * fps / driver.fps)``.

    Attributes:
        notices: what the user should know of how picture and driver go together.
    """

    def __init__(self, reference: Controls, driver: ControlStream, preset: Preset, fps: Fraction) -> None:
        self.driver = driver
        self.fps = fps
        self.width, self.height = reference.width, reference.height
        self.num_frames = max(1, round(driver.num_frames * fps / driver.fps))
        self.preset = preset
        self._faceless = reference.face is None
        reference = with_stand_in(reference)
        assert reference.face is not None and reference.head is not None
        self._ref_face, self._ref_head = reference.face.window(0, 1), reference.head.window(0, 1)
        self._ref_canonical = (self._ref_face.identity + self._ref_face.expression[0]).astype(np.float64)
        self._fit_anchor()
        shown = replace(reference, face=None, head=None) if self._faceless else reference
        self._figure = Figure.of(shown, driver, preset, self.anchor)
        self.notices: tuple[str, ...] = () if self._figure is None else self._figure.notices
        if self._figure is None and moves_figure(shown, preset.region):
            if self._faceless:
                raise UsageError("the picture shows a body without a face, and the driver no body", "choose another driver")
            self.notices = ("the driver shows no body: the picture's stays at rest",)

    def _fit_anchor(self) -> None:
        """Read the anchor frame raw and smoothed, and what follows from it once for the whole clip."""
        self.anchor = neutral_frame(self.driver) if self.preset.anchor == "neutral" else 0
        halo = self.preset.smoothing + FLOW_EXTRA
        low = max(0, self.anchor - halo)
        raw = _motion(self.driver.window(low, self.anchor + halo + 1))
        smoothed = _smoothed(raw, self.preset.smoothing)
        at = self.anchor - low
        self._anchor = {name: values[at] for name, values in raw.fields().items()}
        self._correction = {name: values[at] - smoothed.fields()[name][at] for name, values in raw.fields().items()}
        anchor = self.driver.window(self.anchor, self.anchor + 1)
        face = anchor.face
        assert face is not None
        self._synthetic = "motion" in anchor.extractor_versions
        self._anchor_shading = None if anchor.appearance is None else anchor.appearance.shading[0].astype(np.float64)
        self._anchor_canonical = (face.identity + face.expression[0]).astype(np.float64)
        self._chin = face.landmarks[0, head_space.CHIN, :2].astype(np.float64)
        weights = regions.expression_weights(self.preset.region) * self.preset.expression_scale
        self._gain = weights[:, None] * eye_gains(self._anchor_canonical, self._ref_canonical)
        self._eyes = weights[list(regions.LID_CORNERS)]
        absolute = self.preset.motion == "absolute"
        self._neutral = neutral_expression(self.driver) if absolute else self._relative_neutral()

    def _relative_neutral(self) -> Array:
        """The driver's expression that stands for the reference's, (478, 3)."""
        anchor = self._anchor["expression"]
        opening = float(mouth_opening(self._ref_canonical[None])[0])
        if self._synthetic:  # a built-in motion begins neutral by definition, whatever its template's mouth looks like
            return anchor
        if abs(float(mouth_opening(self._anchor_canonical[None])[0]) - opening) < SAME_OPENING:
            return anchor
        mouth = regions.expression_weights(("mouth",))[:, None]
        return anchor + mouth * (mouth_anchor(self.driver, anchor, opening) - anchor)

    def window(self, start: int, stop: int) -> Controls:
        """Controls of output frames start..stop-1 in the reference's space."""
        start, stop = max(start, 0), min(stop, self.num_frames)
        positions = frame_positions(start, stop, self.fps, self.driver.fps, self.driver.num_frames)
        halo = self.preset.smoothing + FLOW_EXTRA + 1
        low = max(0, int(positions[0]) - halo)
        high = min(self.driver.num_frames, int(positions[-1]) + halo + 2)
        raw_controls = self.driver.window(low, high)
        raw = _motion(raw_controls)
        motion = self._eased(_smoothed(raw, self.preset.smoothing), low)
        resampled = {name: interpolate(values, positions - low) for name, values in motion.fields().items()}
        resampled["rotation"] = nearest_rotations(resampled["rotation"])
        moved = Motion(**resampled)
        figure = None
        if self._figure is not None:
            turn, zoom = self._head_turn(moved), moved.radius / float(self._anchor["radius"])
            figure = self._figure.pose(raw_controls, low, positions, turn, zoom)
        controls = self._transfer(moved, figure)
        if self._faceless:
            return replace(controls, face=None, head=None)
        if raw_controls.appearance is None:
            return controls
        nearest = np.rint(positions - low).astype(int)
        return replace(controls, appearance=self._appearance(raw_controls.appearance, nearest, resampled["rotation"]))

    def _appearance(self, seen: Appearance, rows: NDArray[np.int64], rotation: Array) -> Appearance:
        """The driver's pixels of rows (T,); the shading fades out where the head has turned away from the anchor's light."""
        away = rotations.angle(rotation @ self._anchor["rotation"].T)
        trust = (1 - person_space.smoothstep(away, *SHADING_TURN))[:, None, None, None]
        ratio = seen.shading[rows].astype(np.float64)
        if self.anchor and self._anchor_shading is not None:
            ratio *= 128 / np.maximum(self._anchor_shading, 1)
        shading = np.clip(np.rint(128 + (ratio - 128) * trust), 0, 255).astype(np.uint8)
        return Appearance(mouth=seen.mouth[rows], shading=shading)

    def _eased(self, motion: Motion, low: int) -> Motion:
        """The smoothed curves, passing exactly through the raw anchor frame."""
        if self.preset.smoothing < 3:
            return motion
        distance = np.arange(low, low + len(motion.score), dtype=np.float64) - self.anchor
        out = {n: ease_from_anchor(v, self._correction[n], distance) for n, v in motion.fields().items()}
        out["rotation"] = nearest_rotations(out["rotation"])
        out["score"] = motion.score
        return Motion(**out)

    def _transfer(self, motion: Motion, figure: PosedFigure | None) -> Controls:
        pose = self._head_pose(motion, figure)
        canonical = self._canonical(motion)
        landmarks = head_space.to_image(canonical, pose)
        center, radius = head_space.sphere_of(pose)
        scale = float(self._ref_head.radius[0]) / float(self._anchor["radius"])
        frames = len(motion.score)
        still = np.broadcast_to(np.eye(2, 3), (frames, 2, 3))
        head_2d, torso_2d = still, still
        if regions.moves_head(self.preset.region):
            head_2d = carry_similarity(motion.head_2d, motion.center, center, scale)
        if regions.moves_body(self.preset.region):
            relative = compose(motion.torso_2d, invert(self._anchor["torso_2d"]))
            relative = below_head(relative, self._anchor["center"], motion.center, float(self._anchor["radius"]))
            chin = np.broadcast_to(self._ref_face.landmarks[0, head_space.CHIN, :2], (frames, 2))
            size = float(self._ref_head.radius[0])
            torso_2d = carry_similarity(relative, np.broadcast_to(self._chin, (frames, 2)), chin, scale, size)
        field = self._field(motion)
        return Controls(
            num_frames=frames, fps=self.fps, width=self.width, height=self.height, space="reference",
            face=Face(
                landmarks=landmarks.astype(np.float32),
                expression=(canonical - self._ref_face.identity).astype(np.float32),
                identity=self._ref_face.identity, blendshapes=self._blendshapes(motion).astype(np.float32),
                gaze=self._gaze(motion).astype(np.float32), score=motion.score.astype(np.float32),
            ),
            head=Head(
                rotation=pose.rotation.astype(np.float32), center=center.astype(np.float32),
                radius=radius.astype(np.float32), score=motion.score.astype(np.float32),
                head_2d=np.ascontiguousarray(head_2d, np.float32), torso_2d=np.ascontiguousarray(torso_2d, np.float32),
                field=field.astype(np.float32),
            ),
            body=figure.body if figure is not None else None, hands=figure.hands if figure is not None else None,
        )  # fmt: skip

    def _blendshapes(self, motion: Motion) -> Array:
        start = self._anchor["blendshapes"] * (self.preset.motion == "relative")
        return carry_blendshapes(motion.blendshapes, start, self.preset.region, self.preset.expression_scale)

    def _gaze(self, motion: Motion) -> Array:
        own = self._ref_face.gaze[0].astype(np.float64)
        start = self._anchor["gaze"] if self.preset.motion == "relative" else own
        return carry_gaze(motion.gaze, start, own, self.preset.region, self.preset.expression_scale)

    def _field(self, motion: Motion) -> Array:
        """The elastic rest of hair, neck and shoulders, (T, 15, 17, 2): of the head's part, the torso's, or both."""
        relative = motion.field - self._anchor["field"]
        share = np.full(person_space.FIELD_ROWS, float(regions.moves_head(self.preset.region)))
        if regions.moves_head(self.preset.region) != regions.moves_body(self.preset.region):
            rows = person_space.FIELD_TOP + person_space.FIELD_STEP * np.arange(person_space.FIELD_ROWS)
            below = person_space.smoothstep(rows, *FIELD_BORDER)
            share = below if regions.moves_body(self.preset.region) else 1 - below
        return relative * share[:, None, None]

    def _head_turn(self, motion: Motion) -> Array:
        """Rotation of the reference's head since the picture, (T, 3, 3)."""
        start = self._anchor["rotation"] if self.preset.motion == "relative" else self._ref_head.rotation[0].astype(np.float64)
        return np.asarray(motion.rotation @ start.T)

    def _head_pose(self, motion: Motion, figure: PosedFigure | None) -> head_space.HeadPose:
        """Pose of the reference's head in each frame."""
        frames = len(motion.score)
        ref_rotation = self._ref_head.rotation[0].astype(np.float64)
        ref_center = self._ref_head.center[0].astype(np.float64)
        ref_radius = float(self._ref_head.radius[0])
        if figure is not None and figure.carries_head:
            return head_space.pose_of_sphere(figure.center, ref_radius * figure.growth, figure.turn @ ref_rotation)
        if not regions.moves_head(self.preset.region):
            return head_space.pose_of_sphere(
                np.repeat(ref_center[None], frames, 0), np.full(frames, ref_radius), np.repeat(ref_rotation[None], frames, 0)
            )
        zoom = ref_radius / float(self._anchor["radius"])
        center = ref_center + held_travel((motion.center - self._anchor["center"]) * zoom, ref_radius)
        return head_space.pose_of_sphere(center, motion.radius * zoom, self._head_turn(motion) @ ref_rotation)

    def _canonical(self, motion: Motion) -> Array:
        """Canonical face of the reference with the driver's expression, (T, 478, 3)."""
        canonical = self._ref_canonical + self._gain * (motion.expression - self._neutral)
        blink = motion.blendshapes[:, BLINKS] - self._anchor["blendshapes"][BLINKS]
        canonical = close_lids(canonical, blink * np.minimum(self._eyes, 1))
        return keep_lips_apart(canonical, self._ref_canonical)


def carry_similarity(matrices: Array, origin: Array, new_origin: Array, scale: float, radius: float | None = None) -> Array:
    """Carry 2D affine motions (T, 2, 3) about points (T, 2) of one picture over to points (T, 2) of another.

    The linear part stays; the displacement of the origin is scaled by the size ratio of the two people, and held with that
    of a head of this radius in px, if one is given.
    """
    linear = matrices[:, :, :2]
    displacement = np.einsum("tij,tj->ti", linear, origin) + matrices[:, :, 2] - origin
    travel = displacement * scale if radius is None else held_travel(displacement * scale, radius)
    offset = new_origin + travel - np.einsum("tij,tj->ti", linear, new_origin)
    return np.concatenate([linear, offset[:, :, None]], 2)


def invert(matrix: Array) -> Array:
    """Inverse of a 2D affine matrix (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2])[:, None]], 1)


def compose(second: Array, first: Array) -> Array:
    """``second`` (T, 2, 3) after ``first`` (2, 3), as 2D affine matrices."""
    linear = second[:, :, :2] @ first[:, :2]
    offset = second[:, :, :2] @ first[:, 2] + second[:, :, 2]
    return np.concatenate([linear, offset[:, :, None]], 2)
