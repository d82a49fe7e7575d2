import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sprig.data.cache import entry, name_of
from sprig.data.config import DataConfig


def make(folder: Path) -> None:
    (folder / "data").write_bytes(b"x" * 1000)


def contents(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_what_was_made_once_is_there(tmp_path):
    folder, was_there = entry(tmp_path / "cache", "a", make)
    assert (folder / "data").read_bytes() == b"x" * 1000 and not was_there
    assert entry(tmp_path / "cache", "a", lambda _: pytest.fail("made again")) == (folder, True)


@pytest.mark.parametrize("damage", [b"", b"x" * 999, None])
def test_what_was_damaged_is_made_anew(damage, tmp_path):
    folder, _ = entry(tmp_path, "a", make)
    if damage is None:
        (folder / "data").unlink()
    else:
        (folder / "data").write_bytes(damage)
    assert entry(tmp_path, "a", make) == (folder, False)
    assert (folder / "data").read_bytes() == b"x" * 1000


def test_what_fails_leaves_nothing_behind(tmp_path):
    def fails(folder: Path) -> None:
        make(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        entry(tmp_path, "a", fails)
    assert contents(tmp_path) == []


def test_a_full_disk_is_told_in_two_lines(tmp_path):
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ValueError, match=r"no space left in .*\nFree some there.*cache_dir="):
        entry(tmp_path, "a", full)
    assert contents(tmp_path) == []


def test_the_first_of_several_to_be_done_is_kept_and_all_use_it(tmp_path):
    def slow(folder: Path) -> None:
        make(folder)
        meet.wait()

    from threading import Barrier

    meet = Barrier(4, timeout=30)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: entry(tmp_path, "a", slow), range(4)))
    assert {folder for folder, _ in found} == {tmp_path / "a"} and contents(tmp_path) == ["a"]
    assert entry(tmp_path, "a", make)[1]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_works_on_is_not(tmp_path):
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[2] / "src")!r})
from pathlib import Path
from sprig.data.cache import entry
def dies(folder):
    (folder / "half").write_text("x")
    os.kill(os.getpid(), 9)
entry(Path({str(tmp_path)!r}), "a", dies)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert len(contents(tmp_path)) == 1

    def nested(folder: Path) -> None:
        entry(tmp_path, "b", make)  # looks for what was left, and finds this one's folder as well
        make(folder)

    assert entry(tmp_path, "a", nested)[1] is False
    assert contents(tmp_path) == ["a", "b"]


def test_a_name_says_settings_and_state_and_not_how_rows_are_made():
    plain = name_of(DataConfig(), ["x"])
    assert name_of(DataConfig(seq_len=9, batch_size=3, layout="packed", document_mask=True), ["x"]) == plain
    assert name_of(DataConfig(seed=1), ["x"]) != plain != name_of(DataConfig(), ["y"])
    assert name_of(DataConfig(fim_rate=0.5), ["x"]) == name_of(DataConfig(fim_rate=0.9), ["x"]) != plain
