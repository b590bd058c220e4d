"""``dreamactor lipsync``: a picture speaks, or the mouth of a video says something else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import typer

from dreamactor_cli.commands import animate
from dreamactor_cli.commands import options as o
from dreamactor_cli.commands.sampling import NOT_GIVEN, Sampling, with_sampling_options
from dreamactor_cli.job_options import seconds


@with_sampling_options
def lipsync(
    context: typer.Context,
    source: o.Speaker,
    audio: o.Audio,
    driving: o.HeadDriving = None,
    output: o.Output = None,
    preset: o.PresetName = "default",
    start: o.Start = None,
    duration: o.Duration = None,
    subject: o.Subject = None,
    head_motion: o.HeadMotion = None,
    mouth_gain: o.MouthGain = None,
    lead_ms: o.LeadMs = None,
    motion_ends: o.MotionEnds = None,
    sound_ends: o.SoundEnds = None,
    speech_encoder: o.SpeechEncoder = None,
    captions: o.Captions = None,
    region: o.Region = None,
    motion: o.MotionMode = None,
    anchor: o.Anchor = None,
    expression_scale: o.ExpressionScale = None,
    smoothing: o.Smoothing = None,
    bone_length: o.BoneLength = None,
    skeleton: o.Skeleton = None,
    sampling: Sampling = NOT_GIVEN,
    size: o.Size = None,
    fps: o.Fps = None,
    background: o.Background = None,
    relight: o.Relight = None,
    crf: o.Crf = None,
    side_by_side: o.SideBySide = False,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    workers: o.Workers = None,
    credentials: o.Credentials = None,
    key: o.Key = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Make a picture speak, or let a video say something else."""
    from dreamactor_cli.contracts import Job
    from dreamactor_cli.presets import load_preset, merge

    overrides = {
        **sampling, "bone_length": bone_length, "size": size, "fps": fps, "region": region, "motion": motion, "anchor": anchor,
        "expression_scale": expression_scale, "smoothing": smoothing, "background": background, "relight": relight, "crf": crf,
        "head_motion": head_motion, "mouth_gain": mouth_gain, "lead_ms": lead_ms, "motion_ends": motion_ends,
        "sound_ends": sound_ends, "speech_encoder": speech_encoder, "captions": captions,
    }  # fmt: skip
    name = f"{source[0].stem}_{audio.stem}"
    job = Job(
        id=name,
        kind="lipsync",
        references=tuple(source),
        audio=audio,
        driving=driving,
        output=output or Path(f"{name}.mp4"),
        preset=merge(load_preset(preset), overrides),
        seed=seed,
        start=seconds("--start", start) or Fraction(0),
        duration=seconds("--duration", duration),
        subject=subject,
        side_by_side=side_by_side,
        overwrite=overwrite,
        skeleton=skeleton,
        credentials=credentials,
        key=key,
    )
    animate.run(context.obj, job, workers=workers, device=device)
