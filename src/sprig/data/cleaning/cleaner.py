"""One file of a source -> the documents that are made of it, or the reason why there are none.

Where it stands: between a source, which yields whole files, and de-duplication, which needs all documents. What is
done to a file is done here and in this order: filters, licence, contamination, secrets, syntax, cutting. It depends on
the file and the settings alone, so that it can be done in any process.
"""

import symtable
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sprig.data.cleaning import licenses
from sprig.data.cleaning.contamination import Benchmarks
from sprig.data.cleaning.filters import chosen
from sprig.data.cleaning.functions import functions
from sprig.data.cleaning.secrets import redact
from sprig.data.config import DataConfig
from sprig.data.documents import Document
from sprig.data.reading import Unfit

NOT_PYTHON = "not Python 3 syntax"


@dataclass(frozen=True)
class Cleaned:
    """What a file came to."""

    documents: list[Document]
    redacted: Counter[str] = field(default_factory=Counter)
    """Secrets and personal data that were replaced, by kind."""


class Cleaner:
    """Cleans files one by one, as the settings of the data say."""

    def __init__(self, config: DataConfig) -> None:
        """ValueError for settings that name what there is not."""
        self.config = config
        self._filters = chosen(config.filters)
        self._benchmarks: Benchmarks | None = None
        if config.decontaminate:
            self._benchmarks = Benchmarks.load(
                config.decontaminate,
                config.decontaminate_ngram,
                config.decontaminate_share,
                config.decontaminate_characters,
            )

    @property
    def harmless(self) -> bool:
        """Whether no file can take long or end the process: nothing is parsed and nothing is searched."""
        chosen = self.config
        return not (self._filters or self._benchmarks or chosen.redact or chosen.syntax or chosen.unit == "function")

    def clean(self, file: Document) -> Cleaned:
        """The documents made of file; Unfit with the reason if there is none.

        Parsing may raise MemoryError, RecursionError or SystemError, or never return.
        """
        for objection, threshold in self._filters:
            reason = objection(file, threshold)
            if reason is not None:
                raise Unfit(reason)
        stated = licenses.of_header(file.text)
        license = file.license if stated is None else stated
        if self.config.redact and redact(license)[1]:
            license = ""  # it is shown and counted, and one that holds a secret is no licence that is known
        file = replace(file, license=license)
        if not licenses.allowed(file.license, self.config.licenses):
            raise Unfit(f"licence {file.license or 'unknown'}")
        if self._benchmarks is not None and self._benchmarks.overlaps(file.text):
            raise Unfit("contains a benchmark's text")
        redacted: Counter[str] = Counter()
        if self.config.redact:
            file, redacted = _redacted(file)
        return Cleaned(list(self._cut(file)), redacted)

    def _cut(self, file: Document) -> Iterator[Document]:
        """The file itself, or each of its functions."""
        python = file.language == "python"
        if self.config.unit == "function" and not file.header:
            if not python:
                raise Unfit("not Python: it has no functions to take out")
            found = False
            for name, text, header in _parsed(lambda: list(functions(file.text))):
                found = True
                yield replace(file, text=text, path=f"{file.path}:{name}", header=header)
            if not found:
                raise Unfit("file without functions")
            return
        if self.config.syntax and python:
            # It parses as well, and makes neither code of the tree, as compile does, nor objects, as ast.parse.
            _parsed(lambda: symtable.symtable(file.text, "", "exec"))
        yield file


def _redacted(file: Document) -> tuple[Document, Counter[str]]:
    """The file without secrets in its text or in what says where it comes from, which is trained on as well."""
    text, counts = redact(file.text, python=file.language == "python")
    path, in_path = redact(file.path)
    group, in_group = (path, Counter[str]()) if file.group == file.path else redact(file.group)
    return replace(file, text=text, path=path, group=group), counts + in_path + in_group


def _parsed(parse: Any) -> Any:
    try:
        return parse()
    except (SyntaxError, ValueError):  # ValueError: a NUL, a lone surrogate, an integer of 5,000 digits
        raise Unfit(NOT_PYTHON) from None
