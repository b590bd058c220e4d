"""A body in motion: its parts as layers, each on a mesh that follows the bones, with the head and face of a portrait on top.

Order of a frame: background plate, the parts behind the torso, the core (torso, neck, head) with face, mouth and eyes, the
parts in front. What is in front changes from frame to frame with the depth of the joints.

A limb is taken from the picture that shows most of it; one that no picture shows is the other side's, mirrored.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import shows_body
from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.renderers.geometry.backdrop import Backdrop
from dreamactor_cli.renderers.geometry.body_order import depth_order
from dreamactor_cli.renderers.geometry.body_pose import Placement
from dreamactor_cli.renderers.geometry.body_skeleton import BONES, CARRIERS, CORE, HAND_PARTS, PARTS, other_side, with_points
from dreamactor_cli.renderers.geometry.body_view import View, draw_part
from dreamactor_cli.renderers.geometry.portrait import Canvas, Face, channels, lay_layer
from dreamactor_cli.renderers.geometry.raster import DrawnLayer

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
Array = NDArray[np.float64]

BETTER = 1.3  # times as much of a limb must another picture show before it is taken from there
TURNED = 0.2  # of its length: how far the end of a hidden limb must turn before it comes forth
HIDDEN, SHOWN = 0.35, 0.6  # share of a limb below which it is taken from the other side, if that shows more than the second


class _Source(NamedTuple):
    """Where a part comes from: a view, its part, and whether that is the other side's."""

    view: int
    part: int

    def mirrored(self, part: int) -> bool:
        """Whether the part is drawn in place of that on the other side."""
        return self.part != part


class BodyActor:
    """A picture of a body made ready to move.

    Args:
        reference: as in `contracts.Reference`; with a body, with or without a face.
        driver_mouth, relight: as of `portrait.Face`.
    """

    def __init__(self, reference: Reference, *, driver_mouth: bool = False, relight: bool = False) -> None:
        self.height, self.width = reference.images.shape[1:3]
        self._face = None
        if reference.controls.face is not None and reference.controls.head is not None:
            self._face = Face(reference, driver_mouth=driver_mouth, relight=relight)
        body = reference.controls.body
        shown = [
            index for index in range(1, len(reference.images))
            if body is not None and shows_body(body.window(index, index + 1), self.width, self.height)
        ]  # fmt: skip
        self._rest = reference.controls
        self._views = [View(reference, 0, self._face), *(View(reference, index, None) for index in shown)]
        first = self._views[0]
        self._sources = choose_sources(self._views)
        self._head: PersonModel | None = None
        if self._face is not None:
            self._head = PersonModel(first.nodes[first.parts[CORE].nodes], self._face.landmarks, self._face.pose)
        self._at_rest = self._sources | self._sources_at(self._rest, 0)
        rest, _ = self.moved(self._rest, 0)
        self.backdrop = Backdrop(first.layers.background, first.layers.empty, rest)

    def turns_too_far(self, controls: Controls) -> bool:
        """Whether the torso of one of the frames turns further than the picture can follow."""
        if controls.body is None:
            return False
        return any(self._place(self._views[0], controls, index).too_far for index in range(controls.num_frames))

    def _place(self, view: View, controls: Controls, index: int) -> Placement:
        """The skeleton of a frame, as a view sees it."""
        body = controls.body
        assert body is not None
        joints, space = body.joints_2d[index].astype(np.float64), body.joints_3d[index].astype(np.float64)
        return view.pose.place(joints, space, self._views[0].scale)

    def draw(self, controls: Controls, index: int, alpha: bool) -> U8:
        """Frame number ``index`` of a window of controls: (H, W, 3), or (H, W, 4) with alpha."""
        if controls.body is None:  # nothing of it moves
            controls, index = self._rest, 0
        places, triangles = self.moved(controls, index)
        sources = self._sources_at(controls, index)
        if alpha:
            canvas = np.zeros((self.height, self.width), np.uint32)
        else:
            changed = {part for part, source in sources.items() if self._at_rest[part] != source}
            canvas = self.backdrop.canvas({part: nodes for part, nodes in places.items() if part not in changed})
        for part in self.draw_order(controls, index):
            if part == CORE:
                self._lay_core(canvas, places[part], controls, index)
            else:
                self._lay(canvas, sources[part], places[part], triangles=triangles.get(part))
        frame = channels(canvas)
        if not alpha:
            return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
        return straight(frame)

    def draw_order(self, controls: Controls, index: int) -> list[int]:
        """The parts that are drawn in a frame, from the farthest to the nearest."""
        body = controls.body
        assert body is not None
        drawn = list(self._sources_at(controls, index))
        return depth_order(drawn, with_points(body.joints_3d[index].astype(np.float64)))

    def _sources_at(self, controls: Controls, index: int) -> dict[int, _Source]:
        """What is drawn in a frame, and from where: a limb that the picture hides only where it is not hidden."""
        first = self._views[0]
        out = dict(self._sources)
        for part in self._sources:
            if self._sources[part] == (0, part) or not self._rests(part, controls, index):
                continue
            if part in first.behind and part in first.parts:
                out[part] = _Source(0, part)
            elif part not in HAND_PARTS or part not in first.parts:  # what is seen of a hand is drawn by nobody else
                del out[part]
        hidden = set(self._sources) - set(out)
        return {part: source for part, source in out.items() if part not in HAND_PARTS or CARRIERS[part] not in hidden}

    def _rests(self, part: int, controls: Controls, index: int) -> bool:
        """Whether a limb, or that of a hand, is where the picture shows it."""
        body, rest = controls.body, self._rest.body
        if body is None or rest is None:
            return False
        limb = CARRIERS[part] if part in HAND_PARTS else part
        bone = next(bone for bone in BONES if bone.part == limb)
        now, then = (with_points(joints.astype(np.float64)) for joints in (body.joints_2d[index], rest.joints_2d[0]))
        along = then[bone.end] - then[bone.start]
        turned = now[bone.end] - now[bone.start] - along
        return bool(np.linalg.norm(turned) < TURNED * np.linalg.norm(along))

    def moved(self, controls: Controls, index: int) -> tuple[dict[int, Array], dict[int, I32]]:
        """Nodes of all parts in a frame, and the triangles of those that lose some."""
        places: dict[int, Array] = {}
        triangles: dict[int, I32] = {}
        sources = self._sources | self._sources_at(controls, index)
        for number, view in enumerate(self._views):
            own = {part for part, source in sources.items() if source == (number, part)}
            mirrored = {s.part for part, s in sources.items() if s.view == number and s.mirrored(part)}
            if own or mirrored:
                moved = view.move(self._place(view, controls, index), controls, index, own, mirrored)
                places |= moved.places
                triangles |= moved.triangles
        if self._head is not None and self._face is not None and controls.head is not None and controls.face is not None:
            pose, landmarks = self._face.of_frame(controls, index)
            still, field = (of[index].astype(np.float64) for of in (controls.head.head_2d, controls.head.field))
            places[CORE] = self._head.move_on(pose, landmarks, still, places[CORE], field)
        return places, triangles

    def _lay_core(self, canvas: Canvas, vertices: Array, controls: Controls, index: int) -> None:
        """Lay torso and head over the canvas, in place, and the face on them."""
        face = self._face
        if face is None or controls.head is None or controls.face is None:
            self._lay(canvas, self._sources[CORE], vertices)
            return
        pose, landmarks = face.of_frame(controls, index)
        drawn = face.drawn(controls, pose, landmarks)
        self._lay(canvas, self._sources[CORE], vertices, behind=drawn)
        face.lay(canvas, drawn, controls, index)
        if drawn is not None:
            frame = channels(canvas)
            picture = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGBA2RGB), np.uint8)
            face.finish(picture, controls, index, pose, landmarks)
            frame[drawn.rows, drawn.columns, :3] = picture[drawn.rows, drawn.columns]

    def _lay(
        self, canvas: Canvas, source: _Source, vertices: Array, *, behind: DrawnLayer | None = None, triangles: I32 | None = None
    ) -> None:
        """Lay a part whose nodes are at ``vertices`` (N, 2 or 3) px over the canvas, in place."""
        part = self._views[source.view].parts[source.part]
        kept = part.triangles if triangles is None else triangles
        lay_layer(canvas, draw_part(part, vertices, kept, self.width, self.height), part.texture, behind=behind)


def choose_sources(views: list[View]) -> dict[int, _Source]:
    """Which picture's part is drawn for each part: the first's, unless another shows much more of it.

    Args:
        views: the identity's first.
    """
    out: dict[int, _Source] = {}
    for part in range(len(PARTS)):
        if part not in views[0].expected:
            continue  # who does not show where it is has no place for it either
        shares = [view.parts[part].share if part in view.parts else 0.0 for view in views]
        best = 0
        for number in range(1, len(views)):
            if part != CORE and shares[number] > max(BETTER * shares[best], HIDDEN):
                best = number
        other = other_side(part)
        behind = best == 0 and part in views[0].behind
        if behind and other in views[0].parts:
            out[part] = _Source(0, other)
        elif shares[best] >= HIDDEN or part == CORE or (part in HAND_PARTS and shares[best] > 0):
            out[part] = _Source(best, part)
        elif other in views[best].parts and views[best].parts[other].share > SHOWN:
            out[part] = _Source(best, other)
        elif shares[best] > 0:
            out[part] = _Source(best, part)
    # What hangs on a limb that is not drawn would fly beside the body.
    for part, carrier in CARRIERS.items():
        if carrier not in out and carrier in views[0].expected:
            out.pop(part, None)
    return {part: source for part, source in out.items() if source.part in views[source.view].parts}


def straight(frame: U8) -> U8:
    """A frame (H, W, 4) whose colours are weighted with alpha, with straight alpha."""
    share = np.maximum(frame[..., 3:].astype(np.float32), 1) / 255
    color = np.clip(np.rint(frame[..., :3] / share), 0, 255).astype(np.uint8)
    return np.dstack([color, frame[..., 3]])
