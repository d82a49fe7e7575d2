"""Concepts of strings: text in, text or a fact about it out."""

import re
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import (
    NAME,
    TEXT,
    TEXT_AND_LETTER,
    TEXT_AND_PART,
    TWO_TEXTS,
)

concept = partial(define, "strings")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "uppercase to_upper shout",
        TEXT,
        direct="return text.upper()",
        mapped="return ''.join(map(str.upper, text))",
        loop="""
            result = ''
            for c in text:
                result += c.upper()
            return result""",
        reference=lambda text: "".join(letter.upper() for letter in text),
        cases=(("hello",), ("Big Tree",), ("",), ("a1-b2",), ("DONE",)),
    ),
    concept(
        "lowercase to_lower whisper",
        TEXT,
        direct="return text.lower()",
        mapped="return ''.join(map(str.lower, text))",
        loop="""
            result = ''
            for c in text:
                result += c.lower()
            return result""",
        reference=lambda text: "".join(letter.lower() for letter in text),
        cases=(("HELLO",), ("Big Tree",), ("",), ("A1-b2",), ("done",)),
    ),
    concept(
        "reverse_text backwards mirror_text",
        TEXT,
        direct="return text[::-1]",
        joined="return ''.join(reversed(text))",
        loop="""
            result = ''
            for c in text:
                result = c + result
            return result""",
        reference=lambda text: "".join(text[-place] for place in range(1, len(text) + 1)),
        cases=(("hello",), ("ab",), ("",), ("x",), ("a b c",)),
    ),
    concept(
        "first_word opening_word leading_word",
        TEXT,
        direct="return text.split()[0]",
        stepwise="""
            result = text.split()
            return result[0]""",
        unpacked="""
            head, *rest = text.split()
            return head""",
        reference=lambda text: text.strip().partition(" ")[0],
        cases=(("one two three",), ("single",), (" spaced out ",), ("red green",)),
    ),
    concept(
        "last_word closing_word ending_word",
        TEXT,
        direct="return text.split()[-1]",
        stepwise="""
            result = text.split()
            return result[-1]""",
        unpacked="""
            *rest, last = text.split()
            return last""",
        reference=lambda text: text.strip().rpartition(" ")[2],
        cases=(("one two three",), ("single",), (" spaced out ",), ("red green",)),
    ),
    concept(
        "count_words word_count number_words",
        TEXT,
        direct="return len(text.split())",
        stepwise="""
            result = text.split()
            return len(result)""",
        loop="""
            count = 0
            for w in text.split():
                count += 1
            return count""",
        reference=lambda text: len(re.findall(r"\S+", text)),
        cases=(("one two three",), ("single",), ("",), (" spaced  out ",)),
    ),
    concept(
        "initials first_letters word_initials",
        TEXT,
        direct="return ''.join(w[0] for w in text.split())",
        stepwise="""
            result = [w[0] for w in text.split()]
            return ''.join(result)""",
        loop="""
            result = ''
            for w in text.split():
                result += w[0]
            return result""",
        reference=lambda text: "".join(re.findall(r"(?<!\S)\S", text)),
        cases=(("Ada King Lovelace",), ("single",), ("",), (" spaced  out ",)),
    ),
    concept(
        "count_vowels vowel_count number_vowels",
        TEXT,
        direct="return sum(c in 'aeiou' for c in text)",
        listed="return len([c for c in text if c in 'aeiou'])",
        loop="""
            count = 0
            for c in text:
                count += c in 'aeiou'
            return count""",
        reference=lambda text: len(re.findall("[aeiou]", text)),
        cases=(("hello",), ("rhythm",), ("",), ("queue",), ("taxi",)),
    ),
    concept(
        "keep_digits only_digits digits_text",
        TEXT,
        direct="return ''.join(c for c in text if c.isdigit())",
        mapped="return ''.join(filter(str.isdigit, text))",
        loop="""
            result = ''
            for c in text:
                if c.isdigit():
                    result += c
            return result""",
        reference=lambda text: re.sub("[^0-9]", "", text),
        cases=(("a1b22",), ("none",), ("",), ("007",), ("1-2-3 go",)),
    ),
    concept(
        "remove_spaces drop_spaces without_spaces",
        TEXT,
        direct="return text.replace(' ', '')",
        joined="return ''.join(text.split(' '))",
        loop="""
            result = ''
            for c in text:
                if c != ' ':
                    result += c
            return result""",
        reference=lambda text: re.sub(" ", "", text),
        cases=(("one two three",), ("single",), ("",), (" spaced  out ",)),
    ),
    concept(
        "is_palindrome reads_backwards same_backwards",
        TEXT,
        direct="return text == text[::-1]",
        joined="return text == ''.join(reversed(text))",
        stepwise="""
            result = text[::-1]
            return result == text""",
        reference=lambda text: all(text[place] == text[-place - 1] for place in range(len(text))),
        cases=(("level",), ("hello",), ("",), ("ab",), ("abba",), ("Anna",)),
    ),
    concept(
        "starts_with has_prefix begins_with",
        TEXT_AND_PART,
        direct="return text.startswith(part)",
        sliced="return text[:len(part)] == part",
        stepwise="""
            result = len(part)
            return text[:result] == part""",
        reference=lambda text, part: text.removeprefix(part) != text or part == "",
        cases=(("hello", "he"), ("hello", "lo"), ("hi", "hill"), ("hi", ""), ("tea", "a"), ("abab", "ab")),
    ),
    concept(
        "ends_with has_suffix finishes_with",
        TEXT_AND_PART,
        direct="return text.endswith(part)",
        sliced="return text[::-1].startswith(part[::-1])",
        stepwise="""
            result = text.removesuffix(part)
            return result + part == text""",
        reference=lambda text, part: re.search(f"{part}$", text) is not None,
        cases=(
            ("hello", "lo"),
            ("hello", "he"),
            ("hi", "ahi"),
            ("hi", ""),
            ("tree", "re"),
            ("tree", "xexe"),
            ("tree", "e"),
        ),
    ),
    concept(
        "bracket in_brackets put_brackets",
        TEXT,
        direct="return '[' + text + ']'",
        formatted="return f'[{text}]'",
        stepwise="""
            result = '[' + text
            return result + ']'""",
        reference=lambda text: text.join("[]"),
        cases=(("hello",), ("",), ("x",), ("[y]",)),
    ),
    concept(
        "greet say_hello greeting",
        NAME,
        direct="return 'Hello, ' + name",
        formatted="return f'Hello, {name}'",
        stepwise="""
            result = 'Hello, '
            return result + name""",
        reference="Hello, {}".format,
        cases=(("Ada",), ("Bob",), ("",), ("you all",)),
    ),
    concept(
        "is_anagram same_letters letters_match",
        TWO_TEXTS,
        direct="return sorted(s) == sorted(t)",
        negated="return not sorted(s) != sorted(t)",
        stepwise="""
            result = sorted(t)
            return sorted(s) == result""",
        reference=lambda one, two: all(one.count(letter) == two.count(letter) for letter in one + two),
        cases=(("listen", "silent"), ("aab", "abb"), ("ab", "abc"), ("", ""), ("tea", "eat"), ("a", "b")),
    ),
    concept(
        "remove_letter drop_letter without_letter",
        TEXT_AND_LETTER,
        direct="return text.replace(letter, '')",
        joined="return ''.join(text.split(letter))",
        loop="""
            result = ''
            for c in text:
                if c != letter:
                    result += c
            return result""",
        reference=lambda text, letter: re.sub(letter, "", text),
        cases=(("hello", "l"), ("hello", "x"), ("", "a"), ("aaa", "a"), ("a-b-c", "-")),
    ),
)
