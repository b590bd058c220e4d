"""Write a video, a GIF or a PNG sequence: beside its name first, into place when all is well."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dreamactor_cli.atomic import sync, write_errors
from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import JobFailed, UsageError
from dreamactor_cli.media.codecs import GIF_TOP_RATE, Format, format_of
from dreamactor_cli.media.decode import ACCURATE
from dreamactor_cli.media.ffmpeg import Encoder, program_for, run
from dreamactor_cli.media.files import beside, url_of
from dreamactor_cli.media.mux import AudioSource, mux, sound_of, tags
from dreamactor_cli.media.sequence import SequenceWriter, is_sequence


class VideoWriter:
    """Context manager that writes frames; the output appears under its name only when all went well.

    By suffix: ``.mp4`` (H.264), ``.webm`` (VP9), ``.mov`` (H.264, ProRes 4444 with alpha), ``.gif``; a folder or a pattern
    like ``name_%05d.png`` is a PNG sequence. Pictures are tagged BT.709. The same frames give the same bytes.

    Args:
        path: the output.
        width, height: of the frames, px; odd ones are padded by their edge where the format needs even ones.
        fps: exact.
        crf: 0 (lossless but for the rounding to YCbCr, with full chroma) to 51.
        alpha: frames carry straight alpha.
        audio: sound to go with it, cut to the length of the pictures.
        metadata: written into the container.
        overwrite: replace what is there.

    Attributes:
        warnings: what the user should know, complete after `close`.
        frames: written so far.

    Raises:
        UsageError: the output exists, its format is unknown, or it cannot carry alpha.
        MissingRequirement: no FFmpeg with the encoder.
        NoStream: the audio source has no sound.
        DiskFull, JobFailed: while writing.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        crf: int = 16,
        alpha: bool = False,
        audio: AudioSource | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        if width < 1 or height < 1 or fps <= 0:
            raise UsageError(f"a video of {width}x{height} at {fps} fps cannot be written", "give a size and a rate above zero")
        self.warnings: tuple[str, ...] = ()
        self.frames = 0
        self._path, self._fps, self._alpha, self._overwrite = Path(path), fps, alpha, overwrite
        self._shape = (height, width, 4 if alpha else 3)
        self._metadata = dict(metadata or {})
        self._sequence = is_sequence(self._path)
        self._form = None if self._sequence else format_of(self._path.suffix.lower(), crf, alpha)
        self._audio = self._accept(audio)
        self._sink: _FileSink | SequenceWriter | None = None

    def __enter__(self) -> VideoWriter:
        if self._form is None:
            self._sink = SequenceWriter(self._path, self._metadata, self._overwrite)
            return self
        if self._path.exists() and not self._overwrite:
            raise UsageError(f"{self._path} exists", "pass --overwrite, or choose another name")
        height, width, _ = self._shape
        odd = self._form.even and (width % 2 or height % 2)
        if odd:
            self._warn(f"padded from {width}x{height} to {width + width % 2}x{height + height % 2}: the format needs even sizes")
        self._sink = _FileSink(self._path, self._shape, self._fps, self._form, self._audio, self._metadata)
        return self

    def write(self, frame: U8) -> None:
        """Add a frame, (H, W, 3), or (H, W, 4) with straight alpha; with alpha, one of three channels is opaque."""
        if self._alpha and frame.ndim == 3 and frame.shape[2] == 3:
            frame = np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"the frame is {frame.dtype} {frame.shape}, not uint8 {self._shape}")
        if self._sink is None:
            raise ValueError("the writer is not open")
        self._sink.write(frame)
        self.frames += 1

    def close(self) -> None:
        """Finish the output and move it into place."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            if self.frames == 0:
                raise JobFailed(f"no frame was written to {self._path}", "check the start and the duration")
            sink.finish()
        except BaseException:
            sink.abort()
            raise

    def abort(self) -> None:
        """Leave nothing behind."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _accept(self, audio: AudioSource | None) -> AudioSource | None:
        if audio is None:
            return None
        if self._form is None or not self._form.sound:
            self._warn(f"the sound is left out: {self._path.suffix if self._form else 'a PNG sequence'} carries none")
            return None
        sound_of(audio.path)  # fail now and not after the last frame
        return audio

    def _warn(self, text: str) -> None:
        self.warnings = (*self.warnings, text)


class _FileSink:
    """Frames into one file through FFmpeg, in one or two steps (sound and palettes come second)."""

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        fps: Fraction,
        form: Format,
        audio: AudioSource | None,
        metadata: Mapping[str, str],
    ) -> None:
        self._path, self._fps, self._form, self._audio, self._metadata = path, fps, form, audio, metadata
        self._alpha = shape[2] == 4
        self._count = 0
        self._padding = ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)) if form.even else ((0, 0),) * 3
        self._two_steps = audio is not None or form.suffix == ".gif"
        self._pictures = beside(path, ".nut" if form.suffix == ".gif" else form.suffix)
        self._result = beside(path, form.suffix) if self._two_steps else self._pictures
        self._palette = beside(path, ".png")
        self._program = program_for(form.encoder)
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (side + pad for side, (_, pad) in zip(shape[:2], self._padding[:2], strict=True))
        self._encoder = Encoder(self._program, self._stream(width, height), path)

    def write(self, frame: U8) -> None:
        if self._padding != ((0, 0),) * 3:
            frame = np.pad(frame, self._padding, mode="edge")
        self._encoder.write(np.ascontiguousarray(frame).data)
        self._count += 1

    def finish(self) -> None:
        self._encoder.finish()
        if self._form.suffix == ".gif":
            self._to_gif()
        elif self._audio is not None:
            mux(
                self._pictures, self._audio, self._result,
                form=self._form, duration=self._count / self._fps, metadata=self._metadata,
            )  # fmt: skip
        with write_errors(self._path):
            sync(self._result)
            os.replace(self._result, self._path)
        if self._two_steps:
            self._clean()

    def abort(self) -> None:
        self._encoder.kill()
        self._clean()

    def _clean(self) -> None:
        for leftover in (self._pictures, self._result, self._palette):
            leftover.unlink(missing_ok=True)

    def _stream(self, width: int, height: int) -> Any:
        import ffmpeg

        stream = ffmpeg.input(
            "pipe:", f="rawvideo", pix_fmt="rgba" if self._alpha else "rgb24", s=f"{width}x{height}", framerate=str(self._fps)
        )
        options = dict(self._form.options)
        if self._form.suffix != ".gif":
            stream = stream.filter("scale", flags=ACCURATE, out_color_matrix="bt709", out_range="tv")
            stream = stream.filter("setparams", color_primaries="bt709", color_trc="bt709")
        if not self._two_steps:
            options |= {**self._form.container, **tags(self._metadata)}
        return ffmpeg.output(stream, url_of(self._pictures), **options)

    def _to_gif(self) -> None:
        """Two passes over the stored frames, so that memory does not grow with the clip as it does with a split."""
        import ffmpeg

        def frames() -> Any:
            source = ffmpeg.input(url_of(self._pictures))
            return source.filter("fps", fps=str(GIF_TOP_RATE)) if self._fps > GIF_TOP_RATE else source

        palette = frames().filter("palettegen", reserve_transparent=int(self._alpha))
        run(self._program, ffmpeg.output(palette, url_of(self._palette), update=1, **{"frames:v": 1}), self._path)
        coloured = ffmpeg.filter([frames(), ffmpeg.input(url_of(self._palette), f="png_pipe")], "paletteuse")
        options = {"fflags": "+bitexact", "map_metadata": "-1", **tags(self._metadata)}
        run(self._program, ffmpeg.output(coloured, url_of(self._result), **options), self._path)
