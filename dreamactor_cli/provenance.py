"""That a video is synthetic, by what it was made and from what: said in three places, and checked against each other.

1. The sidecar: hashes of the inputs and of the output, parameters, versions.
2. The container's comment: the same in one line, which stays with the file when the sidecar is lost. GIF carries none.
3. Content Credentials (C2PA), if the user has a certificate: the same, signed.

Only the third holds against somebody who means to deceive; the first two find accidents and mix-ups.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dreamactor_cli import __version__, sidecar
from dreamactor_cli.contracts import Job
from dreamactor_cli.credentials import Credentials, manifest_of, mime_of, read_seal
from dreamactor_cli.errors import DreamActorError, UnreadableInput, UsageError
from dreamactor_cli.media import read_tags

MARK = "Synthetic video"
_FINGERPRINT = re.compile(r"\bfingerprint=([0-9a-f]{64})\b")

State = Literal["agrees", "absent", "disagrees"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one of the three places says.

    Attributes:
        place: ``"sidecar"``, ``"container"`` or ``"credentials"``.
        detail: for people.
    """

    place: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is known of where a file comes from."""

    output: Path
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """``disagrees`` if one place does, ``absent`` if there is nothing at all."""
        states = {check.state for check in self.checks}
        return "disagrees" if "disagrees" in states else "agrees" if "agrees" in states else "absent"


def container_tags(description: Mapping[str, Any]) -> dict[str, str]:
    """What is written into the container: one comment, because that is what all containers carry.

    No file's name is in it: the same inputs give the same bytes, wherever they lie, and names may be private.
    """
    facts = {
        "digitalSourceType": sidecar.source_type(description).rpartition("/")[2],
        "fingerprint": sidecar.fingerprint(description),
        "references": ",".join(description["references"]),
        "driving": description["driving"],
        "audio": description["audio"],
    }
    made = f"{MARK}, made by dreamactor {__version__} ({description['renderer']}); no camera saw this."
    return {"comment": " ".join([made, *(f"{name}={value}" for name, value in facts.items() if value)])}


def sign(output: Path, *, certificate: Path, key: Path, description: Mapping[str, Any]) -> None:
    """Put Content Credentials into a file.

    Args:
        certificate, key: see `credentials.Credentials`.
        description: of `sidecar.describe`.

    Raises:
        UsageError: certificate, key or the file's format cannot be used.
        MissingRequirement: c2pa-python is not installed.
        DiskFull, JobFailed: while writing.
    """
    manifest = manifest_of(description, source_type=sidecar.source_type(description), generator="dreamactor", version=__version__)
    Credentials(certificate, key).sign(output, manifest)


def check_credentials(job: Job) -> None:
    """Refuse credentials that cannot sign this output now, and not when the work is done.

    Raises:
        UsageError, MissingRequirement: as `sign`.
    """
    if job.credentials is None and job.key is None:
        return
    if job.credentials is None or job.key is None:
        raise UsageError("--credentials and --key belong together", "give both, or none")
    mime_of(job.output)
    Credentials(job.credentials, job.key)


def sign_output(job: Job, description: Mapping[str, Any]) -> None:
    """Sign what a job made, if it asks for that; an output that cannot be signed is removed.

    Raises:
        DreamActorError: as `sign`.
    """
    if job.credentials is None or job.key is None:
        return
    try:
        sign(job.output, certificate=job.credentials, key=job.key, description=description)
    except BaseException:
        job.output.unlink(missing_ok=True)
        raise


def verify(output: Path, *, trust: Path | None = None) -> Provenance:
    """Read back what a file, its sidecar and its credentials say, and whether they agree.

    Args:
        trust: PEM file of roots that are trusted beside C2PA's own.

    Raises:
        UnreadableInput: there is no such file.
        MissingRequirement: there are credentials, or may be, and c2pa-python is not installed.
    """
    if not sidecar.output_sha256(output):
        raise UnreadableInput(f"{output} was not found", "name a video, or a folder or pattern of PNG files")
    record = _record(output)
    said = record if isinstance(record, Mapping) else {}
    return Provenance(
        output=output,
        checks=(_sidecar(output, record), _container(output, said), _credentials(output, said, trust)),
    )


def _record(output: Path) -> Mapping[str, Any] | str | None:
    """The sidecar; None if there is none, a text if it cannot be used."""
    path = sidecar.sidecar_path(output)
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return f"{path.name} cannot be read"
    wanted = {"output_sha256": str, "fingerprint": str, "made_from": dict}
    if not isinstance(record, dict) or any(not isinstance(record.get(name), kind) for name, kind in wanted.items()):
        return f"{path.name} is no sidecar of dreamactor"
    return record


def _sidecar(output: Path, record: Mapping[str, Any] | str | None) -> Check:
    if record is None:
        return Check(place="sidecar", state="absent", detail="there is none")
    if isinstance(record, str):
        return Check(place="sidecar", state="disagrees", detail=record)
    if record["output_sha256"] != sidecar.output_sha256(output):
        return Check(place="sidecar", state="disagrees", detail="the file was changed after the sidecar was written")
    made_from = record["made_from"]
    if record["fingerprint"] != sidecar.fingerprint(made_from):
        return Check(place="sidecar", state="disagrees", detail="what it says the file was made from was changed")
    inputs = f"{len(made_from.get('references', ()))} source(s) and {_driver(made_from)}"
    by = f"dreamactor {made_from.get('dreamactor', '?')} ({made_from.get('renderer', '?')})"
    return Check(place="sidecar", state="agrees", detail=f"made by {by} from {inputs}; the file is as it was written")


def _driver(made_from: Mapping[str, Any]) -> str:
    parts = [name for name in ("driving", "audio") if made_from.get(name)]
    return {"driving": "a driver", "audio": "sound", "driving audio": "a driver and sound"}.get(" ".join(parts), "no driver")


def _container(output: Path, record: Mapping[str, Any]) -> Check:
    pictures = sidecar.sequence_files(output)
    try:
        comment = read_tags(pictures[0] if pictures else output).get("comment", "")
    except DreamActorError as error:
        return Check(place="container", state="disagrees", detail=str(error))
    if not comment.startswith(MARK):
        return Check(place="container", state="absent", detail="its comment does not say that it is synthetic")
    found = _FINGERPRINT.search(comment)
    if record and found and found[1] != record["fingerprint"]:
        return Check(place="container", state="disagrees", detail="the sidecar beside it belongs to another video")
    return Check(place="container", state="agrees", detail=comment.partition(" digitalSourceType=")[0])


def _credentials(output: Path, record: Mapping[str, Any], trust: Path | None) -> Check:
    seal = read_seal(output, trust)
    expected = "credentials" in record.get("made_from", {})
    if seal is None:
        detail = "they were removed: the sidecar says that it was signed" if expected else "there are none"
        return Check(place="credentials", state="disagrees" if expected else "absent", detail=detail)
    if not seal.holds:
        return Check(place="credentials", state="disagrees", detail="; ".join(seal.problems) or "they do not hold")
    theirs = sidecar.fingerprint(seal.description) if seal.description else ""
    if record and theirs != record["fingerprint"]:
        return Check(place="credentials", state="disagrees", detail="they belong to another video than the sidecar")
    trusted = "whom your trust list knows" if seal.trusted else "whose certificate is on no trust list that was given"
    kind = seal.source_type.rpartition("/")[2] or "no source type"
    return Check(place="credentials", state="agrees", detail=f"{kind}, signed by {seal.signer}, {trusted}; unchanged since")
