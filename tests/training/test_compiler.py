from pathlib import Path

import pytest

from sprig.training import compiler


def test_the_compiler_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiler.sys, "platform", "linux")
    assert (compiler.missing("cpu"), compiler.missing("cuda")) == ("g++", "gcc")
    for name in ("g++", "clang"):
        (tmp_path / name).touch(mode=0o755)
    assert (compiler.missing("cpu"), compiler.missing("cuda")) == ("", "")
    monkeypatch.setattr(compiler.sysconfig, "get_path", lambda _: str(tmp_path))
    assert compiler.missing("cpu").startswith("Python.h")
    (tmp_path / "Python.h").touch()
    assert compiler.missing("cpu") == ""
    monkeypatch.setenv("CXX", "/opt/none")
    assert compiler.missing("cpu") == "/opt/none"


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    """Where PyTorch keeps what it builds."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_compiler_that_builds_what_can_be_loaded_does_not_fail(device, cache):
    assert compiler.failing(device) == ""
    assert not list(cache.iterdir())


def test_what_a_broken_compiler_says_is_why(cache, monkeypatch, tmp_path):
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert compiler.failing("cpu") == "no space left"
    broken.write_text("#!/bin/sh\nexit 3\n")
    assert compiler.failing("cpu") == f"{broken} ends with 3"
    broken.write_text("#!/bin/sh\nexit 0\n")
    assert "one.so" in compiler.failing("cpu")  # there is none to load


def test_a_place_that_takes_nothing_is_why(cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiler.tempfile, "TemporaryDirectory", full)
    assert "No space left" in compiler.failing("cpu")
