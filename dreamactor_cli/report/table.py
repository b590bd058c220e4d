"""``results.csv``: one row a job."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from dreamactor_cli.report.run_data import JobRow, Run

STAGES = ("reference", "extract", "render")
COLUMNS = (
    "id", "status", "kind", "references", "driver", "output", "frames", "seconds", *(f"seconds_{stage}" for stage in STAGES),
    "frames_per_second", "cache_hits", "attempts", "worker", "device", "started", "error_code", "error", "retryable",
    "gates_failed", "warnings", "sha256", "fingerprint",
)  # fmt: skip


def results_csv(run: Run) -> str:
    """The table, comma separated. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for job in run.jobs:
        writer.writerow([_harmless(value) for value in _row(job)])
    return text.getvalue()


def _row(job: JobRow) -> list[object]:
    began = datetime.fromtimestamp(job.started, UTC).isoformat(timespec="milliseconds") if job.started else ""
    failure = job.failure
    error = (failure.code, failure.message, str(failure.retryable).lower()) if failure else ("", "", "")
    return [
        job.id, job.mark, job.kind, "|".join(map(str, job.references)), "|".join(job.drivers), str(job.output), job.frames,
        round(job.took, 3), *(round(job.seconds[stage], 3) if stage in job.seconds else "" for stage in STAGES),
        round(job.speed, 2) if job.speed else "", job.cache_hits, job.attempts, job.worker, job.device, began, *error,
        "|".join(gate.name for gate in job.gates if not gate.passed), "|".join(job.warnings), job.sha256, job.fingerprint,
    ]  # fmt: skip


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
