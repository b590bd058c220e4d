"""report.html: what it holds, that it holds nothing else, and that a browser shows it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from dreamactor_cli.report import write_report
from dreamactor_cli.report.pictures import LEVELS, level_of
from dreamactor_cli.report.timeline import duration
from tests.report.conftest import BEGAN

Line = Callable[..., dict[str, Any]]
Folder = Callable[..., Path]
Video = Callable[[str], Path]

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """Elements of a page, with the text inside each.

    Attributes:
        found: name, attributes and own text, in the order of the page.
        unclosed: elements that were opened and not closed, or closed and not opened.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.unclosed: list[str] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.unclosed += [name for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text: list[str] = []
        self.found.append((tag, {name: value or "" for name, value in attrs}, text))
        if tag not in VOID:
            self._open.append((tag, text))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()
        else:
            self.unclosed.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        for _, text in self._open:
            text.append(data)

    def all(self, tag: str, **wanted: str) -> list[tuple[dict[str, str], str]]:
        """Attributes and text of elements; ``class_`` must be among the classes."""
        class_ = wanted.pop("class_", "")
        return [
            (attributes, "".join(text))
            for name, attributes, text in self.found
            if name == tag
            and (not class_ or class_ in attributes.get("class", "").split())
            and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def _page(folder: Path) -> Page:
    write_report(folder)
    return Page((folder / "report.html").read_text("utf-8"))


def _cards(page: Page) -> list[tuple[dict[str, str], str]]:
    return page.all("details", class_="job")


def test_it_tells_what_became_of_each_job(line: Line, folder: Folder, video: Video) -> None:
    video("good")
    gate = {"gate": "identity-drift", "passed": False, "value": 0.6, "limit": 0.45, "unit": "", "message": "another face"}
    lines = [line("good"), line("odd", quality=[gate]), line("bad", code="no-person", frames=0), line("kept", status="skipped")]
    run = {"plan": {"jobs": 5, "cached": 3}, "started": BEGAN, "ended": BEGAN + 3725, "ending": "failed", "version": "9.9"}
    page = _page(folder(lines, run))
    assert page.unclosed == []
    cards = {attributes["data-id"]: (attributes["data-mark"], text) for attributes, text in _cards(page)}
    assert {name: mark for name, (mark, _) in cards.items()} == {
        "good": "done", "odd": "warned", "bad": "failed", "kept": "skipped"
    }  # fmt: skip
    assert "no-person of bad; mend it" in cards["bad"][1]
    assert "another face" in cards["odd"][1]
    assert "render 3.5 s" in cards["good"][1]
    assert "no longer there" in cards["odd"][1]
    assert "no longer there" not in cards["good"][1]
    text = " ".join(text for _, text in page.all("main"))
    for said in ("1:02:05 h", "finished with failures", "3 inputs were there"):
        assert said in " ".join([text, *(t for _, t in page.all("header"))])
    needs = page.all("ul", class_="groups")[0][1]
    assert "Trying again will not help" in needs
    assert "look at them before they are used" in needs
    [link] = [attributes["href"] for attributes, text in page.all("a") if text == "good.mp4"]
    assert (folder([]) / unquote(link)).is_file()


def test_a_name_is_never_markup(line: Line, folder: Folder) -> None:
    job = line(EVIL, code="input", warnings=[EVIL], worker=EVIL, driving=f"/data/{EVIL}", references=[EVIL], sha256=EVIL)
    job["error"]["message"] = EVIL
    job["quality"] = [{"gate": EVIL, "message": EVIL, "passed": False, "value": 1, "limit": 0, "unit": EVIL}]
    page = _page(folder([job], {"command": [EVIL], "version": EVIL, "ending": EVIL, "started": BEGAN}))
    assert page.unclosed == []
    assert len(page.all("script")) == 1
    assert "alert(1)" not in page.all("script")[0][1]
    assert [attributes for attributes, _ in page.all("img") if not attributes["src"].startswith("data:image/webp;base64,")] == []
    assert not any(name.startswith("on") for _, attributes, _ in page.found for name in attributes)
    assert _cards(page)[0][0]["data-id"] == EVIL
    assert page.all("h3") == [({}, EVIL)]


def test_nothing_is_loaded_and_only_its_own_code_runs(line: Line, folder: Folder, video: Video) -> None:
    video("a")
    page = _page(folder([line("a")]))
    [policy] = [a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules["default-src"], rules["img-src"], rules["base-uri"]) == ("'none'", "data:", "'none'")
    for tag in ("style", "script"):
        [(attributes, text)] = page.all(tag)
        assert attributes == {}
        wanted = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{wanted}'"
    for tag, attributes, _ in page.found:
        assert "style" not in attributes
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("data:image/webp;base64,", "#", "./"))
    assert "http" not in re.sub(r"http-equiv", "", (folder([]) / "report.html").read_text("utf-8"))


def test_frames_of_the_output_are_shown(line: Line, folder: Folder, video: Video, tmp_path: Path) -> None:
    video("a")
    sequence = tmp_path / "frames"
    sequence.mkdir()
    for k in range(4):
        cv2.imwrite(str(sequence / f"{k:05d}.png"), np.full((40, 60, 3), 60 * k, np.uint8))
    page = _page(folder([line("a"), line("b", output=str(sequence)), line("c")]))
    strips = [attributes for attributes, _ in page.all("img", class_="strip")]
    assert len(strips) == 2
    assert len(page.all("img", class_="face")) == 3
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(s["src"].partition(",")[2]), np.uint8), -1) for s in strips]
    assert pictures[0].shape[:2] == (132, 8 * 132 + 7 * 2)
    assert pictures[1].shape[:2] == (40, 4 * 60 + 3 * 2)
    levels = [pictures[1][20, 30 + 62 * k, 0] for k in range(4)]
    assert np.abs(np.array(levels, int) - [0, 60, 120, 180]).max() < 6
    first, last = pictures[0][:, :132, :3], pictures[0][:, -132:, :3]
    assert np.abs(first.astype(int) - last).mean() > 2


def test_a_dubbed_video_shows_its_first_frame(line: Line, folder: Folder, video: Video) -> None:
    spoken = video("spoken")
    page = _page(folder([line("a", kind="lipsync", references=[str(spoken)], driving=None, audio="/data/voice.wav")]))
    assert len(page.all("img", class_="face")) == 1
    assert "spoken.mp4 ← voice.wav" in page.all("p", class_="from")[0][1]


def test_pictures_are_taken_from_the_last_report(line: Line, folder: Folder, video: Video) -> None:
    path = video("a")
    place = folder([line("a")])
    before = _page(place).all("img", class_="strip")
    path.write_bytes(b"gone")
    assert _page(place).all("img", class_="strip") == before
    changed = _page(folder([line("a", sha256="0" * 64)]))
    assert changed.all("img", class_="strip") == []


def test_a_large_run_gives_a_small_page(line: Line, folder: Folder, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = video("a")
    lines = [line(f"job {k}", output=str(shown), sha256="1" * 64) for k in range(300)]
    _page(folder(lines))
    size = (folder([]) / "report.html").stat().st_size
    assert size / 300 < 30_000
    assert level_of(300) == LEVELS[1][1]
    assert level_of(10**6) is None


def test_what_takes_too_long_is_left_out(line: Line, folder: Folder, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    from dreamactor_cli.report import page as page_module

    video("a")
    monkeypatch.setattr(page_module, "SECONDS_STOPPED", 0.0)
    page = _page(folder([line("a")], {"ending": "stopped", "started": BEGAN}))
    assert page.all("img") == []
    assert len(_cards(page)) == 1


def test_the_timeline_shows_the_last_run(line: Line, folder: Folder) -> None:
    lines = [
        line("old", started=BEGAN - 90_000), line("a"), line("b", worker="cpu:1", started=BEGAN + 12),
        line("c", code="timeout", started=BEGAN + 16), line("d", status="skipped", started=0),
    ]  # fmt: skip
    measured = {"path": "/data/x.mp4", "status": "ok", "started": BEGAN + 1, "seconds": 8.0, "worker": "cpu:0", "frames": 9}
    page = _page(folder(lines, {"started": BEGAN, "ended": BEGAN + 20, "inputs": [measured]}))
    [time] = page.all("svg", class_="time")
    assert "4 bars of 2 workers" in time[0]["aria-label"]
    assert "measuring x.mp4: 8 s" in time[1]
    bars = [a for a, _ in page.all("rect") if set(a.get("class", "").split()) & {"done", "failed", "input"} and "y" in a]
    assert [float(a["x"]) for a in bars] == sorted(float(a["x"]) for a in bars)
    assert all(float(a["x"]) >= 0 and float(a["x"]) + float(a["width"]) <= 1000.5 for a in bars)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (0.84, "0.8 s"), (42.4, "42 s"), (59.9, "1:00 min"), (185, "3:05 min"), (7385, "2:03:05 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_name_that_is_no_text(line: Line, folder: Folder) -> None:
    name = os.fsdecode(b"caf\xe9")
    page = _page(folder([line(name)]))
    assert page.all("h3")[0][1] == "caf?"


def test_a_folder_that_cannot_be_written_says_so(line: Line, folder: Folder) -> None:
    from dreamactor_cli.errors import UsageError

    place = folder([line("a")])
    (place / "report.html").mkdir()
    with pytest.raises(UsageError, match=r"report\.html"):
        write_report(place)
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH")
def test_a_browser_runs_it(line: Line, folder: Folder, video: Video, tmp_path: Path) -> None:
    video("a")
    lines = [line("a"), line(EVIL, code="no-person"), line("b", warnings=["odd"])]
    place = folder(lines, {"started": BEGAN, "ended": BEGAN + 20})
    write_report(place)
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
        "--enable-logging=stderr",
    ]  # fmt: skip
    url = (place / "report.html").as_uri() + "#job-1"
    done = subprocess.run(["chromium", *flags, "--dump-dom", url], capture_output=True, text=True, timeout=90)
    page = Page(done.stdout)
    assert "3 jobs" in page.all("p", id="shown")[0][1]  # the script ran: the policy lets it
    assert "hidden" not in page.all("form", class_="tools")[0][0]
    opened = [attributes["data-id"] for attributes, _ in _cards(page) if "open" in attributes]
    assert opened == [EVIL]  # by the address
    refused = [text for text in done.stderr.splitlines() if "Content Security Policy" in text or "CONSOLE" in text]
    assert refused == []
