import errno
import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sprig.data import cache as cache_module
from sprig.data.cache import entry, name_of
from sprig.data.config import DataConfig
from sprig.trace.records import Funnel


def make(folder: Path) -> None:
    (folder / "data").write_bytes(b"x" * 1000)


def contents(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def test_what_was_made_once_is_there(tmp_path):
    folder, was_there = entry(tmp_path / "cache", "a", make)
    assert (folder / "data").read_bytes() == b"x" * 1000 and not was_there
    assert entry(tmp_path / "cache", "a", lambda _: pytest.fail("made again")) == (folder, True)


@pytest.mark.parametrize("damage", [b"", b"x" * 999, b"y" * 1000, None])
def test_what_was_damaged_is_made_anew(damage, tmp_path):
    folder, _ = entry(tmp_path, "a", make)
    if damage is None:
        (folder / "data").unlink()
    else:
        (folder / "data").write_bytes(damage)
    assert entry(tmp_path, "a", make) == (folder, False)
    assert (folder / "data").read_bytes() == b"x" * 1000


@pytest.mark.parametrize("manifest", ["", "[]", "{}", "null", '{"data": 1000}', "[" * 100_000, '{"gone": [1, ""]}'])
def test_a_damaged_manifest_vouches_for_nothing(manifest, tmp_path):
    folder, _ = entry(tmp_path, "a", make)
    (folder / "manifest.json").write_text(manifest)
    assert entry(tmp_path, "a", make) == (folder, False)


@pytest.mark.parametrize("place", ["file", "link"])
def test_what_stands_in_the_place_of_the_data_is_removed(place, tmp_path):
    if place == "file":
        (tmp_path / "a").write_text("x")
    else:
        (tmp_path / "a").symlink_to("nowhere")
    folder, _ = entry(tmp_path, "a", make)
    assert (folder / "data").exists() and not folder.is_symlink()


def test_a_place_that_is_a_file_is_refused_with_the_setting_to_change(tmp_path):
    (tmp_path / "cache").write_text("x")
    with pytest.raises(ValueError, match=r"cache_dir=.* cannot be written to"):
        entry(tmp_path / "cache", "a", make)


def test_folders_that_are_not_ours_are_left_alone(tmp_path):
    for name in (".git", ".making", "making-x"):
        (tmp_path / name).mkdir()
    (tmp_path / ".making-link").symlink_to(".git")
    (tmp_path / ".making-file").touch()
    entry(tmp_path, "a", make)
    assert len(contents(tmp_path)) == 6


def test_what_fails_leaves_nothing_behind(tmp_path):
    def fails(folder: Path) -> None:
        make(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        entry(tmp_path, "a", fails)
    assert contents(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "x"), OSError(errno.EDQUOT, "x"), OSError("100000 requested and 8176 written")],
)
def test_a_full_disk_is_told_in_two_lines(error, tmp_path):
    def full(folder: Path) -> None:
        raise error

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


def test_what_a_living_process_works_on_is_kept_where_its_number_is_not_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1 << 30)  # as in another container of the same name

    def nested(folder: Path) -> None:
        entry(tmp_path, "b", make)
        make(folder)

    assert entry(tmp_path, "a", nested)[0] == tmp_path / "a"


def test_a_folder_that_was_taken_for_an_abandoned_one_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    really, opened = cache_module._opened, []

    def taken(folder: Path) -> int:
        opened.append(folder)
        if len(opened) == 1:
            cache_module._remove_abandoned(tmp_path)
        return really(folder)

    monkeypatch.setattr(cache_module, "_opened", taken)
    assert entry(tmp_path, "a", make)[1] is False
    assert len(opened) == 3 and contents(tmp_path) == ["a"]  # by ourselves, by the other process, and once more


@pytest.mark.parametrize(("module", "call"), [(os, "mkdir"), (fcntl, "flock")])
def test_an_interrupt_while_a_folder_is_set_up_leaves_none(tmp_path, monkeypatch, module, call):
    really = getattr(module, call)

    def interrupted(*arguments: Any, **options: Any) -> None:
        really(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        entry(tmp_path, "a", make)
    assert contents(tmp_path) == []


def test_a_name_says_settings_and_state_and_not_how_rows_are_made():
    plain = name_of(DataConfig(), ["x"])
    assert name_of(DataConfig(seq_len=9, batch_size=3, layout="packed", document_mask=True), ["x"]) == plain
    assert name_of(DataConfig(seed=1), ["x"]) != plain != name_of(DataConfig(), ["y"])
    assert len({plain, name_of(DataConfig(), ["x"], "one"), name_of(DataConfig(), ["x"], "another")}) == 3
    assert name_of(DataConfig(fim_rate=0.5), ["x"]) == name_of(DataConfig(fim_rate=0.9), ["x"]) != plain


def test_a_name_says_in_which_order_filters_are_tried():
    order = {"max_lines": 9, "min_lines": 2}
    assert name_of(DataConfig(filters=order), []) != name_of(DataConfig(filters=dict(reversed(order.items()))), [])


def test_a_name_says_which_python_parsed_the_files(monkeypatch):
    mine = name_of(DataConfig(), [])
    monkeypatch.setattr("sprig.data.cache.python_version", lambda: "3.99.0", raising=False)
    assert name_of(DataConfig(), []) != mine


def test_a_name_says_of_what_form_the_funnel_is_that_is_kept(monkeypatch):
    @dataclass
    class Wider(Funnel):
        more: int = 0

    mine = name_of(DataConfig(), [])
    monkeypatch.setattr("sprig.data.cache.Funnel", Wider, raising=False)
    assert name_of(DataConfig(), []) != mine


def test_what_another_process_makes_in_the_meantime_is_kept(tmp_path, monkeypatch):
    def comes(cache: Path) -> None:
        monkeypatch.setattr("sprig.data.cache._remove_abandoned", lambda _: None)
        entry(cache, "a", make)
        (cache / "a" / "first").touch()  # no part of what the manifest says

    monkeypatch.setattr("sprig.data.cache._remove_abandoned", comes)
    folder, _ = entry(tmp_path, "a", make)
    assert (folder / "first").exists()


def test_a_file_of_the_sources_that_cannot_be_read_is_not_blamed_on_the_cache(tmp_path):
    def fails(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/code/secret.py")

    with pytest.raises(PermissionError, match=r"secret\.py"):
        entry(tmp_path, "a", fails)


def test_a_tokenizer_that_is_given_leaves_the_size_of_a_vocabulary_no_say():
    few, many = DataConfig(vocab_size=300), DataConfig(vocab_size=400)
    assert name_of(few, [], "given") == name_of(many, [], "given")
    assert name_of(few, []) != name_of(many, [])
