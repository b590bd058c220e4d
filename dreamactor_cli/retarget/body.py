"""The body: the driver's skeleton re-posed with the reference's bones.

A bone of the reference turns as the driver's bone has turned since the anchor frame, within the frame of the torso:
``w_t = G_t S(F_a^T v_a -> F_t^T v_t) G^T w`` with the torso frames ``F`` of the driver and ``G`` of the reference,
``G_t = F_t F_a^T G``, and ``S(a -> b)`` the smallest rotation that takes a to b. Lengths are the reference's, so that neither
the driver's build nor its foreshortening is drawn. Picture and driver may begin in different poses: the further an arm or a leg
of the driver moves, the more the reference's takes the driver's pose: in a filmed clip in all frames alike, unless both begin
alike, and in a built-in motion, which knows no picture, the further it has moved since the anchor; in absolute motion wholly and
at once. What has come there is seen as the driver's is, though both torsos face differently by some degrees. So with the torso
of a filmed driver: the more it bends or turns, the more the reference's is put as the driver's from
the first frame. With ``--bone-length off`` joints move by the driver's displacements instead, scaled by the body's size alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.body_space import ANKLES, EARS, HEAD, HIPS, NUM_JOINTS, SHOULDERS, guessed_joints, shown_joints
from dreamactor_cli.contracts import Body, Controls, ControlStream, Preset
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.retarget import regions
from dreamactor_cli.retarget.contacts import contacts, standing_shift
from dreamactor_cli.retarget.driver_body import DriverBody, Stretch
from dreamactor_cli.retarget.hands import Forearms
from dreamactor_cli.retarget.shown import driven
from dreamactor_cli.retarget.skeleton import (
    AGREE,
    BONES,
    FOREARMS,
    HIP_LINE,
    LIMBS,
    NUM_BONES,
    SHOULDER_LINE,
    SPINE,
    UP,
    bone_vectors,
    by_limb,
    leant_as,
    point,
    px_per_metre,
    torso_frames,
)

Array = NDArray[np.float64]

ELASTIC = 0.08  # by which a bone's length may follow the picture where that differs from its measured length
NECK_ELASTIC = 0.25  # likewise of the neck, which is no single bone
SPINE_GIVES = 0.1  # of the spine: how far the shoulders go where the driver's went, beside where bones of fixed length take them
NECK_GIVES = 0.3  # of the neck: likewise the head
LEAN = 0.25  # of the spine: how far the shoulders of a standing reference go with those of a driver without legs
RISE = 0.12  # of the spine: how far a body rises that the lower edge of the picture cuts
SINK = 0.5  # of the spine: how far it sinks before a driver who squats: no further than that it is still in the picture
ARRIVES = (10.0, 75.0)  # degrees that a built-in motion's limb has moved, between which the reference's takes its pose
FOLLOWS = (10.0, 30.0)  # likewise degrees that a filmed driver's limb or torso moves in all but the wildest frames of the clip
WILD = 5.0  # percent of them
LEAVES = (3.0, 35.0)  # degrees that a limb has moved, between which it leaves a pose of the picture that agrees with the driver's
APART = (60.0, 120.0)  # degrees between the torsos of picture and driver, between which the reference's ceases to follow
NECK_BEND = 0.4  # rad that the neck bends before a head that is not driven rolls with the shoulders
LEGS = np.array([bone.part == "legs" for bone in BONES])
FEET = ((27, 29, 31), (28, 30, 32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What the driver's body does not say of the reference's.

    Attributes:
        turn: rotation of the reference's head since the picture, (T, 3, 3).
        zoom: growth of the reference's head since the picture, (T,).
        shift: of the whole body, that keeps its feet from sliding, (T, 2) px of the reference.
    """

    turn: Array
    zoom: Array
    shift: Array

    @classmethod
    def nothing(cls, frames: int) -> Carried:
        """A head that stays as it is, and no shift."""
        return cls(turn=np.tile(np.eye(3), (frames, 1, 1)), zoom=np.ones(frames), shift=np.zeros((frames, 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """The reference's body in motion.

    Attributes:
        joints: (T, 33, 3) px, depth relative to the hips.
        turns: rotation of each bone since the picture, (T, 21, 3, 3).
        theirs: rotation of the driver's forearms since the anchor, (T, 2, 3, 3).
        head: where the head's centre goes, (T, 2) px.
        head_turn: of the head since the picture, (T, 3, 3).
        head_zoom: likewise its growth, (T,).
        zoom: growth of the body since the picture, (T,).
    """

    joints: Array
    turns: Array
    theirs: Array
    head: Array
    head_turn: Array
    head_zoom: Array
    zoom: Array


def soft_limit(values: Array, limit: float) -> Array:
    """Values that approach a limit on either side, and are as they are near 0."""
    return limit * np.tanh(values / limit)


def _turned(rotation: Array, vector: Array) -> Array:
    """Vector (3,) or vectors (T, 3) under rotations (T, 3, 3), (T, 3)."""
    return (rotation @ vector[..., None])[..., 0]


class BodyRetarget:
    """Re-poses the body of one reference by one driver.

    Args:
        reference: controls of the reference pictures, of which frame 0 shows a body.
        driver: the driving clip, with a body.
        preset: region, motion, bone_length and smoothing are read.
        anchor: frame of the driver that stands for the picture.
    """

    def __init__(self, reference: Controls, driver: ControlStream, preset: Preset, anchor: int) -> None:
        assert reference.body is not None
        self._body: Body = reference.body
        self._absolute = preset.motion == "absolute"
        self._rigid = preset.bone_length == "auto"
        self._moves = regions.moves_body(preset.region)
        self._nods = regions.moves_head(preset.region)
        shown = shown_joints(self._body, reference.width, reference.height)
        self.driver = DriverBody(driver, preset.smoothing, anchor)
        guessed = guessed_joints(self._body, reference.width, reference.height)
        self.driven = driven(shown, self.driver.shown, preset.region, guessed)
        self.notices = () if self.driver.made_up else self.driven.notices
        at = self.driver.describe(self.driver.anchor)
        self._rest(reference, None if self.driver.made_up or len(self._body.score) > 1 else at.bones[0])
        self._anchor_bones, self._anchor_neck = at.bones[0], at.neck[0]
        self._anchor_frame = torso_frames(at.bones, self.driven.hips)[0]
        self._anchor_within = rotations.unit(self._anchor_bones, UP) @ self._anchor_frame
        self._follows: tuple[Array, Array] | None = None
        faces = float(self._absolute)
        if not self.driver.made_up and not self._absolute:
            self._follows, faces = self._following()
        apart = self._anchor_frame @ self._frame.T
        self._facing = rotations.partly(apart, np.asarray(faces))
        # Limbs that have arrived are seen as the driver's, though the torsos face differently by some degrees.
        level = self._frame.T @ self._facing.T @ self._anchor_frame
        self._level = rotations.partly(level, 1 - smoothstep(rotations.angle(apart), *APART))
        self._travel = self._size_ratio()
        self.shift = np.zeros((driver.num_frames, 2))
        if self.driven.whole:
            self.shift = self._standing(anchor, float(driver.fps))

    def _rest(self, reference: Controls, pose: Array | None) -> None:
        """The reference's skeleton, px; it leans as the bones of a pose (21, 3) that point the same way."""
        flat = self._body.joints_2d[:1].astype(np.float64)
        deep = self._body.joints_3d[:1].astype(np.float64)
        self.px_per_metre = float(px_per_metre(flat, deep, self._body.score[:1].astype(np.float64))[0])
        depth = deep[0, :, 2] - deep[0, list(HIPS), 2].mean()
        self._joints = np.concatenate([flat[0], depth[:, None] * self.px_per_metre], 1)  # (33, 3)
        self._bones = bone_vectors(self._joints[None])[0]
        self._leant = np.zeros(NUM_JOINTS)
        if pose is not None:
            leant = np.where(self.driven.bones[:, None], leant_as(self._bones, pose), self._bones)
            pelvis = self._joints[list(HIPS)].mean(0)[None]
            self._leant = (self._assembled(pelvis, leant[None]) - self._assembled(pelvis, self._bones[None]))[0, :, 2]
            self._leant[list(HEAD)] = self._leant[list(SHOULDERS)].mean()
            self._bones = leant
        self._frame = torso_frames(self._bones[None], self.driven.hips)[0]
        self._head = self._joints[list(EARS)].mean(0)
        if reference.head is not None:
            self._head[:2] = reference.head.center[0]
        self._neck = self._head - self._joints[list(SHOULDERS)].mean(0)

    def _size_ratio(self) -> float:
        """Size of the reference over that of the driver at the anchor, by the bones that carry the travel."""
        which = [7, 8, 9, 10] if self.driven.whole else [SPINE] if self.driven.hips else [SHOULDER_LINE]
        mine = np.linalg.norm(self._bones[which], axis=1).sum()
        theirs = self.driver.lengths[which].sum() * self.driver.anchor_scale
        return float(mine / max(theirs, 1e-6))

    def _standing(self, anchor: int, fps: float) -> Array:
        """Shift of each frame of the driver that keeps feet where they stand, (S, 2) px of the reference."""
        feet, seen, leg = [], [], []
        for part in self.driver.stretches():
            posed = self.pose(part, Carried.nothing(len(part.scale)))
            feet.append(np.stack([posed.joints[:, list(foot), :2].mean(1) for foot in FEET], 1))
            seen.append(np.stack([part.joints_2d[:, list(foot)].mean(1) for foot in FEET], 1))
            leg.append(part.scale * self.driver.lengths[[7, 8]].sum())
        theirs = np.concatenate(seen)
        # Of a foot that the driver does not show, nobody knows whether it stands.
        known = np.array([self.driver.shown[list(foot)].any() for foot in FEET])
        stands = contacts(theirs, np.concatenate(leg), fps) & known
        # What the driver's own standing foot does, by the camera's way, the reference's may do too.
        return standing_shift(np.concatenate(feet) - self._travel * theirs, stands, anchor)

    def pose(self, stretch: Stretch, carried: Carried) -> Posed:
        """The reference's body as the driver's is."""
        there = self.driver.describe(stretch)
        scale, still = stretch.scale, self.driven.stands or not self._moves
        zoom = np.ones_like(scale) if still else scale / self.driver.anchor_scale
        turns = self._turns(there.bones)
        if self._rigid:
            bones = self._lengthened(_apply(turns, self._bones), there.bones, scale, zoom)
        else:
            bones = self._displaced(there.bones)
        pelvis, bones[:, SPINE] = self._root(stretch, carried.shift, bones[:, SPINE])
        carry = self._carry(stretch, pelvis, bones[:, SPINE])
        if carry is not None and self.driven.hips:
            chest = self._joints[list(SHOULDERS), :2].mean(0) + self._moved(stretch, SHOULDERS) + carry
            bones[:, SPINE, :2] += self._given(chest - (pelvis + bones[:, SPINE])[:, :2], SPINE_GIVES, self._bones[SPINE])
        joints = self._assembled(pelvis, bones)
        chest = joints[:, list(SHOULDERS)].mean(1)
        head, turn, size = self._headed(carried, there.neck, scale, chest, turns, zoom)
        if carry is not None and self._nods and self.driver.sees_face:
            travel = (stretch.head - self.driver.anchor.head) * self._travel
            head[:, :2] += self._given(self._head[:2] + travel + carry - head[:, :2], NECK_GIVES, self._neck)
        for joint in HEAD:
            joints[:, joint] = head + _turned(turn, self._joints[joint] - self._head) * size[:, None]
        theirs = turns[:, list(FOREARMS)] if self._absolute else self._forearms(there.bones)
        return Posed(joints=joints, turns=turns, theirs=theirs, head=head[:, :2], head_turn=turn, head_zoom=size, zoom=zoom)

    def forearms_at(self, frame: int) -> Forearms:
        """The forearms in one of the driver's frames."""
        bones, which = self.driver.describe(self.driver.at(frame)).bones, list(FOREARMS)
        now = rotations.unit(bones, UP) @ torso_frames(bones, self.driven.hips)
        arrived = self._arrival(now)[0, which] * self.driven.bones[which]
        return Forearms(theirs=self._forearms(bones)[0], mine=self._turns(bones)[0, which], arrived=arrived)

    def _forearms(self, bones: Array) -> Array:
        frames, which = torso_frames(bones, self.driven.hips), list(FOREARMS)
        now = rotations.unit(bones[:, which], UP) @ frames
        return np.asarray(frames[:, None] @ rotations.swing(self._anchor_within[which], now) @ self._anchor_frame.T)

    def _turns(self, bones: Array) -> Array:
        """Rotation of each of the reference's bones by the driver's bones (T, 21, 3), (T, 21, 3, 3)."""
        frames = torso_frames(bones, self.driven.hips)
        still = np.broadcast_to(np.eye(3), frames.shape)
        torso = still
        if self.driven.bones[SPINE]:
            torso = frames @ self._anchor_frame.T @ self._facing
        followed = (torso @ self._frame)[:, None] @ self._swings(bones, frames) @ self._frame.T
        out = np.empty((len(bones), NUM_BONES, 3, 3))
        for k, bone in enumerate(BONES):
            if self.driven.stands and (LEGS[k] or k == HIP_LINE):
                out[:, k] = still
            elif not self.driven.bones[k]:
                out[:, k] = torso if bone.parent < 0 else out[:, bone.parent]
            elif bone.part == "torso" and not self.driven.hips:
                out[:, k] = torso
            else:
                out[:, k] = followed[:, k]
        return out

    def _swings(self, bones: Array, frames: Array) -> Array:
        """How the driver's bones have turned within the torso since the anchor, or away from the reference's, (T, 21, 3, 3)."""
        now = rotations.unit(bones, UP) @ frames
        mine = rotations.unit(self._bones, UP) @ self._frame
        if self._absolute:
            return rotations.swing(mine, now)
        swung = rotations.swing(self._anchor_within, now)
        there = (swung @ mine[..., None])[..., 0]
        return np.asarray(rotations.partly(rotations.swing(there, now @ self._level.T), self._arrival(now)) @ swung)

    def _arrival(self, now: Array) -> Array:
        """How far each bone has come from the reference's pose to the driver's, 0..1, (T, 21)."""
        if self._follows is None:
            return by_limb(smoothstep(self._swung_by(now), *ARRIVES))
        limbs, agree = self._follows
        return by_limb(limbs * (1 - agree * (1 - smoothstep(self._swung_by(now), *LEAVES))))

    def _following(self) -> tuple[tuple[Array, Array], float]:
        """How far limbs (4,) and torso come in a film as a whole; of limbs also how well both agree at the anchor, (4,)."""
        limbs, torso = [], []
        for part in self.driver.stretches():
            bones = self.driver.describe(part).bones
            frames = torso_frames(bones, self.driven.hips)
            limbs.append(self._swung_by(rotations.unit(bones, UP) @ frames))
            torso.append(rotations.angle(frames @ self._anchor_frame.T))
        most = np.percentile(np.concatenate(limbs), 100 - WILD, axis=0)
        bent = np.asarray(np.percentile(np.concatenate(torso), 100 - WILD))
        apart = rotations.angle(self._anchor_frame @ self._frame.T)
        faces = smoothstep(bent, *FOLLOWS) * smoothstep(apart, *AGREE) * (1 - smoothstep(apart, *APART))
        differ = self._swung_by(rotations.unit(self._bones[None], UP) @ self._frame)
        return (smoothstep(most, *FOLLOWS), 1 - smoothstep(differ[0], *AGREE)), float(faces)

    def _swung_by(self, now: Array) -> Array:
        """Degrees by which each limb has moved within the torso since the anchor, (T, 4)."""
        angle = np.degrees(np.arccos(np.clip((now * self._anchor_within).sum(2), -1, 1)))
        return np.stack([angle[:, list(main)].max(1) for main, _ in LIMBS], 1)

    def _lengthened(self, bones: Array, theirs: Array, scale: Array, zoom: Array) -> Array:
        """Bones at the length of the reference's; what the picture says of the driver's length counts a little."""
        own = np.linalg.norm(self._anchor_bones, axis=1) / self.driver.anchor_scale
        now = np.linalg.norm(theirs, axis=2) / scale[:, None]
        growth = np.where(self.driven.bones, np.clip(now / np.maximum(own, 1e-9), 1 - ELASTIC, 1 + ELASTIC), 1)
        return np.asarray(bones * (growth * zoom[:, None])[..., None])

    def _displaced(self, theirs: Array) -> Array:
        """Bones of the reference changed by the driver's changes as they are, at the ratio of the bodies' sizes."""
        change = (theirs - self._anchor_bones) * self._travel
        if self._absolute:
            change = theirs * self._travel - self._bones
        return self._bones + np.where(self.driven.bones[:, None], change, 0)

    def _root(self, stretch: Stretch, shift: Array, spine: Array) -> tuple[Array, Array]:
        """Where the hips go, (T, 3) px, and the spine (T, 3)."""
        rest, chest = (self._joints[list(pair)].mean(0) for pair in (HIPS, SHOULDERS))
        pelvis = np.tile(rest, (len(spine), 1))
        if not self._moves or not self.driven.bones[SPINE]:
            return pelvis, spine
        length = float(np.linalg.norm(self._bones[SPINE]))
        moved = self._moved(stretch, HIPS if self.driven.hips else SHOULDERS)
        if self.driven.stands:
            if not self.driven.hips:
                lean = self._bones[SPINE] + np.pad(soft_limit(moved, LEAN * length), ((0, 0), (0, 1)))
                spine = rotations.unit(lean, UP) * length
            return pelvis, spine
        if not self._shows_legs():  # the lower edge of the picture cuts the body: what is below it is not to be seen
            up, down = np.minimum(moved[:, 1], 0), np.maximum(moved[:, 1], 0)
            moved[:, 1] = soft_limit(up, RISE * length) + soft_limit(down, SINK * length)
        pelvis[:, :2] += moved + shift
        if not self.driven.hips:
            pelvis[:, :2] += (chest - rest)[:2] - spine[:, :2]
        return pelvis, spine

    def _carry(self, stretch: Stretch, pelvis: Array, spine: Array) -> Array | None:
        """What the body moves beside the driver's travel, as to keep feet where they stand, (T, 2) px; None if it stays."""
        if not self._moves or not self.driven.bones[SPINE] or self.driven.stands or self._absolute:
            return None
        which, root = (HIPS, pelvis) if self.driven.hips else (SHOULDERS, pelvis + spine)
        return np.asarray(root[:, :2] - self._joints[list(which), :2].mean(0) - self._moved(stretch, which))

    @staticmethod
    def _given(off: Array, share: float, bone: Array) -> Array:
        """How far a bone (3,) gives way towards where its end should be, ``off`` (T, 2) px away."""
        return soft_limit(off, share * max(float(np.linalg.norm(bone)), 1e-6))

    def _shows_legs(self) -> bool:
        return bool((self._body.score[0, list(ANKLES)] >= 0.5).any()) or self.driven.whole

    def _moved(self, stretch: Stretch, which: tuple[int, int]) -> Array:
        """Travel of the driver's hips or shoulders since the anchor, (T, 2) px of the reference."""
        return (point(stretch.joints_2d, which) - point(self.driver.anchor.joints_2d, which)) * self._travel

    def _assembled(self, pelvis: Array, bones: Array) -> Array:
        """Joints (T, 33, 3) px but for the head's, from the hips outwards."""
        joints = np.zeros((len(bones), NUM_JOINTS, 3))
        chest = pelvis + bones[:, SPINE]
        for middle, line, (left, right) in ((pelvis, HIP_LINE, HIPS), (chest, SHOULDER_LINE, SHOULDERS)):
            joints[:, left], joints[:, right] = middle + bones[:, line] / 2, middle - bones[:, line] / 2
        for k, bone in enumerate(BONES[3:], 3):
            joints[:, bone.stop[0]] = joints[:, bone.start[0]] + bones[:, k]
        return joints

    def _headed(
        self, carried: Carried, neck: Array, scale: Array, chest: Array, turns: Array, zoom: Array
    ) -> tuple[Array, Array, Array]:
        """Centre (T, 3) px of the head, its turn (T, 3, 3) and its growth (T,)."""
        mine, before = self._neck, self._anchor_neck
        if not self._moves:
            nothing = Carried.nothing(len(zoom))
            carried = carried if self._nods else nothing
            return np.tile(self._head, (len(zoom), 1)), carried.turn, carried.zoom
        if not self._nods:
            across = turns[:, SHOULDER_LINE] @ np.array([1.0, 0.0, 0.0])
            roll = np.arctan2(across[:, 1], across[:, 0])
            turn = rotations.about_axis(2, np.degrees(roll - soft_limit(roll, NECK_BEND)))
            return chest + _turned(turn, mine) * zoom[:, None], turn, zoom
        swung = rotations.swing(np.broadcast_to(rotations.unit(before, UP), neck.shape), rotations.unit(neck, UP))
        longer = np.linalg.norm(neck, axis=1) / scale / max(float(np.linalg.norm(before)) / self.driver.anchor_scale, 1e-9)
        longer = np.clip(longer, 1 - NECK_ELASTIC, 1 + NECK_ELASTIC) * zoom
        return chest + _turned(swung, mine) * longer[:, None], carried.turn, carried.zoom

    def signal(self, posed: Posed) -> Body:
        """What the renderer gets."""
        frames = len(posed.joints)
        # In depth the renderer compares with the picture as it is.
        joints = posed.joints - np.array([0.0, 0.0, 1.0]) * self._leant[:, None]
        joints_3d = (joints - joints[:, list(HIPS)].mean(1, keepdims=True)) / self.px_per_metre
        return Body(
            joints_2d=posed.joints[..., :2].astype(np.float32), joints_3d=joints_3d.astype(np.float32),
            score=np.repeat(self._body.score[:1], frames, 0),
        )  # fmt: skip


def _apply(turns: Array, bones: Array) -> Array:
    """Bones (21, 3) under rotations (T, 21, 3, 3), (T, 21, 3)."""
    return np.einsum("tkij,kj->tki", turns, bones)
