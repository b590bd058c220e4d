"""Probe, decode, encode: the only package that knows FFmpeg, PyAV, decord and PIL."""

from dreamactor_cli.media.audio import SAMPLE_RATE, read_sound
from dreamactor_cli.media.decode import read_frames
from dreamactor_cli.media.encode import VideoWriter
from dreamactor_cli.media.files import sha256_file
from dreamactor_cli.media.images import LoadedImage, image_size, load_image
from dreamactor_cli.media.mux import AudioSource
from dreamactor_cli.media.probe import VideoInfo, is_video, probe
from dreamactor_cli.media.tags import read_tags

__all__ = [
    "SAMPLE_RATE",
    "AudioSource",
    "LoadedImage",
    "VideoInfo",
    "VideoWriter",
    "image_size",
    "is_video",
    "load_image",
    "probe",
    "read_frames",
    "read_sound",
    "read_tags",
    "sha256_file",
]
