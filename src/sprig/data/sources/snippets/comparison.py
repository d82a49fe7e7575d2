"""Concepts of comparison: values in, a verdict or the chosen value out."""

import operator
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import BOUNDS, NUMBER, THREE_NUMBERS, TWO_NUMBERS

concept = partial(define, "comparison")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "is_equal equals same_as",
        TWO_NUMBERS,
        direct="return a == b",
        negated="return not a != b",
        branch="""
            if a == b:
                return True
            return False""",
        reference=operator.eq,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, 0)),
    ),
    concept(
        "is_different differs unequal",
        TWO_NUMBERS,
        direct="return a != b",
        negated="return not a == b",
        branch="""
            if a != b:
                return True
            return False""",
        reference=operator.ne,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, 0)),
    ),
    concept(
        "is_greater greater_than exceeds",
        TWO_NUMBERS,
        direct="return a > b",
        negated="return not a <= b",
        branch="""
            if a > b:
                return True
            return False""",
        reference=operator.gt,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, -1)),
    ),
    concept(
        "is_less less_than falls_below",
        TWO_NUMBERS,
        direct="return a < b",
        negated="return not a >= b",
        branch="""
            if a < b:
                return True
            return False""",
        reference=operator.lt,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, -1)),
    ),
    concept(
        "at_least not_less reaches",
        TWO_NUMBERS,
        direct="return a >= b",
        negated="return not a < b",
        branch="""
            if a >= b:
                return True
            return False""",
        reference=operator.ge,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, -1)),
    ),
    concept(
        "at_most not_greater fits_under",
        TWO_NUMBERS,
        direct="return a <= b",
        negated="return not a > b",
        branch="""
            if a <= b:
                return True
            return False""",
        reference=operator.le,
        cases=((1, 1), (1, 2), (2, 1), (-3, 3), (0, -1)),
    ),
    concept(
        "larger greater_of max_pair",
        TWO_NUMBERS,
        direct="return max(a, b)",
        inline="return a if a > b else b",
        branch="""
            if a > b:
                return a
            return b""",
        reference=lambda one, two: sorted([one, two])[1],
        cases=((1, 2), (2, 1), (-3, -5), (0, 0), (-1, 1)),
    ),
    concept(
        "smaller lesser_of min_pair",
        TWO_NUMBERS,
        direct="return min(a, b)",
        inline="return a if a < b else b",
        branch="""
            if a < b:
                return a
            return b""",
        reference=lambda one, two: sorted([one, two])[0],
        cases=((1, 2), (2, 1), (-3, -5), (0, 0), (-1, 1)),
    ),
    concept(
        "largest_three max_three biggest_three",
        THREE_NUMBERS,
        direct="return max(a, b, c)",
        stepwise="""
            best = max(a, b)
            return max(best, c)""",
        sorted="return sorted([a, b, c])[-1]",
        reference=lambda *numbers: max(numbers),
        cases=((1, 2, 3), (3, 1, 2), (2, 3, 1), (-1, -5, -3), (4, 4, 0)),
    ),
    concept(
        "is_between in_bounds within_limits",
        BOUNDS,
        direct="return low <= x <= high",
        negated="return not (x < low or x > high)",
        branch="""
            if x < low:
                return False
            return x <= high""",
        reference=lambda number, start, end: number in range(start, end + 1),
        cases=((3, 1, 5), (1, 1, 5), (5, 1, 5), (0, 1, 5), (6, 1, 5), (-2, -3, 0)),
    ),
    concept(
        "is_even even_number check_even",
        NUMBER,
        direct="return n % 2 == 0",
        negated="return not n % 2",
        branch="""
            if n % 2:
                return False
            return True""",
        reference=lambda number: number & 1 == 0,
        cases=((2,), (7,), (0,), (-3,), (-8,), (1,)),
    ),
    concept(
        "is_odd odd_number check_odd",
        NUMBER,
        direct="return n % 2 == 1",
        negated="return not n % 2 == 0",
        branch="""
            if n % 2:
                return True
            return False""",
        reference=lambda number: number & 1 == 1,
        cases=((4,), (7,), (0,), (-3,), (-8,), (1,)),
    ),
    concept(
        "is_divisible divisible_by is_multiple",
        TWO_NUMBERS,
        direct="return a % b == 0",
        negated="return not a % b",
        branch="""
            if a % b:
                return False
            return True""",
        reference=lambda number, unit: number // unit * unit == number,
        cases=((9, 3), (10, 3), (3, 9), (0, 4), (-8, 2), (6, 5)),
    ),
)
