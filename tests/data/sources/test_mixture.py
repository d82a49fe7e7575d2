"""The source `mixture` interleaves others by weight and keeps their groups apart."""

import json
import os
import subprocess
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from sprig.data import sources
from sprig.data.config import from_plain
from sprig.data.documents import Document, Skips
from sprig.data.sources.mixture import Config, documents, state


def table(path: Path, count: int, size: int = 100) -> dict[str, Any]:
    """A part with count documents of size bytes each."""
    path.write_text("".join(json.dumps({"content": f"{number:06}".ljust(size, "x")}) + "\n" for number in range(count)))
    return {"source": "jsonl", "path": str(path)}


def read(*parts: Any, **settings: Any) -> tuple[list[Document], Skips]:
    skips = Skips()
    return list(documents(Config(parts=list(parts), **settings), skips)), skips


def shares(found: list[Document]) -> dict[str, int]:
    """Bytes of each part."""
    sums: dict[str, int] = {}
    for document in found:
        label = document.group.partition("/")[0]
        sums[label] = sums.get(label, 0) + len(document.text.encode())
    return sums


def test_bytes_are_in_proportion_to_the_weights_at_any_time_whatever_the_sizes(tmp_path: Path) -> None:
    small = {**table(tmp_path / "a.jsonl", 5000, size=50), "weight": 3}
    large = {**table(tmp_path / "b.jsonl", 5000, size=700), "weight": 1.5}
    found = list(islice(documents(Config(parts=[small, large], max_bytes=10**9), Skips()), 3000))
    for taken in range(100, 3000, 100):
        sums = shares(found[:taken])
        assert abs(sums["jsonl-1"] / 3 - sums["jsonl-2"] / 1.5) <= 700 / 1.5 + 1e-6
    assert [document.text for document in found] != sorted(document.text for document in found)


def test_each_part_comes_whole_and_in_its_own_order_and_nothing_twice(tmp_path: Path) -> None:
    found, skips = read(table(tmp_path / "a.jsonl", 30), table(tmp_path / "b.jsonl", 300))
    for label, name, count in (("jsonl-1", "a", 30), ("jsonl-2", "b", 300)):
        groups = [document.group for document in found if document.group.startswith(label)]
        assert groups == [f"{label}/{name}.jsonl:{number}" for number in range(1, count + 1)]
    assert len(found) == 330
    assert {document.group.partition("/")[0] for document in found[60:]} == {"jsonl-2"}
    assert skips == Skips()


def test_a_cap_takes_the_first_documents_of_a_part(tmp_path: Path) -> None:
    found, _ = read({**table(tmp_path / "a.jsonl", 30), "cap": 7}, table(tmp_path / "b.jsonl", 30))
    mine = [document.path for document in found if document.group.startswith("jsonl-1/")]
    assert mine == [f"a.jsonl:{number}" for number in range(1, 8)]
    assert len(found) == 37


def test_the_seed_decides_which_part_begins_and_nothing_else_does(tmp_path: Path) -> None:
    parts = [table(tmp_path / f"{name}.jsonl", 5) for name in "abc"]
    orders = {seed: [document.group for document in read(*parts, seed=seed)[0]] for seed in range(10)}
    assert orders[3] == [document.group for document in read(*parts, seed=3)[0]]
    assert {order[0][:7] for order in orders.values()} == {"jsonl-1", "jsonl-2", "jsonl-3"}
    assert len({frozenset(order) for order in orders.values()}) == 1


def test_a_limit_in_bytes_lets_the_weights_decide_how_much_is_taken(tmp_path: Path) -> None:
    few, many = table(tmp_path / "a.jsonl", 1000), table(tmp_path / "b.jsonl", 9000)
    found, skips = read({**few, "weight": 3}, many, max_bytes=100_050)
    assert shares(found) == {"jsonl-1": 75_000, "jsonl-2": 25_000}
    assert skips.counts == {"rest of a part, beyond its share or cap": 2}


def test_where_weights_are_stated_the_mixture_ends_with_the_part_that_has_no_more(tmp_path: Path) -> None:
    few, many = table(tmp_path / "a.jsonl", 10), table(tmp_path / "b.jsonl", 9000)
    found, skips = read({**few, "weight": 2}, many)
    assert shares(found)["jsonl-1"] == 1_000 and abs(shares(found)["jsonl-2"] - 500) <= 100
    rest = "rest of a part, beyond its share or cap"
    assert (skips.counts, skips.examples) == ({rest: 1}, {rest: "jsonl-2"})
    found, skips = read({**few, "weight": 2, "cap": 10}, {**many, "cap": 50})  # a cap is wished for: the other goes on
    assert shares(found) == {"jsonl-1": 1_000, "jsonl-2": 5_000}
    assert (skips.counts, skips.examples) == ({rest: 1}, {rest: "jsonl-2"})  # of the first there is no more


def test_groups_start_with_the_source_and_a_number_only_where_it_occurs_twice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1\n")
    folders = [{"source": "folder", "path": str(tmp_path / name)} for name in ("one", "two")]
    found, _ = read(folders[0], table(tmp_path / "a.jsonl", 1), folders[1])
    assert sorted(document.group for document in found) == ["folder-1/a.py", "folder-2/a.py", "jsonl/a.jsonl:1"]
    assert sorted(document.path for document in found) == ["a.jsonl:1", "a.py", "a.py"]


def test_what_each_part_leaves_out_is_counted_whoever_stops_first(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1\n")
        (tmp_path / name / "b.txt").write_text("x")
        (tmp_path / name / "c.py").write_text("x = 1\n")
    parts = [{"source": "folder", "path": str(tmp_path / name)} for name in ("one", "two")]
    _, skips = read(*parts)
    assert skips.counts == {"other file type": 2}
    assert skips.examples["other file type"] in ("folder-1/b.txt", "folder-2/b.txt")
    skips = Skips()
    found = documents(Config(parts=parts), skips)
    list(islice(found, 3))
    found.close()  # type: ignore[attr-defined]
    assert skips.counts == {"other file type": 1}


def test_a_part_with_nothing_to_read_is_an_error_even_where_others_leave_something_out(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "b.txt").write_text("x")
    (tmp_path / "two").mkdir()
    parts = [{"source": "folder", "path": str(tmp_path / name)} for name in ("one", "two")]
    for seed in range(4):
        with pytest.raises(ValueError, match=r"^data\.parts, part 2: data\.path=.*two: there is no file in it"):
            read(*parts, seed=seed)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    bad = tmp_path / "z.jsonl"
    bad.write_text("".join(json.dumps({"content": "x" * 1000}) + "\n" for _ in range(3)) + "oops\n" * 5000)
    part = {"source": "jsonl", "path": str(bad)}
    found = documents(Config(parts=[part, table(tmp_path / "a.jsonl", 5, size=1000)]), Skips())
    assert len(list(islice(found, 6))) == 6
    with pytest.raises(ValueError, match=r"^data\.parts, part 1: data\.path=.* lines are broken"):
        list(found)


REFUSED = [
    ([], "data=mixture needs its parts"),
    ([7], "data.parts, part 1: a part is a mapping with a source in it"),
    ([{"weight": 1}], "data.parts, part 1: a part is a mapping with a source in it"),
    (
        [{"source": "stdlib"}, {"source": "mixture", "parts": []}],
        "data.parts, part 2: a mixture is no part of a mixture",
    ),
    ([{"source": "snippets"}], "data.parts, part 1: snippets are drawn one function at a time"),
    ([{"source": "stdlibs"}], "data.parts, part 1: data.source='stdlibs' is no source."),
    (
        [{"source": "stdlib"}, {"source": "packages", "includes": []}],
        "data.parts, part 2: data.includes is no setting",
    ),
    ([{"source": "packages", "include": "click"}], "data.parts, part 1: data.include='click' is of the wrong type."),
    ([{"source": "stdlib", "weight": 0}], "data.parts, part 1: weight=0 must be a number above 0."),
    ([{"source": "stdlib", "weight": float("nan")}], "data.parts, part 1: weight=nan must be"),
    ([{"source": "stdlib", "weight": True}], "data.parts, part 1: weight=True must be"),
    ([{"source": "stdlib", "weight": "2"}], "data.parts, part 1: weight='2' must be"),
    ([{"source": "stdlib", "cap": 0}], "data.parts, part 1: cap=0 must be a whole number of documents"),
    ([{"source": "stdlib", "cap": 1.5}], "data.parts, part 1: cap=1.5 must be"),
    ([{"source": "stdlib", "limit": 5}], "data.parts, part 1: limit is a setting of the whole mixture"),
    ([{"source": "stdlib", "seed": 5}], "data.parts, part 1: seed is a setting of the whole mixture"),
    ([{"source": "packages", "include": ["clik"]}], "data.parts, part 1: data.include: no package 'clik'"),
]


@pytest.mark.parametrize(("parts", "message"), REFUSED)
def test_parts_that_cannot_be_are_an_error_of_one_line_with_their_number(parts: list[Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        list(documents(Config(parts=parts), Skips()))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_size_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.max_bytes=0 must be at least 1"):
        documents(Config(parts=[table(tmp_path / "a.jsonl", 1)], max_bytes=0), Skips())


def test_the_settings_of_all_parts_come_back_from_a_checkpoints_json() -> None:
    plain = {"source": "mixture", "parts": [{"source": "packages", "weight": 1.5, "include": ["click"]}]}
    config = from_plain(sources.load("mixture").Config, json.loads(json.dumps(plain)))
    assert len(list(islice(sources.load("mixture").documents(config, Skips()), 10))) == 10


def test_real_sources_mix() -> None:
    parts = [{"source": "stdlib", "weight": 2, "cap": 100}, {"source": "packages", "include": ["click", "rich"]}]
    found, _ = read(*parts, max_bytes=10**9)
    assert {document.group.split("/")[0] for document in found} == {"stdlib", "click", "rich"}
    assert {document.group for document in found if "click" in document.group} == {"click"}
    assert sum(document.group.startswith("stdlib/") for document in found) == 100


def test_the_state_is_that_of_all_parts(tmp_path: Path) -> None:
    config = Config(parts=[table(tmp_path / f"{name}.jsonl", 5) for name in "ab"])
    before = list(state(config))
    assert before == list(state(config))
    os.utime(tmp_path / "b.jsonl", (0, 0))
    after = list(state(config))
    assert before[:3] == after[:3]
    assert before != after


def test_a_group_with_a_name_is_one_group_in_all_parts(tmp_path: Path) -> None:
    for number in (1, 2):
        rows = [{"content": f"x = {number}{n}\n", "repo": f"team/{n}"} for n in range(3)]
        (tmp_path / f"t{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tables = [{"source": "jsonl", "path": str(tmp_path / f"t{number}.jsonl")} for number in (1, 2)]
    found, _ = read(*({**table, "group_column": "repo"} for table in tables))
    assert sorted(document.group for document in found) == [f"team/{n}" for n in (0, 0, 1, 1, 2, 2)]
    found, _ = read(*tables)
    assert len({document.group for document in found}) == 6


def test_a_repository_in_a_mixture_is_one_group_and_alone_each_file_is(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("a.py", "b.py"):
        (project / name).write_text(f"x = {name!r}\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(project), *command], check=True)
    part = {"source": "git", "paths": [str(project)]}
    mixed = [document for document in read(part, table(tmp_path / "a.jsonl", 3))[0] if document.path.endswith(".py")]
    assert [(document.path, document.group) for document in mixed] == [("a.py", "project"), ("b.py", "project")]
    assert [document.group for document in read(part)[0]] == ["a.py", "b.py"]
