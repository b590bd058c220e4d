"""What is known of a clip before its chunks are measured: whom to follow, and the frame that flow is measured against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dreamactor_cli.contracts import F32, U8


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The window of a video that is measured.

    Attributes:
        num_frames: of the window.
        fps: frames a second.
        width, height: px.
        reference: frame that identity and flow refer to: the first one with the subject's face.
        picture: that frame, (H, W, 3).
        matte: person mask of that frame, (h, w), 0..255, at any scale.
        landmarks: of the subject in that frame, (478, 3) px; None where no face is seen in the clip, only a body.
        anchors: where the subject was seen: (K, 4) frame, x, y and half of the face, px; by frame.
        others: where other people were seen, (M, 3) x, y and half of the face, px.
    """

    num_frames: int
    fps: float
    width: int
    height: int
    reference: int
    picture: U8
    matte: U8
    landmarks: F32 | None
    anchors: F32
    others: F32

    def subject_at(self, frame: int) -> tuple[float, float, float]:
        """Expected centre and half size of the subject's face, px."""
        x, y, half = (float(np.interp(frame, self.anchors[:, 0], self.anchors[:, k])) for k in (1, 2, 3))
        return x, y, half

    def is_subject(self, x: float, y: float, last: tuple[float, float, float]) -> bool:
        """Whether a face at x, y is rather the one last seen at ``last`` than somebody else."""
        if not len(self.others):
            return True
        own = np.hypot(x - last[0], y - last[1])
        other = np.hypot(self.others[:, 0] - x, self.others[:, 1] - y).min()
        return bool(own <= other)

    def save(self, path: Path) -> None:
        """Write it for worker processes."""
        from safetensors.numpy import save_file

        arrays: dict[str, np.ndarray] = {
            "picture": self.picture, "matte": self.matte, "anchors": self.anchors, "others": self.others,
        }  # fmt: skip
        if self.landmarks is not None:
            arrays["landmarks"] = self.landmarks
        numbers = [self.num_frames, self.fps, self.width, self.height, self.reference]
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(path), {"numbers": json.dumps(numbers)})

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Read what `save` wrote."""
        from safetensors import safe_open

        with safe_open(str(path), "numpy") as file:
            num_frames, fps, width, height, reference = json.loads(file.metadata()["numbers"])
            a = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return cls(
            num_frames=num_frames, fps=fps, width=width, height=height, reference=reference, picture=a["picture"],
            matte=a["matte"], landmarks=a.get("landmarks"), anchors=a["anchors"], others=a["others"],
        )  # fmt: skip
