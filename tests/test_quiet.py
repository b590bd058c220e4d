"""The terminal is given back, however many threads put it aside."""

from __future__ import annotations

import os
import threading
import time

import pytest

from dreamactor_cli.quiet import quiet_stderr, terminal


def test_threads_that_overlap_give_the_terminal_back() -> None:
    before = os.fstat(2)

    def chatter(wait: float) -> None:
        time.sleep(wait)
        with quiet_stderr():
            time.sleep(0.05)

    threads = [threading.Thread(target=chatter, args=(0.02 * k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = os.fstat(2)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)


def test_a_section_within_another_does_not_wait_for_itself() -> None:
    inside = False
    with quiet_stderr(), quiet_stderr():
        inside = True
    assert inside


def test_a_message_waits_until_the_terminal_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    aside = threading.Event()

    def chatter() -> None:
        with quiet_stderr():
            os.write(2, b"chatter\n")
            aside.set()
            time.sleep(0.1)

    thread = threading.Thread(target=chatter)
    thread.start()
    aside.wait()
    with terminal():
        os.write(2, b"message\n")
    thread.join()
    assert capfd.readouterr().err == "message\n"
