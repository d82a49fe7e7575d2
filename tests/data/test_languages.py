"""The table of languages: one language for each name, and a refusal that helps."""

import re
from collections import Counter

import pytest

from sprig.data.languages import EXTENSIONS, NAMES, chosen, language_named, language_of


def test_no_ending_and_no_name_belongs_to_two_languages() -> None:
    for table in (EXTENSIONS, NAMES):
        counts = Counter(name for names in table.values() for name in names)
        assert max(counts.values()) == 1, counts.most_common(1)
    assert NAMES.keys() <= EXTENSIONS.keys()


def test_every_ending_is_one_that_a_path_can_be_looked_up_by() -> None:
    for language, endings in EXTENSIONS.items():
        assert language == language.lower()
        for ending in endings:
            assert re.fullmatch(r"\.[a-z0-9+]+", ending)
            assert language_of(f"a.b/c.d{ending}") == language_of(f"X{ending.upper()}") == language
    assert list(EXTENSIONS) == sorted(EXTENSIONS)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("a/.bashrc", "shell"),
        ("x.h", "c"),
        ("x.m", "objective-c"),
        ("x.pl", "perl"),
        ("x.R", "r"),
        ("x.tar.py", "python"),
        ("Makefile.old", ""),
        ("Makefile/x", ""),
        (".py", ""),
        ("x.txt", ""),
        ("x.json", ""),
        ("py", ""),
        ("", ""),
    ],
)
def test_the_name_of_a_file_says_its_language(path: str, language: str) -> None:
    assert language_of(path) == language


def test_the_languages_named_are_chosen_or_all_of_them() -> None:
    assert chosen(["python", "c"]) == {"python", "c"} and chosen([]) == set(EXTENSIONS)


@pytest.mark.parametrize(
    ("name", "language"),
    [("python", "python"), ("py", "python"), ("python3", "python"), ("c++", "c++"), ("cpp", "c++"), ("golang", "go"),
     ("csharp", "c#"), ("terraform", "hcl"), ("viml", "vim script"), ("pyton", ""), ("", "")],
)  # fmt: skip
def test_a_language_has_several_names(name: str, language: str) -> None:
    assert language_named(name) == language


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("pyton", "python"),
        ("Python", "python"),
        ("C++", "c++"),
        ("cpp", "c++"),
        ("golang", "go"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_an_unknown_language_is_refused_and_the_nearest_named(wrong: str, nearest: str | None) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(wrong))) as refusal:
        chosen(["python", wrong])
    assert (f"Did you mean {nearest!r}?" if nearest else "There are: ada, assembly") in str(refusal.value)
