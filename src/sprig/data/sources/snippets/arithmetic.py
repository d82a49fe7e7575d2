"""Concepts of arithmetic: one or two numbers in, one number out."""

import math
import operator
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import NUMBER, TWO_NUMBERS

concept = partial(define, "arithmetic")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "add plus sum_pair add_numbers",
        TWO_NUMBERS,
        direct="return a + b",
        stepwise="""
            total = a
            total += b
            return total""",
        reference=operator.add,
        cases=((1, 2), (-3, 5), (0, 7), (10, -10), (2.5, 1)),
    ),
    concept(
        "subtract minus take_away subtract_numbers",
        TWO_NUMBERS,
        direct="return a - b",
        stepwise="""
            result = a
            result -= b
            return result""",
        reference=operator.sub,
        cases=((5, 2), (2, 5), (0, 7), (-4, -9), (2.5, 1)),
    ),
    concept(
        "multiply times product_pair multiply_numbers",
        TWO_NUMBERS,
        direct="return a * b",
        stepwise="""
            result = a
            result *= b
            return result""",
        reference=operator.mul,
        cases=((3, 4), (-3, 5), (0, 7), (1, 9), (2.5, 2)),
    ),
    concept(
        "divide ratio split_by divide_numbers",
        TWO_NUMBERS,
        direct="return a / b",
        stepwise="""
            result = a
            result /= b
            return result""",
        reference=operator.truediv,
        cases=((6, 3), (1, 4), (-9, 2), (0, 5), (2, 8)),
    ),
    concept(
        "floor_divide floor_ratio whole_ratio divide_down",
        TWO_NUMBERS,
        direct="return a // b",
        stepwise="""
            result = a
            result //= b
            return result""",
        reference=operator.floordiv,
        cases=((7, 2), (-7, 2), (9, 3), (1, 4), (8, -3)),
    ),
    concept(
        "remainder modulo leftover rest_after",
        TWO_NUMBERS,
        direct="return a % b",
        stepwise="""
            result = a
            result %= b
            return result""",
        reference=operator.mod,
        cases=((7, 3), (-7, 3), (9, 3), (2, 5), (8, -3)),
    ),
    concept(
        "power raise_to to_power",
        TWO_NUMBERS,
        direct="return a ** b",
        loop="""
            result = 1
            for i in range(b):
                result *= a
            return result""",
        recursive="return a * power_recursive(a, b - 1) if b else 1",
        reference=pow,
        cases=((2, 3), (3, 2), (5, 0), (-2, 3), (0, 4), (1, 6)),
    ),
    concept(
        "negate opposite flip_sign minus_number",
        NUMBER,
        direct="return -n",
        stepwise="""
            result = 0
            result -= n
            return result""",
        reference=operator.neg,
        cases=((3,), (-4,), (0,), (2.5,)),
    ),
    concept(
        "square squared square_of second_power",
        NUMBER,
        direct="return n * n",
        stepwise="""
            result = n
            result *= n
            return result""",
        reference=lambda number: number**2,
        cases=((3,), (-4,), (0,), (1,), (2.5,)),
    ),
    concept(
        "double twice double_number times_two",
        NUMBER,
        direct="return n * 2",
        stepwise="""
            result = n
            result += n
            return result""",
        reference=lambda number: 2 * number,
        cases=((3,), (-4,), (0,), (1,), (2.5,)),
    ),
    concept(
        "halve half half_of halve_number",
        NUMBER,
        direct="return n / 2",
        stepwise="""
            result = n
            result /= 2
            return result""",
        reference=lambda number: number * 0.5,
        cases=((8,), (7,), (0,), (-3,), (1.5,)),
    ),
    concept(
        "average_pair mean_pair midpoint halfway",
        TWO_NUMBERS,
        direct="return (a + b) / 2",
        stepwise="""
            total = a + b
            return total / 2""",
        reference=lambda one, two: one / 2 + two / 2,
        cases=((2, 4), (-3, 3), (0, 7), (5, 5), (10, 1)),
    ),
    concept(
        "distance gap difference",
        TWO_NUMBERS,
        direct="return abs(a - b)",
        inline="return a - b if a > b else b - a",
        branch="""
            if a > b:
                return a - b
            return b - a""",
        reference=lambda one, two: max(one, two) - min(one, two),
        cases=((5, 2), (2, 5), (0, 0), (-4, 3), (-1, -8)),
    ),
    concept(
        "absolute magnitude abs_value",
        NUMBER,
        direct="return abs(n)",
        inline="return n if n > 0 else -n",
        branch="""
            if n < 0:
                return -n
            return n""",
        reference=lambda number: max(number, -number),
        cases=((3,), (-4,), (0,), (1,), (0.5,), (-2.5,)),
    ),
    concept(
        "round_down floor_multiple snap_down",
        TWO_NUMBERS,
        direct="return a // b * b",
        stepwise="""
            result = a % b
            return a - result""",
        reference=lambda number, unit: math.floor(number / unit) * unit,
        cases=((17, 5), (20, 5), (3, 7), (-4, 3), (0, 2)),
    ),
)
