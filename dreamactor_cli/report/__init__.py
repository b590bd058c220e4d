"""What a run leaves to look at: ``report.html`` for people, ``junit.xml`` for CI, ``results.csv`` for tables."""

from __future__ import annotations

from pathlib import Path


def write_report(folder: Path) -> None:
    """Write the three files of a run's folder from its ``results.jsonl`` and ``run.json``, each in one go.

    Nothing of a run that failed half-way is in the way: torn lines, outputs that are gone and a missing ``run.json`` are
    borne. Pictures of outputs that the last report showed already are taken from it.

    Raises:
        DiskFull, UsageError: the folder cannot be written.
    """
    from dreamactor_cli.atomic import replacing
    from dreamactor_cli.report.junit import junit_xml
    from dreamactor_cli.report.page import page_html
    from dreamactor_cli.report.run_data import read_run
    from dreamactor_cli.report.table import results_csv

    run = read_run(folder)
    for name, text in (("junit.xml", junit_xml(run)), ("results.csv", results_csv(run)), ("report.html", page_html(run))):
        with replacing(folder / name) as beside:
            beside.write_bytes(text.encode("utf-8", "replace"))  # a file's name need not be text
