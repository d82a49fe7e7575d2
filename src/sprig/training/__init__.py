"""From rows to trained weights: module.py is the loop's step, each other file one part of it."""
