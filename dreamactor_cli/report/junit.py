"""``junit.xml``: a run as a test suite, as CI systems read it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from dreamactor_cli.report.run_data import JobRow, Run

# What XML 1.0 cannot carry, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(run: Run) -> str:
    """The document. A refused input is a failure; what may work another time is an error."""
    retryable = sum(job.failure is not None and job.failure.retryable for job in run.jobs)
    suite = ElementTree.Element(
        "testsuite",
        name="dreamactor render",
        tests=str(len(run.jobs)),
        failures=str(run.count("failed") - retryable),
        errors=str(retryable),
        skipped=str(run.count("skipped")),
        time=f"{run.wall:.3f}",
        timestamp=datetime.fromtimestamp(run.started, UTC).isoformat(timespec="seconds"),
    )
    for job in run.jobs:
        _case(suite, job)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, job: JobRow) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", name=_clean(job.id), classname=f"dreamactor.{_clean(job.kind)}", time=f"{job.took:.3f}"
    )
    if job.failure is not None:
        tag = "error" if job.failure.retryable else "failure"
        what = ElementTree.SubElement(case, tag, type=_clean(job.failure.code), message=_clean(job.failure.message))
        what.text = _clean(job.failure.message)
    elif job.mark == "skipped":
        ElementTree.SubElement(case, "skipped", message="the output is this very result already")
    notes = [*job.warnings, *(f"{gate.name}: {gate.message}" for gate in job.gates if not gate.passed)]
    if notes:
        ElementTree.SubElement(case, "system-out").text = _clean("\n".join(dict.fromkeys(notes)))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
