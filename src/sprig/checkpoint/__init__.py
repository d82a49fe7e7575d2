"""Trained weights, tokenizer and facts <-> a directory on disk that is also a Hugging Face model directory.

Where it stands: training saves it, generation and evaluation load it. It is shared with strangers, so what is
read from it is data and never code: JSON within bounds, safetensors whose names and shapes are checked before
memory is taken, no pickle. Read directory.py first. states.py keeps what a run goes on from, which is not shared.
"""

from sprig.checkpoint.directory import Checkpoint, load, load_from_elsewhere, resolve, save
from sprig.checkpoint.files import write_manifest

__all__ = ["Checkpoint", "load", "load_from_elsewhere", "resolve", "save", "write_manifest"]
