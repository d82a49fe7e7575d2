"""Concepts of conditionals: what comes out depends on a test."""

import calendar
import statistics
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import (
    BOUNDS,
    CHOICE,
    FLAG,
    FLAGS,
    NUMBER,
    TWO_NUMBERS,
    VALUE_AND_DEFAULT,
)

concept = partial(define, "conditionals")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "sign sign_of direction",
        NUMBER,
        direct="return (n > 0) - (n < 0)",
        inline="return 1 if n > 0 else -1 if n < 0 else 0",
        branch="""
            if n > 0:
                return 1
            if n < 0:
                return -1
            return 0""",
        reference=lambda number: number // abs(number) if number else 0,
        cases=((3,), (-4,), (0,), (1,), (-1,)),
    ),
    concept(
        "compare three_way order_of",
        TWO_NUMBERS,
        direct="return (a > b) - (a < b)",
        inline="return 1 if a > b else -1 if a < b else 0",
        branch="""
            if a > b:
                return 1
            if a < b:
                return -1
            return 0""",
        reference=lambda one, two: [one, two].index(max(one, two)) * -2 + 1 if one != two else 0,
        cases=((1, 2), (5, 2), (3, 3), (-1, -4), (0, 0)),
    ),
    concept(
        "clamp limit keep_within",
        BOUNDS,
        direct="return max(low, min(x, high))",
        sorted="return sorted([low, x, high])[1]",
        branch="""
            if x < low:
                return low
            return min(x, high)""",
        reference=lambda *numbers: statistics.median(numbers),
        cases=((3, 1, 5), (0, 1, 5), (9, 1, 5), (1, 1, 5), (-2, -4, -3)),
    ),
    concept(
        "floor_zero not_negative positive_part",
        NUMBER,
        direct="return max(n, 0)",
        inline="return n if n > 0 else 0",
        branch="""
            if n > 0:
                return n
            return 0""",
        reference=lambda number: (number + abs(number)) // 2,
        cases=((12,), (-4,), (0,), (1,), (-1,)),
    ),
    concept(
        "parity even_odd parity_name",
        NUMBER,
        inline="return 'odd' if n % 2 else 'even'",
        sliced="return ['even', 'odd'][n % 2]",
        branch="""
            if n % 2:
                return 'odd'
            return 'even'""",
        reference=lambda number: "odd" if number & 1 else "even",
        cases=((4,), (7,), (0,), (-3,), (1,)),
    ),
    concept(
        "pass_fail exam_result passed_text",
        NUMBER,
        inline="return 'pass' if n >= 50 else 'fail'",
        sliced="return ['fail', 'pass'][n >= 50]",
        branch="""
            if n >= 50:
                return 'pass'
            return 'fail'""",
        reference=lambda score: ("fail", "pass")[score // 50 > 0],
        cases=((0,), (50,), (49,), (100,), (51,)),
    ),
    concept(
        "ticket_price entry_fee fare_for",
        NUMBER,
        inline="return 0 if n < 6 else 5 if n < 18 else 10",
        branch="""
            if n < 6:
                return 0
            if n < 18:
                return 5
            return 10""",
        stepwise="""
            result = 5 if n < 18 else 10
            return result if n >= 6 else 0""",
        reference=lambda age: 5 * ((age > 5) + (age > 17)),
        cases=((5,), (6,), (17,), (18,), (0,), (40,)),
    ),
    concept(
        "is_leap leap_year has_leap",
        NUMBER,
        direct="return n % 4 == 0 and (n % 100 != 0 or n % 400 == 0)",
        inline="return n % 400 == 0 if n % 100 == 0 else n % 4 == 0",
        branch="""
            if n % 100 == 0:
                return n % 400 == 0
            return n % 4 == 0""",
        reference=calendar.isleap,
        cases=((4,), (2024,), (2023,), (1900,), (2000,), (2022,)),
    ),
    concept(
        "yes_no answer_text say_yes",
        FLAG,
        inline="return 'yes' if flag else 'no'",
        sliced="return ['no', 'yes'][flag]",
        branch="""
            if flag:
                return 'yes'
            return 'no'""",
        reference={True: "yes", False: "no"}.get,
        cases=((True,), (False,), (1 > 2,), (2 > 1,)),
    ),
    concept(
        "choose pick_one select",
        CHOICE,
        inline="return a if flag else b",
        sliced="return [b, a][flag]",
        branch="""
            if flag:
                return a
            return b""",
        reference=lambda flag, one, two: {True: one, False: two}[flag],
        cases=((True, 1, 2), (False, 1, 2), (True, "a", "b"), (False, 0, None)),
    ),
    concept(
        "or_default with_default default_to",
        VALUE_AND_DEFAULT,
        inline="return b if a is None else a",
        negated="return a if a is not None else b",
        branch="""
            if a is None:
                return b
            return a""",
        reference=lambda value, default: next(x for x in (value, default) if x is not None),
        cases=((1, 2), (None, 2), (0, 5), ("", "x"), (None, "y")),
    ),
    concept(
        "neither both_false none_true",
        FLAGS,
        direct="return not a and not b",
        negated="return not (a or b)",
        branch="""
            if a:
                return False
            return not b""",
        reference=lambda one, two: [one, two] == [False, False],
        cases=((True, True), (True, False), (False, True), (False, False)),
    ),
)
