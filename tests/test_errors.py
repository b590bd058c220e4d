"""Exit codes, the last line, and errors that come from another process."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from dreamactor_cli import errors
from dreamactor_cli.errors import DreamActorError, NoPersonFound, Stopped

DRAWN = re.findall(r"^[ |]*(?:\+-- )?(\w+) +(\d[\d/]*)(?: |$)", errors.__doc__ or "", re.MULTILINE)
CLASSES = {n: c for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, DreamActorError)}


def test_the_tree_in_the_docstring_shows_every_error_with_its_exit_code() -> None:
    codes = {name: [int(code) for code in listed.split("/")] for name, listed in DRAWN}
    assert codes.keys() == CLASSES.keys()
    assert codes.pop("Stopped") == [130, 143, 140]
    assert codes == {name: [kind.exit_code] for name, kind in CLASSES.items() if name != "Stopped"}


def test_codes_of_the_errors_differ() -> None:
    codes = [kind.code for name, kind in CLASSES.items() if name != "JobFailed"]  # a failure like its base
    assert len(set(codes)) == len(codes)


def test_the_last_line_says_what_and_what_to_do() -> None:
    error = NoPersonFound("no face was found in a b.png", "give a picture that shows the person's face")
    line = "dreamactor: error[no-person]: no face was found in a b.png; give a picture that shows the person's face"
    assert error.line() == line
    assert str(DreamActorError("that is all")) == "that is all"


@pytest.mark.parametrize("kind", [k for n, k in CLASSES.items() if n != "Stopped"])
def test_errors_pass_between_processes(kind: type[DreamActorError]) -> None:
    there = pickle.loads(pickle.dumps(kind("what", "do this")))
    assert type(there) is kind
    assert (there.message, there.hint, there.line()) == ("what", "do this", kind("what", "do this").line())


@pytest.mark.parametrize("code", [130, 143])
def test_a_stop_keeps_its_code(code: int) -> None:
    assert copy.copy(Stopped(code)).exit_code == code


def test_what_may_be_tried_again() -> None:
    retryable = {name for name, kind in CLASSES.items() if kind.retryable}
    assert retryable == {"ResourceExhausted", "OutOfMemory", "DiskFull", "WorkerLost", "JobTimeout"}
