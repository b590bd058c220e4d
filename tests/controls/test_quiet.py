"""The terminal is given back, however many threads put it aside."""

from __future__ import annotations

import os
import threading
import time

from dreamactor_cli.controls.quiet import quiet_stderr


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
