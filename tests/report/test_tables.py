"""junit.xml and results.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dreamactor_cli.report.junit import junit_xml
from dreamactor_cli.report.run_data import read_run
from dreamactor_cli.report.table import results_csv

Line = Callable[..., dict[str, Any]]
Folder = Callable[..., Path]


def test_junit_tells_failures_errors_and_skipped_apart(line: Line, folder: Folder) -> None:
    lines = [
        line("good"), line("refused", code="no-person"), line("lost", code="worker-lost"), line("again", status="skipped"),
        line("odd", warnings=["something"]),
    ]  # fmt: skip
    document = ElementTree.fromstring(junit_xml(read_run(folder(lines))).encode())
    [suite] = document.findall("testsuite")
    counts = {name: int(suite.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 5, "failures": 1, "errors": 1, "skipped": 1}
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert [child.tag for child in cases["refused"]] == ["failure"]
    assert [child.tag for child in cases["lost"]] == ["error"]
    assert cases["refused"][0].get("type") == "no-person"
    assert "mend it" in str(cases["refused"][0].text)
    assert (cases["good"].get("time"), len(cases["good"])) == ("5.000", 0)
    assert cases["odd"].findtext("system-out") == "something"


def test_junit_is_valid_whatever_the_names(line: Line, folder: Folder) -> None:
    nasty = "a\x00\x1b[31m<b>&\"']]>\ud800\uffff ü😀"
    text = junit_xml(read_run(folder([line(nasty, code="input")]))).encode("utf-8")
    [case] = ElementTree.fromstring(text).iter("testcase")
    assert case.get("name") == "a\ufffd\ufffd[31m<b>&\"']]>\ufffd\ufffd ü😀"


def test_csv_has_a_row_a_job(line: Line, folder: Folder) -> None:
    lines = [line('a,"b"\nc', warnings=["one", "two"]), line("d", code="timeout")]
    rows = list(csv.DictReader(io.StringIO(results_csv(read_run(folder(lines))), newline="")))
    assert [row["id"] for row in rows] == ['a,"b"\nc', "d"]
    assert (rows[0]["status"], rows[0]["seconds"], rows[0]["seconds_render"], rows[0]["warnings"]) == (
        "warned",
        "5.0",
        "3.5",
        "one|two",
    )
    assert rows[0]["started"] == "2023-11-14T22:13:30.000+00:00"
    assert (rows[1]["status"], rows[1]["error_code"], rows[1]["retryable"]) == ("failed", "timeout", "true")


def test_csv_starts_no_formula(line: Line, folder: Folder) -> None:
    ids = ["=HYPERLINK()", "+1", "-x", "@y", "plain"]
    rows = list(csv.DictReader(io.StringIO(results_csv(read_run(folder([line(id_) for id_ in ids]))), newline="")))
    assert [row["id"] for row in rows] == ["'=HYPERLINK()", "'+1", "'-x", "'@y", "plain"]
