"""Where a file comes from, said in three places; what happens when they do not agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import provenance, sidecar
from dreamactor_cli.contracts import Job, Preset, RendererSpec, RenderResult
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.media import VideoWriter, read_frames, read_tags
from tests import certificates

SPEC = RendererSpec(name="geometry", version="7", needs=(), reference_needs=())
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make("out.mp4", signer, seed=1)``: an output with its sidecar, as the pipeline leaves them."""
    (tmp_path / "face.png").write_bytes(b"face")
    (tmp_path / "clip.mp4").write_bytes(b"clip")

    def run(name: str, signed: certificates.Certificates | None = None, **changes: object) -> Path:
        job = Job(
            id="job", references=(tmp_path / "face.png",), output=tmp_path / name, preset=Preset(),
            driving=str(tmp_path / "clip.mp4"),
        )  # fmt: skip
        if signed is not None:
            job = replace(job, credentials=signed.chain, key=signed.key)
        job = replace(job, **changes)  # type: ignore[arg-type]
        description = sidecar.describe(job, SPEC)
        with VideoWriter(
            job.output, width=32, height=32, fps=Fraction(25), metadata=provenance.container_tags(description)
        ) as writer:
            for level in range(0, 250, 50):
                writer.write(np.full((32, 32, 3), level, np.uint8))
        provenance.sign_output(job, description)
        sha256 = sidecar.output_sha256(job.output)
        result = RenderResult(id="job", status="ok", output=job.output, sha256=sha256, frames=5)
        sidecar.write_sidecar(job, description, result)
        return job.output

    return run


def _states(found: provenance.Provenance) -> dict[str, str]:
    return {check.place: check.state for check in found.checks}


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.webm", "frames"])
def test_what_is_untouched_agrees(make: Make, name: str) -> None:
    found = provenance.verify(make(name))
    assert _states(found) == {"sidecar": "agrees", "container": "agrees", "credentials": "absent"}
    assert found.state == "agrees"


def test_the_container_tells_all_and_no_name(make: Make) -> None:
    output = make("out.mp4")
    record = json.loads(sidecar.sidecar_path(output).read_text("utf-8"))
    comment = read_tags(output)["comment"]
    assert comment.startswith("Synthetic video, made by dreamactor")
    for fact in (
        "digitalSourceType=compositeWithTrainedAlgorithmicMedia", f"fingerprint={record['fingerprint']}",
        f"references={record['made_from']['references'][0]}", f"driving={record['made_from']['driving']}", "geometry 7",
    ):  # fmt: skip
        assert fact in comment
    assert "face.png" not in comment
    assert "clip.mp4" not in comment
    assert record["digital_source_type"] == COMPOSITE


@pytest.mark.parametrize(
    ("renderer", "beside", "kind"),
    [
        ("geometry 1", False, "compositeWithTrainedAlgorithmicMedia"), ("diffusion 1", False, "trainedAlgorithmicMedia"),
        ("diffusion 1", True, "compositeWithTrainedAlgorithmicMedia"),
    ],
)  # fmt: skip
def test_the_source_type_fits_the_renderer(renderer: str, beside: bool, kind: str) -> None:
    assert sidecar.source_type({"renderer": renderer, "side_by_side": beside}).endswith(f"/{kind}")


def test_a_changed_file_is_found(make: Make) -> None:
    output = make("out.mp4")
    data = bytearray(output.read_bytes())
    data[-30] ^= 1
    output.write_bytes(data)
    assert _states(provenance.verify(output))["sidecar"] == "disagrees"


def test_a_changed_sidecar_is_found(make: Make) -> None:
    output = make("out.mp4")
    path = sidecar.sidecar_path(output)
    record = json.loads(path.read_text("utf-8"))
    record["made_from"]["seed"] = 99
    path.write_text(json.dumps(record), "utf-8")
    assert "was changed" in provenance.verify(output).checks[0].detail
    path.write_text("{", "utf-8")
    assert "cannot be read" in provenance.verify(output).checks[0].detail
    path.write_text("[]", "utf-8")
    assert provenance.verify(output).state == "disagrees"


def test_a_sidecar_of_another_video_is_found(make: Make) -> None:
    one, other = make("one.mp4"), make("other.mp4", seed=5)
    record = json.loads(sidecar.sidecar_path(other).read_text("utf-8"))
    record["output_sha256"] = sidecar.output_sha256(one)  # whoever swaps them with care still fails at the container
    sidecar.sidecar_path(one).write_text(json.dumps(record), "utf-8")
    assert _states(provenance.verify(one)) == {"sidecar": "agrees", "container": "disagrees", "credentials": "absent"}


def test_a_file_of_nobody_has_nothing(tmp_path: Path, encode_clip: Callable[..., None]) -> None:
    plain = tmp_path / "plain.mp4"
    encode_clip(plain, np.zeros((3, 32, 32, 3), np.uint8), Fraction(25))
    assert provenance.verify(plain).state == "absent"
    with pytest.raises(UnreadableInput, match="not found"):
        provenance.verify(tmp_path / "none.mp4")


def test_without_the_sidecar_the_container_still_tells(make: Make) -> None:
    output = make("out.mp4")
    sidecar.sidecar_path(output).unlink()
    found = provenance.verify(output)
    assert (found.state, _states(found)["sidecar"]) == ("agrees", "absent")


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.gif"])
def test_credentials_hold_until_a_byte_changes(make: Make, signer: certificates.Certificates, name: str) -> None:
    output = make(name, signer)
    assert sum(1 for _ in read_frames(output)) == 5
    assert [path.name for path in output.parent.glob(".*")] == []
    found = provenance.verify(output)
    assert found.state == "agrees"
    detail = found.checks[2].detail
    assert certificates.SIGNER in detail
    assert "compositeWithTrainedAlgorithmicMedia" in detail
    assert "on no trust list" in detail
    assert "your trust list knows" in provenance.verify(output, trust=signer.root).checks[2].detail
    data = bytearray(output.read_bytes())
    data[-10] ^= 1
    output.write_bytes(data)
    sidecar.sidecar_path(output).unlink()
    found = provenance.verify(output)
    assert _states(found)["credentials"] == "disagrees"
    assert "hash" in found.checks[2].detail


def test_credentials_of_another_video_do_not_pass(make: Make, signer: certificates.Certificates) -> None:
    one, other = make("one.mp4", signer), make("other.mp4", signer, seed=5)
    record = json.loads(sidecar.sidecar_path(one).read_text("utf-8"))
    record["output_sha256"] = sidecar.output_sha256(other)
    sidecar.sidecar_path(other).write_text(json.dumps(record), "utf-8")
    assert _states(provenance.verify(other)) == {"sidecar": "agrees", "container": "disagrees", "credentials": "disagrees"}


def test_credentials_that_were_removed_are_missed(make: Make, signer: certificates.Certificates) -> None:
    signed, plain = make("signed.mp4", signer), make("plain.mp4")
    record = json.loads(sidecar.sidecar_path(signed).read_text("utf-8"))
    record["output_sha256"] = sidecar.output_sha256(plain)
    sidecar.sidecar_path(plain).write_text(json.dumps(record), "utf-8")
    assert "were removed" in provenance.verify(plain).checks[2].detail


def test_the_certificate_belongs_to_the_fingerprint(make: Make, signer: certificates.Certificates) -> None:
    prints = [json.loads(sidecar.sidecar_path(make(f"{k}.mp4", s)).read_text("utf-8"))["fingerprint"] for k, s in
              enumerate((signer, signer, None))]  # fmt: skip
    assert prints[0] == prints[1] != prints[2]


def test_an_output_that_cannot_be_signed_is_removed(make: Make, signer: certificates.Certificates, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make("out.mp4", replace(signer, key=tmp_path / "none.pem"))
    assert not (tmp_path / "out.mp4").exists()


def test_both_or_none(signer: certificates.Certificates, tmp_path: Path) -> None:
    job = Job(id="j", references=(), output=tmp_path / "o.mp4", preset=Preset(), credentials=signer.chain)
    with pytest.raises(UsageError, match="belong together"):
        provenance.check_credentials(job)
    with pytest.raises(UsageError, match="cannot carry"):
        provenance.check_credentials(replace(job, key=signer.key, output=tmp_path / "o.webm"))
    provenance.check_credentials(replace(job, key=signer.key))
