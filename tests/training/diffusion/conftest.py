"""Heads that are anywhere and mouths that open: what a network can learn in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from dreamactor_cli.arkit import BLENDSHAPES
from dreamactor_cli.models.draw_face import DRAWN, draw_faces
from dreamactor_cli.training.diffusion.clips import TrainingClip

SIZE, FRAMES, REFERENCES = 32, 9, 2
JAW = BLENDSHAPES.index("jawOpen")


def picture(colour: np.ndarray, x: float, jaw: float) -> np.ndarray:
    """A head at x with a mouth, (32, 32, 3)."""
    out = np.full((SIZE, SIZE, 3), 90, np.uint8)
    cv2.circle(out, (round(x), 14), 9, tuple(int(c) for c in colour), -1)
    cv2.ellipse(out, (round(x), 18), (4, round(1 + 5 * jaw)), 0, 0, 360, (20, 10, 10), -1)
    return out


def pose(x: float) -> np.ndarray:
    """What is drawn of the pose, (32, 32, 6), with no face."""
    out = np.zeros((SIZE, SIZE, 3), np.uint8)
    cv2.circle(out, (round(x), 14), 9, (255, 128, 0), -1)
    return np.concatenate([out, np.zeros_like(out)], -1)


def lips(x: float, jaw: float) -> np.ndarray:
    """Landmarks that are drawn, px, (102, 2): a mouth that opens downwards, and nothing else."""
    out = np.full((len(DRAWN), 2), -9, np.float32)
    around = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    for first, size in ((0, 1.5), (20, 1.0)):  # outer lips, inner lips
        out[first : first + 20, 0] = x + size * 4 * np.cos(around)
        out[first : first + 20, 1] = 18 + size * (1 + 5 * jaw) * np.sin(around)
    return out


@dataclass(frozen=True)
class Toys:
    """A source of such clips."""

    count: int = 8
    seed: int = 0
    frames: int = FRAMES

    @property
    def key(self) -> str:
        return f"toys/{self.count}/{self.seed}/{self.frames}"

    def shards(self, clips_a_shard: int) -> Sequence[range]:
        return [range(at, min(at + clips_a_shard, self.count)) for at in range(0, self.count, clips_a_shard)]

    def clip(self, number: int) -> TrainingClip:
        rng = np.random.default_rng([self.seed, number])
        colour = rng.integers(60, 255, 3)
        xs = 16 + 7 * np.sin(rng.uniform(0, 6) + np.arange(self.frames + REFERENCES) * rng.uniform(0.2, 0.8))
        jaws = 0.5 + 0.5 * np.sin(rng.uniform(0, 6) + np.arange(self.frames + REFERENCES) * rng.uniform(0.3, 1.2))
        face = np.zeros((self.frames, 56), np.float32)
        face[:, JAW] = jaws[: self.frames]
        weights = np.zeros((self.frames, SIZE, SIZE), np.uint8)
        weights[:, 12:26, 8:24] = 255
        shown = [picture(colour, x, jaw) for x, jaw in zip(xs, jaws, strict=True)]
        outlines = np.stack([lips(x, jaw) for x, jaw in zip(xs, jaws, strict=True)])
        closed = np.stack([lips(x, 0.0) for x in xs])
        expression = np.concatenate([outlines - closed, np.zeros((len(xs), len(DRAWN), 1), np.float32)], -1)
        drawn = [
            np.concatenate([pose(x)[..., :3], face], -1) for x, face in zip(xs, draw_faces(outlines, SIZE, SIZE), strict=True)
        ]
        return TrainingClip(
            frames=np.stack(shown[: self.frames]), poses=np.stack(drawn[: self.frames]), face=face, weights=weights,
            outlines=outlines[: self.frames], expression=expression[: self.frames],
            axes=np.repeat(np.eye(2, 3, dtype=np.float32)[None], self.frames, 0),
            yaw=np.linspace(-1, 1, self.frames).astype(np.float32), references=np.stack(shown[self.frames :]),
            reference_poses=np.stack(drawn[self.frames :]), reference_yaw=np.zeros(REFERENCES, np.float32),
        )  # fmt: skip


@pytest.fixture
def toys() -> Toys:
    return Toys()
