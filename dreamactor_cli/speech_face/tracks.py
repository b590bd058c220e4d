"""What each part of the mouth does over a whole clip, as curves: articulation with closures, rests and the user's wishes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import SPEECH_CHANNELS, ControlStream
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.speech_face import closures

Array = NDArray[np.float64]

LEAD = 0.05  # s by which lips move before they are heard; what was heard has the time of the sound
OPENING = (0.37, 0.05)  # inter-ocular units of an aperture of 1 more than the aperture of touching lips
WIDEST = 0.45  # inter-ocular units that no mouth opens beyond
PAUSE = 0.35  # s on either side in which a sound keeps the mouth awake: lips stay parted while a speaker breathes
AWAKE = (0.15, 0.45)  # activity between which a resting mouth becomes a speaking one
SETTLING = 0.12  # s that the mouth takes to rest
_READ = 4096  # frames read at a time


@dataclass(frozen=True, slots=True)
class MouthTracks:
    """Curves of a clip; all (T,).

    Attributes:
        opening: between the inner lips at the middle of the mouth, inter-ocular units, 0 where they touch.
        pressed: 1 where p, b or m press the lips together.
        rest: 1 where nothing is said.
        jaw, width, rounding, upper_lip, lip_tuck, tongue, teeth: articulation, `contracts.SPEECH_CHANNELS`; 0 at rest.
        activity: how much is speech.
        articulation: as it was heard, shifted by the lead, (T, 9).
    """

    opening: Array
    pressed: Array
    rest: Array
    jaw: Array
    width: Array
    rounding: Array
    upper_lip: Array
    lip_tuck: Array
    tongue: Array
    teeth: Array
    activity: Array
    articulation: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.opening)

    def of_length(self, frames: int) -> MouthTracks:
        """Cut to so many frames, or lengthened by a mouth that comes to rest."""
        more = frames - len(self)
        if more <= 0:
            return MouthTracks(*(getattr(self, field.name)[:frames] for field in fields(self)))
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            shape = (more, *value.shape[1:])
            values[field.name] = np.concatenate([value, np.full(shape, float(field.name == "rest"), value.dtype)])
        return MouthTracks(**values)


def mouth_tracks(speech: ControlStream, *, gain: float = 1.0, lead: float = 0.0) -> MouthTracks:
    """Curves of a whole clip.

    Args:
        speech: a stream with the speech signal, one frame a picture.
        gain: factor on all movement; lips that touch still do.
        lead: seconds by which the mouth is to move earlier than people's does.
    """
    fps = float(speech.fps)
    heard, activity = _whole(speech)
    shift = (lead + LEAD) * fps
    heard, activity = _shifted(heard, shift), _shifted(activity[:, None], shift)[:, 0].astype(np.float64)
    column = dict(zip(SPEECH_CHANNELS, heard.astype(np.float64).T, strict=True))
    rest = 1 - smooth(smoothstep(_nearby(activity, round(PAUSE * fps)), *AWAKE), SETTLING * fps)
    moved = gain * (1 - rest)
    pressed = closures.pressed(
        closures.pick(column["closure"], column["aperture"], activity, fps), column["closure"], fps
    ) * (1 - rest)  # fmt: skip
    slope, least = OPENING
    opening = np.minimum(slope * np.maximum(column["aperture"] - least, 0) * moved, WIDEST) * (1 - pressed)
    others = {name: column[name] * moved for name in SPEECH_CHANNELS if name not in ("aperture", "closure")}
    return MouthTracks(opening=opening, pressed=pressed, rest=rest, activity=activity, articulation=heard, **others)


def _whole(speech: ControlStream) -> tuple[NDArray[np.float32], Array]:
    """Articulation (T, 9) and activity (T,) of a clip: 3 MB an hour."""
    parts = [speech.window(start, start + _READ).speech for start in range(0, speech.num_frames, _READ)]
    signals = [part for part in parts if part is not None]
    return np.concatenate([s.articulation for s in signals]), np.concatenate([s.activity for s in signals]).astype(np.float64)


def _shifted(rows: NDArray[np.floating], frames: float) -> NDArray[np.float32]:
    """Rows (T, C) read so many frames later; the first and the last one are held."""
    places = np.clip(np.arange(len(rows)) + frames, 0, len(rows) - 1)
    low = np.minimum(places.astype(int), max(len(rows) - 2, 0))
    part = (places - low)[:, None]
    high = np.minimum(low + 1, len(rows) - 1)
    return np.asarray(rows[low] * (1 - part) + rows[high] * part, np.float32)


def _nearby(values: Array, reach: int) -> Array:
    """The largest value within so many frames, (T,)."""
    return np.asarray(cv2.dilate(values[None], np.ones((1, 2 * reach + 1), np.uint8))[0], np.float64)


def smooth(values: Array, sigma: float) -> Array:
    """A curve without what is faster than sigma, frames; its ends are held; (T,)."""
    size = (2 * int(np.ceil(4 * sigma)) + 1, 1)
    return np.asarray(cv2.GaussianBlur(values[None], size, max(sigma, 1e-3), borderType=cv2.BORDER_REPLICATE)[0], np.float64)
