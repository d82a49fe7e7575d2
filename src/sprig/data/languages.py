"""Which language a file is in, by its name: the table that sources and filters go by."""

import posixpath

EXTENSIONS: dict[str, tuple[str, ...]] = {
    "python": (".py", ".pyi", ".pyw"),
}
"""The file name endings of each language."""

_LANGUAGES = {extension: language for language, extensions in EXTENSIONS.items() for extension in extensions}


def language_of(path: str) -> str:
    """The language of the file at path; "" for a file that is in none of them."""
    return _LANGUAGES.get(posixpath.splitext(path)[1].lower(), "")
