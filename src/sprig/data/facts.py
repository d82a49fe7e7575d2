"""What prepared data says of itself: facts.json, which stands beside the arrays.

Where it stands: `sprig.data.preparation` writes it and, in this run or in another, on this machine or on another, reads
it. Others may have made it, so it is looked at before it is used.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from sprig.data.config import fits
from sprig.trace.records import Funnel

FILE = "facts.json"
_LATER = {"examples"}  # what data has not that was prepared before, and is as good without


@dataclass(frozen=True)
class Facts:
    """What is known of prepared data besides what it is made of."""

    fingerprints: dict[str, str]
    """SHA-256 of each side's documents."""
    funnel: Funnel
    seconds: dict[str, float]
    """What collecting took, and learning the vocabulary."""
    repositories: bool
    """Whether a document is all the files of a group, with tokens between them."""

    def save(self, directory: Path) -> None:
        """Write facts.json."""
        (directory / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Facts":
        """What folder says; ValueError where that is not what is written here now."""
        try:
            plain = json.loads((folder / FILE).read_text(encoding="utf-8"))
            funnel = Funnel(**_checked(Funnel, plain["funnel"]))
            return cls(**_checked(cls, {**plain, "funnel": funnel}))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{folder} was prepared by another version of Sprig, or is damaged ({FILE} is of another form).\n"
                "Prepare the data anew, or use the version that made it."
            ) from error


def _checked(schema: type, plain: Any) -> dict[str, Any]:
    hints = get_type_hints(schema)
    if not isinstance(plain, dict) or not hints.keys() - _LATER <= plain.keys() <= hints.keys():
        raise ValueError("other fields")
    if not all(fits(value, hints[name]) for name, value in plain.items()):
        raise ValueError("fields of other types")
    return plain
