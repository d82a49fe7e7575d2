"""Sprig grows a small code model from your own code: raw source in, a trained transformer and its code out."""

__version__ = "0.1.0"
