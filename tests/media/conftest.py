"""Clips with known defects, made with FFmpeg."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

NTSC = Fraction(30000, 1001)
BURSTS = (0.5, 1.0, 1.5, 2.0)  # seconds at which the sound of `speech` has a burst
RATE = 48000

Maker = Callable[..., Path]


@pytest.fixture(scope="session")
def make(ffmpeg_exe: str, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """``make(name, *output options, source=..., inputs=())``: a clip of a test pattern in a folder of its own."""

    def build(name: str, *options: str, source: str = "testsrc2=s=64x48:r=30000/1001:d=2", inputs: tuple[str, ...] = ()) -> Path:
        path = tmp_path_factory.mktemp("clip") / name
        given = ("-f", "lavfi", "-i", source) if source else ()
        command = [ffmpeg_exe, "-y", "-loglevel", "error", *given, *inputs, *options, f"file:{path}"]
        subprocess.run(command, check=True)
        return path

    return build


@pytest.fixture(scope="session")
def moving(astronaut_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight frames of a photograph that drifts by parts of a pixel, (8, 256, 256, 3)."""
    photo = cv2.resize(astronaut_rgb, (256, 256), interpolation=cv2.INTER_AREA)
    shifts = [np.array([[1, 0, 1.3 * k], [0, 1, 0.7 * k]]) for k in range(8)]
    options = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT}
    return np.stack([cv2.warpAffine(photo, shift, (256, 256), **options) for shift in shifts])


@pytest.fixture(scope="session")
def bursts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.6 s of WAV with a burst of another pitch at each of `BURSTS`."""
    samples = np.random.default_rng(0).normal(0, 0.005, int(2.6 * RATE))
    for k, second in enumerate(BURSTS):
        tone = np.sin(np.arange(2400) * 2 * np.pi * (500 + 250 * k) / RATE) * np.hanning(2400)
        samples[round(second * RATE) :][: len(tone)] += 0.8 * tone
    path = tmp_path_factory.mktemp("sound") / "bursts.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def pcm(ffmpeg_exe: str) -> Callable[[Path], NDArray[np.float32]]:
    """The sound of a file as mono samples at `RATE`, from the file's time zero on; gaps are silence."""

    def decode(path: Path) -> NDArray[np.float32]:
        command = [ffmpeg_exe, "-loglevel", "error", "-copyts", "-i", f"file:{path}", "-map", "0:a:0"]
        command += ["-af", f"aresample={RATE}:async=1:first_pts=0", "-ac", "1", "-f", "f32le", "-"]
        return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)

    return decode


@pytest.fixture(scope="session")
def lag() -> Callable[[NDArray[np.float32], NDArray[np.float32]], int]:
    """``lag(reference, sound)``: samples by which `sound` comes later."""
    return _lag


@pytest.fixture(scope="session")
def psnr() -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]:
    """``psnr(first, second)`` of 8-bit arrays, dB."""
    return _psnr


def _lag(reference: NDArray[np.float32], sound: NDArray[np.float32]) -> int:
    size = 1 << (len(reference) + len(sound)).bit_length()
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    best = int(np.argmax(np.fft.irfft(product, size)))
    return best if best < size // 2 else best - size


def _psnr(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
