"""Body and hands of the reference over a window of the output: what `transfer` adds to face and head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import SHOWN, shows_body
from dreamactor_cli.contracts import Body, Controls, ControlStream, Hands, Preset
from dreamactor_cli.retarget import regions
from dreamactor_cli.retarget.body import BodyRetarget, Carried
from dreamactor_cli.retarget.driver_body import Stretch
from dreamactor_cli.retarget.hands import DriverHands, Gesture, HandsRetarget
from dreamactor_cli.retarget.smoothing import nearest_rotations
from dreamactor_cli.retarget.timing import interpolate
from dreamactor_cli.retarget.travel import held_turn

Array = NDArray[np.float64]


def moves_figure(reference: Controls, region: Sequence[str]) -> bool:
    """Whether the body of a reference is to be posed: it shows one, and the region names what belongs to it."""
    if not shows_body(reference.body, reference.width, reference.height):
        return False
    # A head without a face has no other signal to follow.
    faceless = reference.face is None and regions.moves_head(region)
    return faceless or regions.moves_body(region) or regions.moves_hands(region)


def shows_hands(reference: Controls) -> bool:
    """Whether a picture shows a hand with its fingers."""
    return reference.hands is not None and bool((reference.hands.score[0] >= SHOWN).any())


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedFigure:
    """Signals of a window, and what they say of the head.

    Attributes:
        center: where the head's sphere goes, (T, 2) px.
        turn: rotation of the head since the picture, (T, 3, 3).
        growth: of the head since the picture, (T,).
        carries_head: the head rides on the body; else it goes its own way.
    """

    body: Body
    hands: Hands | None
    center: Array
    turn: Array
    growth: Array
    carries_head: bool


class Figure:
    """Body and hands of one reference by one driver; see `BodyRetarget` and `HandsRetarget`."""

    def __init__(self, reference: Controls, driver: ControlStream, preset: Preset, anchor: int) -> None:
        self._body = BodyRetarget(reference, driver, preset, anchor)
        self._carries, self._faced = regions.moves_body(preset.region), reference.face is not None
        self._hands: HandsRetarget | None = None
        self._driver_hands = DriverHands(driver, preset.smoothing, anchor, moves=regions.moves_hands(preset.region))
        if shows_hands(reference):
            self._hands = HandsRetarget(
                reference, self._driver_hands, self._body.px_per_metre, absolute=preset.motion == "absolute",
                forearms=self._body.forearms_at,
            )  # fmt: skip
        self.notices = self._body.notices

    @classmethod
    def of(cls, reference: Controls, driver: ControlStream, preset: Preset, anchor: int) -> Figure | None:
        """The figure, if reference, region and driver have one."""
        if not moves_figure(reference, preset.region) or driver.window(0, 1).body is None:
            return None
        figure = cls(reference, driver, preset, anchor)
        return figure if figure._body.driver.seen else None

    @property
    def sees_face(self) -> bool:
        """Whether the driver's head is better known by its face than by its skeleton."""
        return self._body.driver.sees_face

    def pose(self, controls: Controls, low: int, positions: Array, turn: Array, zoom: Array) -> PosedFigure:
        """Frames of the output.

        Args:
            controls: of the driver, from frame ``low`` on.
            positions: of the output's frames on the driver's time line, (T,).
            turn, zoom: of the reference's head since the picture, by the driver's face, (T, 3, 3) and (T,).
        """
        at = positions - low
        whole = self._body.driver.stretch(controls, low)
        stretch = Stretch(**{name: interpolate(values, at) for name, values in whole.fields().items()})
        if not self.sees_face:
            turn = nearest_rotations(self._body.driver.head_turn(stretch))
            zoom = stretch.scale / self._body.driver.anchor_scale
        shift = interpolate(self._body.shift, positions)
        if self._faced:  # a head without a face is no surface in space that could turn its back
            turn = held_turn(turn)
        posed = self._body.pose(stretch, Carried(turn=turn, zoom=zoom, shift=shift))
        body = self._body.signal(posed)
        hands = None
        if self._hands is not None:
            seen = self._driver_hands.stretch(controls, low)
            found = Gesture(joints=interpolate(seen.joints, at), weight=interpolate(seen.weight, at))
            hands = self._hands.pose(found, body, posed.theirs, posed.turns, posed.zoom)
        return PosedFigure(
            body=body, hands=hands, center=posed.head, turn=posed.head_turn, growth=posed.head_zoom, carries_head=self._carries
        )
