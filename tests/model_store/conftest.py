"""A small model of the table, and a hub on this machine that has it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.numpy import save

from dreamactor_cli.model_store import known
from dreamactor_cli.model_store.known import KnownModel

REPO, COMMIT = "someone/small-wan", "c" * 40


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A model of two parts, which the table knows as ``small``."""
    model = KnownModel(name="small", repo=REPO, size=4000, parts=("model_index.json", "transformer", "vae"), use="tests")
    monkeypatch.setitem(known.KNOWN, "small", model)
    return model


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder that holds it, and other things that are not wanted."""
    import numpy as np

    folder = tmp_path / "source"
    files = {
        "model_index.json": b"{}\n",
        "transformer/config.json": b'{"layers": 1}',
        "transformer/one.safetensors": save({"a": np.arange(300_000, dtype=np.float32)}),
        "transformer/two.safetensors": save({"b": np.arange(500, dtype=np.float32)}),
        "vae/config.json": b"{}",
        "vae/model.safetensors": save({"c": np.ones(100, np.float16)}),
        "vae/pytorch_model.bin": b"\x80\x04 a pickle",
        "README.md": b"# small\n",
        "text_encoder/model.safetensors": save({"d": np.ones(9, np.float16)}),
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


WANTED = {
    "model_index.json", "transformer/config.json", "transformer/one.safetensors", "transformer/two.safetensors",
    "vae/config.json", "vae/model.safetensors",
}  # fmt: skip


class Hub:
    """What the hub's client asks for, from a folder.

    Attributes:
        asked: names of the files whose bytes were asked for.
        harmed: files whose bytes arrive changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.harmed: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def info(self) -> dict[str, object]:
        """The repository as the hub's interface tells of it."""
        siblings = []
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            data, name = path.read_bytes(), path.relative_to(self.folder).as_posix()
            one: dict[str, object] = {"rfilename": name, "size": len(data)}
            one["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if path.suffix == ".safetensors":
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
            siblings.append(one)
        return {"_id": "1", "id": REPO, "sha": COMMIT, "siblings": siblings, "tags": [], "downloads": 0, "private": False}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self, body=True)

            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.partition("?")[0]
        if path == f"/api/models/{REPO}/revision/main":
            self._send(request, 200, json.dumps(self.info()).encode(), {"Content-Type": "application/json"}, body)
            return
        name = path.removeprefix(f"/{REPO}/resolve/{COMMIT}/")
        file = self.folder / name
        if name == path or not file.is_file():
            headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not found"}
            self._send(request, 404, b"{}", headers, body)
            return
        data = file.read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        if not body:
            self._send(request, 200, data, headers, body)
            return
        self.asked.append(name)
        if name in self.harmed:
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._send(request, 200, data, headers, body)

    def _send(self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(data)


@pytest.fixture
def hub(source: Path) -> Iterator[Hub]:
    """A hub that has the model."""
    made = Hub(source)
    yield made
    made.server.shutdown()
    made.server.server_close()
