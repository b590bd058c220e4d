"""A video whose mouth says something else: its own frames, head and body, with the mouth of another sound."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.cache import Cache
from dreamactor_cli.captions import Captions, load_captions
from dreamactor_cli.contracts import U8, Controls, ControlStream, Job
from dreamactor_cli.controls.extract import Extraction, extract_controls
from dreamactor_cli.controls.speech import hear
from dreamactor_cli.errors import NoPersonFound, UsageError
from dreamactor_cli.media import AudioSource, VideoInfo, is_video, probe, read_frames
from dreamactor_cli.retarget.lids import mouth_opening
from dreamactor_cli.speaking import Folded, fit
from dreamactor_cli.speech_face.stream import SpeakingStream
from dreamactor_cli.speech_face.tracks import MouthTracks, mouth_tracks

if TYPE_CHECKING:
    from dreamactor_cli.renderers.geometry.mouth_swap import MouthSwap

SIGNALS = ("face", "head")
BACKWARDS = 48  # frames that are held to be shown in reverse
SCAN = 64  # frames of controls read at a time
CORNERS = (61, 291)
TURN = 30.0  # degrees of turn that count as much as a mouth that is shut, when the frame to learn a mouth from is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Dub:
    """A video, ready to be dubbed.

    Attributes:
        num_frames: of the output, which has the video's rate.
        sound: to go with it.
        tracks: what the mouth does.
        found: of the video.
        order: controls of the video's frames as the output shows them.
        captions: what is said, if it is to be written.
    """

    num_frames: int
    sound: AudioSource
    tracks: MouthTracks
    found: Extraction
    order: ControlStream
    captions: Captions | None
    warnings: tuple[str, ...]
    cache_hits: int

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        return self.found.info.fps

    def frames(self) -> Generator[U8, None, None]:
        """Frames of the output, (H, W, 3); where no face is seen, they are the video's own."""
        stream = self.found.stream
        calm, wide = _calm_and_open(stream)
        speaking = SpeakingStream(self.order, stream.window(calm, calm + 1), self.tracks)
        swap = _learn(self.found, wide, stream.window(calm, calm + 1))
        rows = self.order.rows(0, self.num_frames) if isinstance(self.order, Folded) else np.arange(self.num_frames)
        pictures = _in_order(self.found.info, rows)
        for start in range(0, self.num_frames, SCAN):
            own, said = self.order.window(start, start + SCAN), speaking.window(start, start + SCAN)
            for k in range(said.num_frames):
                frame = next(pictures)
                seen = own.face is not None and own.face.score[k] > 0.5
                yield _spoken(swap, frame, own, said, k) if seen else frame


def is_dub(job: Job) -> bool:
    """Whether the source of a lip-sync is a video."""
    return job.kind == "lipsync" and len(job.references) == 1 and is_video(job.references[0])


def load_dub(
    job: Job,
    *,
    cache: Cache,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dub:
    """Hear the sound and follow the face of the video.

    Raises:
        UsageError: there is no sound, or an option does not go with a video.
        InputRefused: video or sound cannot be used.
        NoPersonFound: the video shows no face.
    """
    _refuse(job)
    assert job.audio is not None
    video = job.references[0]
    info = probe(video)
    heard = hear(
        job.audio, fps=info.fps, cache=cache, start=job.start, duration=job.duration, encoder=job.preset.speech_encoder
    )  # fmt: skip
    captions = load_captions(job, cache=cache)
    needed = None if job.preset.sound_ends == "rest" else heard.seconds + 1 / info.fps
    found = extract_controls(
        video, signals=SIGNALS, cache=cache, duration=needed, subject=job.subject, workers=workers, on_progress=on_progress
    )
    _require_face(found, video)
    tracks = mouth_tracks(heard.stream, gain=job.preset.mouth_gain, lead=job.preset.lead_ms / 1000)
    order, frames = fit(found.stream, len(tracks), info.fps, job.preset)
    return Dub(
        num_frames=frames, sound=AudioSource(job.audio, start=job.start, duration=heard.seconds),
        tracks=tracks.of_length(frames), found=found, order=order, captions=captions,
        warnings=tuple(dict.fromkeys((*info.warnings, *found.warnings, *heard.warnings))),
        cache_hits=found.cache_hits + heard.cache_hits,
    )  # fmt: skip


def _refuse(job: Job) -> None:
    """Options that would change more of a video than its mouth."""
    if job.audio is None:
        raise UsageError("there is no sound to speak", "name a sound or a video with -a")
    if job.driving is not None:
        raise UsageError("a video that is dubbed keeps its own head and body", "leave -d out, or give a picture with -s")
    preset = job.preset
    for name, value, own in (
        ("size", preset.size, "source"), ("fps", preset.fps, "source"), ("background", preset.background, "keep"),
    ):  # fmt: skip
        if value != own:
            raise UsageError(f"--{name} {value} is not possible with a video, which keeps its own", f"leave --{name} out")
    if job.side_by_side:
        raise UsageError("--side-by-side is not possible with a video as source", "leave it out")


def _require_face(found: Extraction, video: Path) -> None:
    for start in range(0, found.stream.num_frames, SCAN):
        face = found.stream.window(start, start + SCAN).face
        if face is not None and (face.score > 0.5).any():
            return
    raise NoPersonFound(f"no face was found in {video}", "give a video that shows the speaker's face")


def _calm_and_open(stream: ControlStream) -> tuple[int, int]:
    """The frame whose mouth is at rest: shut, of usual width; and the one that shows most of the inside of the mouth.

    Blendshapes would not tell: they count from the first frame, whatever the mouth does in it.
    """
    rows = []
    for start in range(0, stream.num_frames, SCAN):
        part = stream.window(start, start + SCAN)
        assert part.face is not None and part.head is not None
        shape = (part.face.identity + part.face.expression).astype(np.float64)
        width = np.linalg.norm(shape[:, CORNERS[0]] - shape[:, CORNERS[1]], axis=1)
        turn = np.abs(head_space.euler_degrees(part.head.rotation)).sum(1) / TURN
        rows.append(np.stack([mouth_opening(shape), width, turn, part.face.score < 0.5], 1))
    opening, width, turn, unseen = np.concatenate(rows).T
    off = np.abs(width - np.median(width[unseen < 0.5]))
    calm = np.maximum(opening, 0) + 0.5 * off + 0.1 * turn + 10 * unseen
    return int(calm.argmin()), int((np.minimum(opening, 0.3) - 0.3 * turn - 10 * unseen).argmax())


def _learn(found: Extraction, frame: int, calm: Controls) -> MouthSwap:
    """The inside of the mouth from a frame, and where the lips are in the calm face."""
    from dreamactor_cli.renderers.geometry.mouth_swap import MouthSwap  # compiles; who only renders pictures need not wait

    part = found.stream.window(frame, frame + 1)
    assert calm.face is not None and part.head is not None
    rest = calm.face.identity + calm.face.expression[0]
    with read_frames(found.info.path, frame, frame + 1, info=found.info) as reader:
        return MouthSwap(next(reader), _landmarks(part, 0), part.head.rotation[0].astype(np.float64), rest)


def _landmarks(controls: Controls, index: int) -> NDArray[np.float64]:
    """Landmarks (478, 3) px as head and expression have them, which is how a changed face is put into the picture too."""
    face, head = controls.face, controls.head
    assert face is not None and head is not None
    at = slice(index, index + 1)
    pose = head_space.pose_of_sphere(head.center[at], head.radius[at], head.rotation[at])
    return head_space.to_image((face.identity + face.expression[at]).astype(np.float64), pose)[0]


def _spoken(swap: MouthSwap, frame: U8, own: Controls, said: Controls, index: int) -> U8:
    head = own.head
    assert head is not None
    scale = float(head.radius[index]) / head_space.SPHERE_RADIUS
    return swap.draw(frame, _landmarks(own, index), _landmarks(said, index), scale, head.rotation[index])


def _in_order(info: VideoInfo, rows: NDArray[np.int64]) -> Iterator[U8]:
    """Frames of a video in any order; a stretch that runs backwards is read in pieces."""
    shown, picture = -1, np.zeros((0, 0, 3), np.uint8)
    start = 0
    while start < len(rows):
        step = int(np.sign(rows[min(start + 1, len(rows) - 1)] - rows[start]))
        stop = start + 1
        while stop < len(rows) and rows[stop] - rows[stop - 1] == step and (step >= 0 or stop - start < BACKWARDS):
            stop += 1
        run = rows[start:stop]
        if step == 0 and run[0] == shown:
            yield from (picture for _ in run)
        else:
            low, high = int(run.min()), int(run.max())
            with read_frames(info.path, low, high + 1, info=info) as reader:
                frames = reader if step > 0 else iter(list(reader)[::-1] * (len(run) if step == 0 else 1))
                for picture in frames:
                    yield picture
        shown = int(run[-1])
        start = stop
