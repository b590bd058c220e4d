"""The JSON file beside an output: what it was made from, and by which it is known again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from dreamactor_cli import __version__
from dreamactor_cli.atomic import replacing
from dreamactor_cli.contracts import BACKGROUNDS, Job, Preset, RendererSpec, RenderResult
from dreamactor_cli.credentials import SOURCE_TYPES
from dreamactor_cli.driving import MOTION_PREFIX, driving_sha256
from dreamactor_cli.media import sha256_file
from dreamactor_cli.resources import PACKAGE

FORMAT = 1
_TICK = 20_000_000  # ns, twice the coarsest clock of a file system's time stamps
SPEECH_WEIGHTS = PACKAGE / "weights" / "speech" / "model.safetensors"
_PARAMETERS = tuple(field.name for field in fields(Preset) if field.name not in ("name", "background", "weights"))
_parameters = attrgetter(*_PARAMETERS)
_encode = json.JSONEncoder(sort_keys=True).encode


def sidecar_path(output: Path) -> Path:
    """``NAME.json`` beside the output; of a PNG sequence, beside its folder or pattern."""
    return output.with_name(output.name.replace("%", "_") + ".json")


def describe(job: Job, spec: RendererSpec, weights_sha256: str = "") -> dict[str, Any]:
    """Everything that the output's bytes depend on: inputs by hash, parameters, seed, versions.

    Args:
        weights_sha256: of the renderer's weights; empty if it has none.
    """
    preset = dict(zip(_PARAMETERS, _parameters(job.preset), strict=True))
    background = _background_file(job)
    signed = {"credentials": sha256_file(job.credentials)} if job.credentials else {}
    return {
        "dreamactor": __version__,
        "renderer": f"{spec.name} {spec.version}",
        "kind": job.kind,
        "references": [sha256_file(path) for path in job.references],
        "driving": driving_sha256(job.driving) if job.driving else "",
        "audio": sha256_file(job.audio) if job.audio else "",
        "background": sha256_file(background) if background is not None else job.preset.background,
        "parameters": preset,
        "seed": job.seed,
        "window": [str(job.start), str(job.duration) if job.duration is not None else ""],
        "subject": job.subject,
        "side_by_side": job.side_by_side,
        **({"skeleton": sha256_file(job.skeleton)} if job.skeleton else {}),
        **signed,
        **({"weights": weights_sha256} if weights_sha256 else {}),
        **({"speech": sha256_file(SPEECH_WEIGHTS)} if job.kind == "lipsync" else {}),
    }


def _sound(job: Job) -> dict[str, str]:
    return {"audio": job.audio.name} if job.audio else {}


def input_files(job: Job) -> list[Path]:
    """The files that the output's bytes depend on."""
    driving = [] if job.driving is None or job.driving.startswith(MOTION_PREFIX) else [Path(job.driving)]
    others = (job.audio, _background_file(job), job.skeleton, job.credentials)
    return [*job.references, *driving, *(path for path in others if path is not None)]


def _background_file(job: Job) -> Path | None:
    """The picture that is put behind the person, if it is one."""
    name = job.preset.background
    if name in BACKGROUNDS or name.startswith("#"):
        return None
    path = Path(name)
    return path if path.is_file() else None


def fingerprint(description: Mapping[str, Any]) -> str:
    """Hash of a description, 64 hex digits."""
    return hashlib.sha256(_encode(description).encode()).hexdigest()


def source_type(description: Mapping[str, Any]) -> str:
    """IPTC digital source type of what was made, a URL.

    The geometry renderer's pixels come from a captured picture, but trained networks measured the motion that they follow,
    drawn parts are added, and the person seems to do what nobody filmed: ``compositeWithTrainedAlgorithmicMedia``.
    (``algorithmicallyEnhanced`` is for changes that leave the content as it was; ``compositeSynthetic`` would hide from
    sites that label such videos that a trained algorithm had a part.) A diffusion renderer makes every pixel:
    ``trainedAlgorithmicMedia``, unless the picture and the driver stand beside the result.
    """
    drawn = str(description.get("renderer", "")).partition(" ")[0] == "geometry"
    composite = drawn or description.get("side_by_side", False)
    return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia")


def output_sha256(output: Path) -> str:
    """Hash of a file, or of the names and bytes of a folder's or pattern's pictures; empty if there are none."""
    if output.is_file():
        return sha256_file(output)
    pictures = sequence_files(output)
    if not pictures:
        return ""
    whole = hashlib.sha256()
    for picture in pictures:
        whole.update(f"{picture.name} {sha256_file(picture)}\n".encode())
    return whole.hexdigest()


def sequence_files(output: Path) -> list[Path]:
    """The pictures of a PNG sequence, in order."""
    if output.is_dir():
        return sorted(output.glob("*.png"))
    prefix, percent, _ = output.name.partition("%")
    if not percent:  # listing a folder of ten thousand results for each of them takes minutes
        return []
    return sorted(p for p in output.parent.glob("*.png") if p.name.startswith(prefix))


def done_sha256(output: Path, wanted: str) -> str:
    """Hash of the output if it is there, unchanged, with this fingerprint; else empty.

    Its bytes are read, unless the file has the size and the time that it had when it was hashed: going on with ten thousand
    large outputs should not read them all. (`verify` reads them.)
    """
    try:
        record = json.loads(sidecar_path(output).read_text("utf-8"))
        if record["fingerprint"] != wanted or record["format"] != FORMAT:
            return ""
        sha256: str = record["output_sha256"]
        settled = record.get("output_stat")
        unchanged = settled is not None and settled == _stat(output)
        return sha256 if unchanged or sha256 == output_sha256(output) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_whole(output: Path) -> bool:
    """Whether the output is there and is the one that its sidecar tells of, whatever it was made from."""
    try:
        whole = json.loads(sidecar_path(output).read_text("utf-8"))["output_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(whole and whole == output_sha256(output))


def _stat(output: Path) -> list[int] | None:
    """Size and time of a file; None of a sequence, and of a file that may change once more within the clock's tick."""
    if not output.is_file():
        return None
    status = output.stat()
    return [status.st_size, status.st_mtime_ns] if time.time_ns() - status.st_mtime_ns > _TICK else None


def write_sidecar(job: Job, description: Mapping[str, Any], result: RenderResult) -> None:
    """Write the file; it appears when it is complete."""
    record = {
        "format": FORMAT,
        "synthetic": "This video was made by dreamactor; it does not show what a camera saw.",
        "digital_source_type": source_type(description),
        "fingerprint": fingerprint(description),
        "output": job.output.name,
        "output_sha256": result.sha256,
        "output_stat": _stat(job.output),
        "frames": result.frames,
        "inputs": {"references": [p.name for p in job.references], "driving": Path(job.driving or "").name, **_sound(job)},
        "made_from": dict(description),
        "seconds": {stage: round(took, 3) for stage, took in result.seconds.items()},
        "cache_hits": result.cache_hits,
        "warnings": list(result.warnings),
    }
    with replacing(sidecar_path(job.output)) as beside:
        beside.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
