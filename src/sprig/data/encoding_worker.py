"""A program of its own: encodes some documents of a store; `sprig.data.corpus` runs one on each processor.

Arguments: the store, whose folder has the tokenizer.json, and the part to write; beside the part stand the numbers of
its documents. Where it fails, it ends with status 1 and writes a line of JSON: what an OSError is made of, or null; the
error in words; and its traceback.
"""

import json
import sys
import traceback
from pathlib import Path


def main(store: Path, part: Path) -> None:
    """Write the part."""
    import numpy as np

    from sprig.data.corpus import write_part
    from sprig.data.store import Documents
    from sprig.data.tokenizer import CodeTokenizer

    numbers = np.load(part.with_suffix(f"{part.suffix}.numbers.npy"))
    write_part(part, Documents(store, numbers), CodeTokenizer.load(store.parent / "tokenizer.json"))


if __name__ == "__main__":  # run as a file: the package stands two folders above
    sys.path[0] = str(Path(__file__).parents[2])
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except BaseException as error:  # of the library's too, which are no Exception
        of_system = error.args if isinstance(error, OSError) else None
        words = f"{type(error).__name__}: {error}"[:500]
        print(json.dumps([of_system, words, traceback.format_exc()[-5000:]], default=str))
        sys.exit(1)
