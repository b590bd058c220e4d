"""Where people stand: light, background and camera, by chance."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32
from dreamactor_cli.training.synthetic.person import Person
from dreamactor_cli.training.synthetic.rig import euler
from dreamactor_cli.training.synthetic.skin import cloth_tone, noise

Rng = np.random.Generator
F64 = NDArray[np.float64]


class Light(NamedTuple):
    """A key light from far away, light from everywhere, and a rim.

    Attributes:
        to: direction towards the key light, camera axes, (3,).
        key, ambient, rim: strengths.
        key_rgb, ambient_rgb: (3,).
    """

    to: F64
    key: float
    ambient: float
    rim: float
    key_rgb: F64
    ambient_rgb: F64


def draw_light(rng: Rng) -> Light:
    """From the front or from a side, warm or cold, hard or soft."""
    across, up = rng.uniform(-1.2, 1.2), rng.uniform(0.1, 1.0)
    warmth = rng.uniform(-0.12, 0.12)
    to = np.array([np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)])
    return Light(
        to, float(rng.uniform(0.55, 1.0)), float(rng.uniform(0.38, 0.65)), float(rng.uniform(0, 0.5)),
        np.array([1 + warmth, 1, 1 - warmth]), np.array([1 - warmth, 1, 1 + warmth]),
    )  # fmt: skip


def draw_background(rng: Rng, size: int) -> F32:
    """A wall, a gradient, or shapes out of focus, (size, size, 3), 0..1. Its content does not depend on the size."""
    side = 128  # drawn small, so that the same person stands before the same place at any size
    kind = rng.integers(4)
    first = cloth_tone(rng)
    second = np.clip(first + rng.normal(0, 0.15) + rng.normal(0, 0.05, 3), 0, 1)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    angle = rng.uniform(0, 2 * np.pi)
    part = np.clip((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5, 0, 1)[..., None]
    wall = (first + (second - first) * part).astype(np.float32)
    if kind:
        wall += np.float32(0.06) * noise(rng, side, 4, 3, 0.6)[..., None]
        if kind == 2:  # a floor
            line = int(side * rng.uniform(0.55, 0.9))
            wall[line:] = wall[line:] * 0.4 + cloth_tone(rng).astype(np.float32) * 0.6
        for _ in range(rng.integers(2, 9)):
            _shape(rng, wall)
        wall = cv2.GaussianBlur(wall, (0, 0), max(0.4, rng.uniform(0, side / 32)))
    return np.clip(cv2.resize(wall, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)


def _shape(rng: Rng, wall: F32) -> None:
    """Lay a box or a disc over a picture, in place."""
    side = len(wall)
    over = wall.copy()
    x, y = (int(v) for v in rng.integers(-side // 4, side, 2))
    width, height = (int(v) for v in rng.integers(side // 10, side // 2, 2))
    tone = cloth_tone(rng).tolist()
    if rng.random() < 0.6:
        cv2.rectangle(over, (x, y), (x + width, y + height), tone, -1)
    else:
        cv2.circle(over, (x, y), width // 2, tone, -1)
    wall[:] = wall * 0.4 + over * 0.6


class Camera(NamedTuple):
    """A pinhole that looks along its -z.

    Attributes:
        focal: in heights of the picture.
        rotation: world to camera, (3, 3).
        translation: (3,), decimetres.
        shadow_center: world, (3,), decimetres: what throws shadows in the picture lies around it ...
        shadow_radius: ... this near.
    """

    focal: float
    rotation: F64
    translation: F64
    shadow_center: F64
    shadow_radius: float

    def to_camera(self, points: F64) -> F64:
        """World points (..., 3) in the camera's axes."""
        return points @ self.rotation.T + self.translation

    def position(self) -> F64:
        """Of the camera in the world, (3,)."""
        return -self.rotation.T @ self.translation

    def to_picture(self, seen: F64, size: int) -> F64:
        """Camera points (..., 3) in px, (..., 2); pixel centres at integers."""
        depth = np.maximum(-seen[..., 2:], 0.5)
        return seen[..., :2] * [1, -1] * (self.focal * size) / depth + (size - 1) / 2


class View(NamedTuple):
    """A camera before it is known who stands there: lengths in heights of the head, angles in radians."""

    share: float  # head's height over the picture's
    distance: float
    above: float  # of the middle of the head, over the picture's centre
    aside: float
    angles: F64  # yaw, pitch, roll


_SHARE = {"face": (0.5, 0.72), "bust": (0.28, 0.4), "half": (0.17, 0.24), "full": (0.105, 0.125)}
_DISTANCE = {"face": (3.0, 5.5), "bust": (4.5, 7.0), "half": (7.0, 10.0), "full": (11.0, 15.0)}
_ABOVE = {"face": (0.02, 0.14), "bust": (0.4, 0.65), "half": (1.1, 1.6), "full": (0.0, 0.0)}
_SHADOW = {"face": 2.4, "bust": 4.0, "half": 7.0, "full": 10.0}


def draw_view(rng: Rng, framing: str) -> View:
    """A camera for a framing, one of `clip.FRAMINGS`."""
    share, distance, above = (float(rng.uniform(*table[framing])) for table in (_SHARE, _DISTANCE, _ABOVE))
    aside = float(rng.normal(0, 0.12 if framing == "face" else 0.25))
    return View(share, distance, above, aside, rng.normal(0, [0.12, 0.06, 0.02]))


def camera_of(view: View, person: Person, framing: str) -> Camera:
    """The view's camera before a person at rest."""
    height = person.head_height
    share, target = view.share, person.head_center - [0, view.above * height, 0]
    if framing == "full":
        low, high = person.vertices[:, 1].min(), person.vertices[:, 1].max()
        target = np.array([0, (low + high) / 2, 0])
        share = view.share / 0.115 * 0.86 * height / float(high - low)
    target = target + [view.aside * height * (0 if framing == "full" else 1), 0, 0]
    distance = view.distance * height
    rotation = euler(view.angles).T
    translation = -rotation @ target - [0, 0, distance]
    focal = share * distance / height
    return Camera(focal, rotation, translation, target.astype(np.float64), _SHADOW[framing] * height / 2.3)
