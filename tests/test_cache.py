import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

from dreamactor_cli.cache import Cache
from dreamactor_cli.errors import DiskFull, UsageError

DAY = 24 * 3600


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def key_of(number: int) -> str:
    return f"{number:064x}"


def write(data: bytes):
    def to(path: Path) -> None:
        path.write_bytes(data)

    return to


def files_in(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def fresh(cache: Cache) -> Cache:
    """The cache as another process sees it: nothing is known to be whole."""
    import dreamactor_cli.cache as module

    module._checked.clear()
    return Cache(cache.root)


def test_put_then_get(cache: Cache) -> None:
    assert cache.get(key_of(1)) is None
    path = cache.put(key_of(1), write(b"signal"))
    assert path.read_bytes() == b"signal"
    assert cache.get(key_of(1)) == path
    assert fresh(cache).get(key_of(1)) == path
    assert cache.get(key_of(2)) is None
    assert path.parent.name == key_of(1)[:2]
    assert path.suffix == ".safetensors"


def test_root_comes_from_argument_then_environment_then_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DREAMACTOR_CACHE", str(tmp_path / "env"))
    assert Cache().root == tmp_path / "env"
    assert Cache(tmp_path / "own").root == tmp_path / "own"
    monkeypatch.delenv("DREAMACTOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache().root == tmp_path / "xdg" / "dreamactor"
    assert not (tmp_path / "xdg").exists()  # asking makes nothing


def test_key_depends_on_everything_that_it_is_told_and_not_on_order() -> None:
    base = {
        "input_sha256": "a" * 64, "window": "0..end", "fps": Fraction(25), "extractor": "face", "version": "1",
        "parameters": {"refine": True, "size": 192}, "weights_sha256": "",
    }  # fmt: skip
    key = Cache.signal_key(**base)
    assert len(key) == 64
    assert Cache.signal_key(**(base | {"parameters": {"size": 192, "refine": True}})) == key
    others = {
        "input_sha256": "b" * 64, "window": "1..end", "fps": Fraction(30000, 1001), "extractor": "head", "version": "2",
        "parameters": {"refine": True, "size": 193}, "weights_sha256": "c" * 64,
    }  # fmt: skip
    changed = {Cache.signal_key(**(base | {name: value})) for name, value in others.items()}
    assert len(changed | {key}) == len(others) + 1


def test_key_refuses_what_has_no_one_spelling() -> None:
    with pytest.raises(TypeError):
        Cache.signal_key(input_sha256="", window="", fps=Fraction(1), extractor="", version="", parameters={"path": Path("x")})


@pytest.mark.parametrize("damage", [b"signaX", b"sig", b"", b"signal and more"])
def test_damaged_entry_is_removed_reported_and_made_again(cache: Cache, damage: bytes) -> None:
    path = cache.put(key_of(1), write(b"signal"))
    path.write_bytes(damage)
    reader = fresh(cache)
    assert reader.get(key_of(1)) is None
    assert reader.damaged == [key_of(1)]
    assert not path.exists()
    again = reader.put(key_of(1), write(b"signal"))
    assert fresh(cache).get(key_of(1)) == again
    assert reader.get(key_of(1)) == again


def test_checksum_is_computed_once_a_process(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(key_of(1), write(b"signal"))
    reader = fresh(cache)
    reader.get(key_of(1))
    monkeypatch.setattr("dreamactor_cli.cache._sha256", lambda path: pytest.fail("computed again"))
    assert reader.get(key_of(1)) is not None
    assert Cache(cache.root).get(key_of(1)) is not None


def test_failed_write_leaves_nothing(cache: Cache) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        cache.put(key_of(1), fail)
    assert files_in(cache.root) == []
    assert cache.get(key_of(1)) is None


def test_interrupted_write_leaves_nothing(cache: Cache) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from dreamactor_cli.cache import Cache\n"
        "def write(path):\n"
        "    path.write_bytes(b'half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "Cache(pathlib.Path(sys.argv[1])).put('0' * 64, write)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(cache.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    assert files_in(cache.root) == []


def test_killed_write_is_no_entry_and_goes_after_a_day(cache: Cache) -> None:
    cache.put(key_of(1), write(b"signal"))
    left = cache.root / "00" / f".{key_of(2)}.otherhost.77.0123456789ab.tmp"
    left.write_bytes(b"half")
    assert cache.get(key_of(2)) is None
    assert cache.info().entries == 1
    cache.gc(10**9)
    assert left.exists()
    age(left, DAY + 10)
    assert cache.gc(10**9) == 4
    assert not left.exists()
    assert cache.get(key_of(1)) is not None


def _put_many(root: str, start: object, name: str, results: object) -> None:
    cache = Cache(Path(root))
    start.wait()
    for number in range(12):
        data = b"%d" % number * 20000
        cache.put(key_of(number), write(data))
        found = cache.get(key_of(number))
        results.put((name, number, found is not None and found.read_bytes() == data, len(cache.damaged)))


def test_processes_put_the_same_keys_at_once(cache: Cache) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    processes = [context.Process(target=_put_many, args=(str(cache.root), start, str(n), results)) for n in range(4)]
    for process in processes:
        process.start()
    start.set()
    outcomes = [results.get(timeout=60) for _ in range(4 * 12)]
    for process in processes:
        process.join(30)
    assert [outcome for outcome in outcomes if outcome[2:] != (True, 0)] == []
    assert cache.info().entries == 12
    assert len(files_in(cache.root)) == 12
    assert fresh(cache).verify() == []


def test_gc_removes_the_least_recently_used_first(cache: Cache) -> None:
    paths = [cache.put(key_of(number), write(b"x" * 100)) for number in range(5)]
    for number, path in enumerate(paths):
        age(path, 1000 - number)  # 0 is the oldest
    assert cache.get(key_of(0)) is not None  # reading touches: now 0 is the newest
    age(paths[0], 500)
    assert cache.gc(300) == 200
    assert [path.exists() for path in paths] == [True, False, False, True, True]
    assert cache.gc(300) == 0
    assert cache.gc(0) == 300
    assert cache.info().entries == 0


def test_reading_touches(cache: Cache) -> None:
    path = cache.put(key_of(1), write(b"signal"))
    age(path, 3 * DAY)
    cache.get(key_of(1))
    assert time.time() - path.stat().st_mtime < 60


def test_gc_leaves_young_entries(cache: Cache) -> None:
    old = cache.put(key_of(1), write(b"x" * 100))
    young = cache.put(key_of(2), write(b"x" * 100))
    age(old, 61)
    age(young, 50)
    assert cache.gc(0) == 100
    assert young.exists()


def test_an_open_entry_outlives_gc(cache: Cache) -> None:
    path = cache.put(key_of(1), write(b"signal"))
    with path.open("rb") as reader:
        age(path, 100)
        cache.gc(0)
        assert reader.read() == b"signal"


def test_scratch_goes_on_exit_and_on_error(cache: Cache) -> None:
    with cache.scratch() as one, cache.scratch() as two:
        assert one != two
        assert one.is_relative_to(cache.root)
        (one / "deep").mkdir()
        (one / "deep" / "part").write_bytes(b"x")
    assert not one.exists()
    with pytest.raises(RuntimeError), cache.scratch() as three:
        raise RuntimeError
    assert not three.exists()


def test_gc_removes_abandoned_scratch_only(cache: Cache) -> None:
    with cache.scratch() as mine:
        (mine / "part").write_bytes(b"x" * 10)
        age(mine / "part", 2 * DAY)
        age(mine, 2 * DAY)
        other = cache.root / "scratch" / "otherhost.1.0123456789ab"
        recent = cache.root / "scratch" / "otherhost.2.0123456789ab"
        foreign = cache.root / "scratch" / "notes"
        for folder in (other, recent, foreign):
            folder.mkdir()
            (folder / "part").write_bytes(b"x" * 10)
            age(folder, 2 * DAY)
        age(other / "part", 2 * DAY)
        assert cache.gc(10**9) == 10
        assert [path.exists() for path in (mine, other, recent, foreign)] == [True, False, True, True]


def test_clear_removes_entries_and_nothing_else(cache: Cache) -> None:
    cache.put(key_of(1), write(b"x" * 100))
    cache.put("ab" + "0" * 62, write(b"x" * 50))
    own = [cache.root / "thesis.safetensors", cache.root / "ab" / "picture.png"]
    for path in own:
        path.write_bytes(b"precious")
    with cache.scratch() as scratch:
        assert cache.clear() == 150
        assert scratch.exists()
    assert files_in(cache.root) == ["ab/picture.png", "thesis.safetensors"]
    assert cache.get(key_of(1)) is None
    assert cache.clear() == 0


def test_verify_finds_every_damaged_entry(cache: Cache) -> None:
    paths = [cache.put(key_of(number), write(b"x" * 100)) for number in range(4)]
    paths[1].write_bytes(b"y" * 100)
    paths[3].write_bytes(b"x" * 99)
    assert sorted(cache.verify()) == [key_of(1), key_of(3)]
    assert cache.verify() == []
    assert cache.info().entries == 2


def test_empty_cache(cache: Cache) -> None:
    assert cache.info().entries == cache.info().bytes == 0
    assert cache.verify() == []
    assert cache.gc(0) == 0
    assert cache.clear() == 0
    assert not cache.root.exists()


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_keys_are_keys(cache: Cache, key: str) -> None:
    with pytest.raises(ValueError):
        cache.get(key)


def test_disk_full_is_said(cache: Cache) -> None:
    def full(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskFull, match="no space"):
        cache.put(key_of(1), full)
    assert files_in(cache.root) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError):
        Cache(tmp_path / "file" / "cache").put(key_of(1), write(b"x"))
    assert Cache(tmp_path / "file").get(key_of(1)) is None


def test_moved_cache_still_works(cache: Cache, tmp_path: Path) -> None:
    cache.put(key_of(1), write(b"signal"))
    shutil.move(cache.root, tmp_path / "elsewhere")
    found = Cache(tmp_path / "elsewhere").get(key_of(1))
    assert found is not None
    assert found.read_bytes() == b"signal"


def test_what_the_dead_left_is_swept_and_the_work_of_the_living_stays(cache: Cache) -> None:
    from dreamactor_cli.atomic import unique_suffix

    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    host = unique_suffix().partition(".")[0]
    dead, living = f"{host}.{process.pid}.0123456789ab", unique_suffix()
    shard = cache.root / "ab"
    shard.mkdir(parents=True)
    for owner in (dead, living):
        (shard / f".{'ab' * 32}.{owner}.tmp").write_bytes(b"half")
        (cache.root / "scratch" / owner).mkdir(parents=True)
        (cache.root / "scratch" / owner / "chunk.safetensors").write_bytes(b"part")
    assert cache.sweep() == 8
    assert [path.name for path in shard.iterdir()] == [f".{'ab' * 32}.{living}.tmp"]
    assert [path.name for path in (cache.root / "scratch").iterdir()] == [living]
