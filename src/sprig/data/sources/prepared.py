"""The source `prepared`: what `prepare.py` has made, here or on another machine; nothing is read or cleaned anew.

Where it stands: it has the first half of the way data takes behind it. Its split, its vocabulary and its tokens are
taken as they are (`sprig.data.prepared_folder`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from sprig.data.config import ROW_SETTINGS, DataConfig
from sprig.data.documents import Document, Skips


@dataclass
class Config(DataConfig):
    """Where it is. Settings of rows are free; the others had their say when the data was prepared."""

    source: str = "prepared"
    path: str = ""
    """The folder that prepare.py names, or its address in an object store: s3://bucket/folder, gs://..., https://..."""

    def check(self) -> None:
        """ValueError for a setting that comes too late."""
        if not self.path:
            raise ValueError("data=prepared needs the folder that prepare.py names: data.path=...")
        for field in fields(DataConfig):
            given, usual = getattr(self, field.name), getattr(Config(), field.name)
            if given != usual and field.name not in (*ROW_SETTINGS, "fim_rate", "seed"):
                raise ValueError(
                    f"data.{field.name}={given} comes too late: {self.path} is prepared already. "
                    f"Leave it out, or prepare the data anew."
                )


def documents(config: Config, skips: Skips) -> Iterator[Document]:
    """ValueError: prepared data is trained on, and is no source of documents for something else."""
    raise ValueError("data=prepared is for train.py alone: name the source that it was made of.")


def state(config: Config) -> Iterator[str]:
    """The place."""
    yield config.path
