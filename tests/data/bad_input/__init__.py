"""Malformed inputs among good ones, by source, for `test_bad_input`: what makes them, and what should become of each.

A module of each source has ROWS. A builder makes an input in a folder and returns the source's settings. Good documents
stand around what is bad, so that the run goes on where it should: the files of `FEW`, or the rows of `MANY` where the
source is a table.
"""
