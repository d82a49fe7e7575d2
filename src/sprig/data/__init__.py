"""From raw code to rows of token ids. preparation.py walks the whole way; each step is a file of its own."""
