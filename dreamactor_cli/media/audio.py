"""The sound of any file as mono samples of one rate, block by block, on the timeline of the file's pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dreamactor_cli.contracts import F32
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.media.container import opened
from dreamactor_cli.media.mux import sound_of

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SAMPLE_RATE = 16000  # Hz; what speech is analysed at
BLOCK = 4 * SAMPLE_RATE  # samples of a block
JUMP = SAMPLE_RATE // 25  # samples: time stamps that are off by more mean a gap or an overlap, and not rounding
PADDING = (
    SAMPLE_RATE * 6 // 100
)  # samples: what encoders put behind the end that a container tells; more, and the container is wrong
LONGEST = 24 * 3600  # s


def read_sound(path: Path, start: Fraction = Fraction(0), duration: Fraction | None = None) -> SoundReader:
    """The first sound stream of a file.

    Time counts as for `AudioSource.start`: from the first picture of a video, else from the beginning of the sound. What the
    file lacks, before its sound begins or where it is damaged, is silence.

    Args:
        path: a sound or a video.
        start: of the window, s.
        duration: of the window, s; None is to the end.

    Returns:
        An iterator of blocks (n,), float32, -1..1, `SAMPLE_RATE`; all but the last one have `BLOCK` samples.

    Raises:
        UnreadableInput: no media file, or nothing in it can be decoded.
        NoStream: it has no sound.
        UsageError: the window is empty.
    """
    return SoundReader(Path(path), start, duration)


class SoundReader(Iterator[F32]):
    """Iterator over blocks of samples.

    Attributes:
        samples: that were given so far.
        damaged: packets so far that could not be decoded.
    """

    def __init__(self, path: Path, start: Fraction, duration: Fraction | None) -> None:
        if start < 0 or (duration is not None and duration <= 0):
            raise UsageError(f"the window of {path.name} is empty", "choose another --start or --duration")
        self.samples = 0
        self.damaged = 0
        self._path = path
        sound = sound_of(path)
        self._begin = round(sound.zero * SAMPLE_RATE)
        self._end = None if sound.end is None else round((sound.end - sound.zero) * SAMPLE_RATE)
        self._first = round(start * SAMPLE_RATE)
        self._stop = None if duration is None else self._first + max(round(duration * SAMPLE_RATE), 1)
        self._blocks = self._reblocked()

    def __next__(self) -> F32:
        block = np.nan_to_num(next(self._blocks), copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        self.samples += len(block)
        return block

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()

    def _reblocked(self) -> Generator[F32, None, None]:
        held: list[F32] = []
        count = given = 0
        for piece in self._window():
            held.append(piece)
            count += len(piece)
            while count >= BLOCK:
                whole = np.concatenate(held)
                yield whole[:BLOCK]
                given += BLOCK
                held, count = [whole[BLOCK:]], count - BLOCK
        if count:
            yield np.concatenate(held)
        elif not given:
            raise UsageError(f"the window of {self._path.name} is empty", "choose another --start or --duration")

    def _window(self) -> Iterator[F32]:
        """The samples between start and stop."""
        position, heard = 0, False
        for piece in self._unpadded():
            heard = True
            low = max(self._first - position, 0)
            high = len(piece) if self._stop is None else min(self._stop - position, len(piece))
            position += len(piece)
            if high > low:
                yield piece[low:high]
            if (self._stop is not None and position >= self._stop) or position > LONGEST * SAMPLE_RATE:
                return
        if not heard:
            raise UnreadableInput(f"no sound in {self._path} can be decoded", "it is damaged: copy or download it again")

    def _unpadded(self) -> Iterator[F32]:
        """The samples without what the encoder of the last packet filled it up with."""
        position, behind = 0, list[F32]()
        for piece in self._timed():
            room = len(piece) if self._end is None else min(max(self._end - position, 0), len(piece))
            position += len(piece)
            if room < len(piece):
                behind.append(piece[room:])
            if room:
                yield piece[:room]
            if sum(map(len, behind)) > PADDING:
                yield from behind
                behind, self._end = [], None

    def _timed(self) -> Iterator[F32]:
        """Samples from time zero on; gaps are silence, and what comes twice or before zero is left out."""
        with opened(self._path) as container:
            stream = container.streams.audio[0]
            position = 0  # of the next sample, counted from time zero
            early = 0  # samples that lie before that
            convert = _Converter()
            for frame in self._decoded(container, stream):
                at = self._place(frame)
                if at is not None and abs(at - position + early - convert.inside) > JUMP:
                    for piece in convert.flush():
                        position += len(piece)
                        yield piece
                    if at > position:
                        yield from _silence(min(at - position, LONGEST * SAMPLE_RATE))
                        position = at
                    early = max(position - at, 0)
                for piece in convert(frame):
                    kept = piece[early:]
                    early -= len(piece) - len(kept)
                    position += len(kept)
                    if len(kept):
                        yield kept
            yield from (piece[early:] for piece in convert.flush())

    def _place(self, frame: AudioFrame) -> int | None:
        """Number of the sample that a frame begins with, by its time stamp."""
        base = frame.time_base
        if frame.pts is None or base is None:
            return None
        return frame.pts * base.numerator * SAMPLE_RATE // base.denominator - self._begin

    def _decoded(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        import av

        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self.damaged += 1
                    continue
                for frame in frames:
                    if frame.samples:
                        yield frame
        except av.error.FFmpegError:
            self.damaged += 1


class _Converter:
    """Brings decoded frames to mono and `SAMPLE_RATE` with FFmpeg's resampler, which mixes down by the layout's rules.

    Attributes:
        inside: samples that were put in and have not come out yet.
    """

    def __init__(self) -> None:
        self.inside = 0
        self._form: tuple[object, ...] = ()
        self._resampler: object = None
        self._put = self._got = 0  # samples, at their own rate and at ours
        self._rate = 1

    def __call__(self, frame: AudioFrame) -> list[F32]:
        import av

        form = (frame.format.name, frame.layout.name, frame.rate)
        out = []
        if form != self._form:  # a stream may change on its way
            out = self.flush()
            self._resampler, self._form = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE), form
        frame.pts = None
        self._put, self._rate = self._put + frame.samples, frame.rate
        return out + self._pull(frame)

    def flush(self) -> list[F32]:
        """What is still inside; the next frame begins afresh."""
        if self._resampler is None:
            return []
        out = self._pull(None)
        self._resampler, self._form = None, ()
        self.inside = self._put = self._got = 0
        return out

    def _pull(self, frame: AudioFrame | None) -> list[F32]:
        done = self._resampler.resample(frame)  # type: ignore[attr-defined]
        pieces = [np.frombuffer(piece.planes[0], np.float32, piece.samples).copy() for piece in done]
        self._got += sum(map(len, pieces))
        self.inside = self._put * SAMPLE_RATE // self._rate - self._got
        return pieces


def _silence(count: int) -> Iterator[F32]:
    while count > 0:
        yield np.zeros(min(count, BLOCK), np.float32)
        count -= BLOCK
