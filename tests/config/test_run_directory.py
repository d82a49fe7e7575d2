"""Runs keep out of each other's directories."""

import pytest
from omegaconf import OmegaConf

from sprig.config import run_directory
from sprig.config.run_directory import Occupied, check_output, claimed


def test_two_processes_do_not_train_in_one_directory(tmp_path):
    with claimed(tmp_path), pytest.raises(Occupied, match="by another process"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_a_directory_that_holds_a_run_is_not_written_over(tmp_path):
    (tmp_path / "trace.json").write_text("{}")
    with pytest.raises(Occupied, match=r"already holds a run"):
        check_output(tmp_path)


def test_runs_that_start_in_one_second_get_directories_of_their_own(tmp_path):
    run_directory.register()
    named = [OmegaConf.create({"dir": f"${{new_directory:{tmp_path}/a/12-00-00}}"}) for _ in range(3)]
    found = [config.dir for config in named]
    assert found == [f"{tmp_path}/a/12-00-00", f"{tmp_path}/a/12-00-00-2", f"{tmp_path}/a/12-00-00-3"]
    assert [config.dir for config in named] == found  # asked again, a run has the one it has


def test_where_no_directory_can_be_made_hydra_gets_to_say_it(tmp_path):
    (tmp_path / "file").touch()
    assert OmegaConf.create({"dir": f"${{new_directory:{tmp_path}/file/run}}"}).dir == f"{tmp_path}/file/run"
