"""Can the model write held-out functions from their headers? val/exact and val/runs.

exact: the greedy body is the document's own. runs: the greedy body passes its concept's test inputs, which is
what a user wants of it. Only functions of the generated snippets name a concept that can judge them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, islice, takewhile

from sprig.data.documents import Document
from sprig.data.sources.snippets import concept_of
from sprig.data.tokenizer import CodeTokenizer
from sprig.evaluation.execution import Candidate, judge
from sprig.generation.config import SamplingConfig
from sprig.generation.generator import Generator
from sprig.model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class WrittenFunction:
    """A held-out function as the model wrote it."""

    document: Document
    completion: str
    exact: bool
    runs: bool

    @property
    def header(self) -> str:
        """What the model was given."""
        return _header(self.document)


def with_headers(documents: Sequence[Document], count: int) -> list[Document]:
    """The first count documents, where a concept can judge them: all of the generated ones, and no others."""
    return list(islice(takewhile(lambda document: document.concept, documents), count))


def write_functions(
    model: Transformer, tokenizer: CodeTokenizer, documents: Sequence[Document]
) -> list[WrittenFunction]:
    """Write each document's function greedily from its header and judge it; an unfinished one is no success.

    Nor is one whose header has more tokens than the model reads.
    """
    context = model.config.max_position_embeddings
    fits = [len(tokenizer.encode(_header(document))) < context for document in documents]
    written = iter(_write(model, tokenizer, list(compress(documents, fits))))
    return [
        next(written) if fit else WrittenFunction(document, "", exact=False, runs=False)
        for document, fit in zip(documents, fits, strict=True)
    ]


def _header(document: Document) -> str:
    return document.text[: document.header]


def _write(model: Transformer, tokenizer: CodeTokenizer, documents: Sequence[Document]) -> list[WrittenFunction]:
    headers = list(map(_header, documents))
    # A model that does not stop is not waited for: no function takes twice the tokens of the longest.
    longest = max((len(tokenizer.encode(document.text)) for document in documents), default=0)
    limit = SamplingConfig(max_new_tokens=2 * longest + 1)
    written = Generator(model, tokenizer, batch_size=256).generate(headers, limit)
    candidates = []
    for document, header, result in zip(documents, headers, written, strict=True):
        concept = concept_of(document.concept)
        name = header.removeprefix("def ").partition("(")[0]
        candidates.append(Candidate(header + result.completion, name, concept.cases, concept.reference))
    return [
        WrittenFunction(
            document,
            result.completion,
            exact=header + result.completion == document.text and result.stop_reason == "end of text",
            runs=passed and result.stop_reason == "end of text",
        )
        for document, header, result, passed in zip(documents, headers, written, judge(candidates), strict=True)
    ]


def score(written: Sequence[WrittenFunction]) -> dict[str, float]:
    """The parts that are exact and that run, by metric name; nothing where nothing was written."""
    if not written:
        return {}
    return {
        "exact": sum(function.exact for function in written) / len(written),
        "runs": sum(function.runs for function in written) / len(written),
    }
