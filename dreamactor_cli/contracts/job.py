"""What is to be done, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

JobKind = Literal["animate", "lipsync"]
Status = Literal["ok", "failed", "skipped"]

BACKGROUNDS = ("keep", "driving", "transparent")  # beside colours and files
REGIONS = ("all", "face", "head", "mouth", "eyes", "body", "hands")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How to render. The defaults of every option stand here and nowhere else.

    Attributes:
        renderer: a name of `renderers.RENDERERS`.
        size: ``"source"`` (as the reference) or ``"WxH"``, px.
        fps: ``"source"`` (as the driver) or a rational like ``"30000/1001"``.
        region: which parts move, of `REGIONS`.
        motion: ``"relative"`` to the anchor frame of the driver, or ``"absolute"``.
        anchor: the driver's frame that stands for the reference: ``"first"`` or ``"neutral"``.
        expression_scale: factor on the driver's expression.
        smoothing: window of the zero-phase filter in frames, odd; 0 is off.
        bone_length: ``"auto"`` or ``"off"``.
        background: ``"keep"``, ``"driving"``, ``"#rrggbb"``, ``"transparent"`` or a picture file.
        mouth: ``"procedural"`` (the reference's teeth if visible) or ``"driver"`` (the driver's pixels).
        relight: carry the driver's shading and wrinkles over (ratio image).
        crf: quality of the encoder, 0 (lossless) to 51.
        mouth_gain: factor on what the mouth of a speaker does.
        lead_ms: time by which the mouth moves before the sound, ms; below 0 it moves after it.
        head_motion: how lively the head of a speaker is whom no driver moves, 0..1.
        motion_ends: what a driver's motion does where the sound is longer: ``"ping-pong"``, ``"loop"``, ``"hold"`` its last
            pose, or ``"cut"`` the sound.
        sound_ends: what happens where the driver's motion is longer: ``"cut"`` the motion, or ``"rest"`` the mouth.
        speech_encoder: ``"mel"``, or ``"whisper:NAME"`` or ``"whisper:FOLDER"``.
        captions: what was said as ``"srt"`` or ``"vtt"`` beside the output, or ``"burn"`` into the picture; or ``"off"``.
        weights: of a renderer that draws with a network: a name of `dreamactor models list`, or a folder; "" is its own.
        steps, guidance_reference, guidance_motion, segment_frames: of the diffusion renderers.
        precision: what they compute in: ``"float32"``, ``"bfloat16"``, or ``"auto"``, which suits renderer and device.
        step_cache: what reuses answers of earlier steps, of the renderer diffusion.
        reference_views: ``"given"``, or ``"auto"``, where it first makes views of the person for its own use.
        quantize: 8-bit numbers that its weights are kept in; needs torchao.
        compile: let `torch.compile` translate it, which pays for long clips.
        context_parallel: devices (on the CPU: processes) that share the tokens of one clip; of the renderer diffusion.
        conditioning_frames: last frames of a segment that open the next one, 1 or 5; of the renderer wan-animate.
    """

    name: str = "default"
    renderer: str = "geometry"
    size: str = "source"
    fps: str = "source"
    region: tuple[str, ...] = ("all",)
    motion: Literal["relative", "absolute"] = "relative"
    anchor: Literal["first", "neutral"] = "first"
    expression_scale: float = 1.0
    smoothing: int = 5
    bone_length: Literal["auto", "off"] = "auto"
    background: str = "keep"
    mouth: Literal["procedural", "driver"] = "procedural"
    relight: bool = False
    mouth_gain: float = 1.0
    lead_ms: float = 0.0
    head_motion: float = 1.0
    motion_ends: Literal["ping-pong", "loop", "hold", "cut"] = "ping-pong"
    sound_ends: Literal["cut", "rest"] = "cut"
    speech_encoder: str = "mel"
    captions: Literal["off", "srt", "vtt", "burn"] = "off"
    crf: int = 16
    weights: str = ""
    steps: int = 20
    guidance_reference: float = 2.5
    guidance_motion: float = 2.5
    segment_frames: int = 73
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    step_cache: Literal["off", "first-block", "taylor", "mag"] = "off"
    reference_views: Literal["given", "auto"] = "given"
    quantize: Literal["off", "int8", "float8"] = "off"
    compile: bool = False
    context_parallel: int = 1
    conditioning_frames: Literal[1, 5] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture (or several of one person), one driver, one output.

    Attributes:
        references: pictures of one person; of a lip-sync, also one video whose mouth is to say something else.
        driving: a video, a controls file, or ``motion:NAME``; a lip-sync takes head and body from it, and may have none.
        audio: a sound or a video whose sound is to be spoken; of a lip-sync only.
        start: of the driving window (of a lip-sync: of the sound), seconds.
        duration: of the driving window, seconds; None is to the end.
        subject: which person of the driver to follow, from the left, counted from 1; None picks the largest and steadiest.
        side_by_side: also show reference and driver.
        skeleton: JSON file with the joints of the first reference, in place of what is detected (see `skeleton_file`).
        credentials, key: certificate chain and private key (PEM) to sign the output with (C2PA); both or none.
    """

    id: str
    references: tuple[Path, ...]
    output: Path
    preset: Preset
    kind: JobKind = "animate"
    driving: str | None = None
    audio: Path | None = None
    seed: int = 0
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    subject: int | None = None
    side_by_side: bool = False
    overwrite: bool = False
    skeleton: Path | None = None
    credentials: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed; the fields of a `errors.DreamActorError`."""

    type: str
    code: str
    retryable: bool
    message: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one quality gate measured on one output.

    Attributes:
        gate: name of the gate, like ``"frozen-frames"``.
        value, limit: what was measured and what is allowed, in ``unit``.
        message: what it means and what to do; empty if it passed.
    """

    gate: str
    passed: bool
    value: float
    limit: float
    unit: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderResult:
    """What became of one job.

    Attributes:
        seconds: of each stage.
        cache_hits: signals that were read and not made.
        warnings: what the user should know of a result that is there all the same.
        quality: what the gates of ``--qc`` found.
        started: unix time, s.
        worker: who did it, like ``"cpu:0"``; empty in a command for one job.
        attempts: how often it was tried.
    """

    id: str
    status: Status
    output: Path
    sha256: str = ""
    frames: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    cache_hits: int = 0
    device: str = "cpu"
    warnings: tuple[str, ...] = ()
    error: JobError | None = None
    quality: tuple[Finding, ...] = ()
    started: float = 0.0
    worker: str = ""
    attempts: int = 1
