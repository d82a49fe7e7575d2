"""Concepts of recursion: a function that calls itself, beside one that need not."""

import itertools
import math
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import NUMBER, ROWS, TWO_NUMBERS

concept = partial(define, "recursion")


def _leaves(items: object) -> list[object]:
    return [leaf for item in items for leaf in _leaves(item)] if isinstance(items, list) else [items]


def _collatz_steps(number: int) -> int:
    steps = 0
    while number > 1:
        number = (number // 2, 3 * number + 1)[number % 2]
        steps += 1
    return steps


CONCEPTS: tuple[Concept, ...] = (
    concept(
        "factorial product_to multiply_to",
        NUMBER,
        recursive="return n * factorial_recursive(n - 1) if n > 1 else 1",
        guarded="""
            if n < 2:
                return 1
            return n * factorial_guarded(n - 1)""",
        loop="""
            result = 1
            for i in range(2, n + 1):
                result *= i
            return result""",
        reference=math.factorial,
        cases=((5,), (0,), (1,), (2,), (7,)),
    ),
    concept(
        "fibonacci fib fibonacci_number",
        NUMBER,
        recursive="return n if n < 2 else fibonacci_recursive(n - 1) + fibonacci_recursive(n - 2)",
        guarded="""
            if n < 2:
                return n
            return fibonacci_guarded(n - 1) + fibonacci_guarded(n - 2)""",
        loop="""
            low, high = 0, 1
            for i in range(n):
                low, high = high, low + high
            return low""",
        reference=lambda number: [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55][number],
        cases=((5,), (0,), (1,), (2,), (10,)),
    ),
    concept(
        "gcd common_divisor shared_factor",
        TWO_NUMBERS,
        recursive="return gcd_recursive(b, a % b) if b else a",
        guarded="""
            if b == 0:
                return a
            return gcd_guarded(b, a % b)""",
        while_="""
            while b:
                a, b = b, a % b
            return a""",
        reference=math.gcd,
        cases=((12, 18), (7, 3), (5, 0), (0, 4), (9, 9), (8, 4)),
    ),
    concept(
        "list_up count_up numbers_up",
        NUMBER,
        direct="return list(range(1, n + 1))",
        recursive="return [*list_up_recursive(n - 1), n] if n else []",
        guarded="""
            if n == 0:
                return []
            return [*list_up_guarded(n - 1), n]""",
        reference=lambda number: list(itertools.accumulate([1] * number)),
        cases=((5,), (0,), (1,), (3,)),
    ),
    concept(
        "hanoi_moves tower_moves disk_moves",
        NUMBER,
        direct="return 2 ** n - 1",
        recursive="return 2 * hanoi_moves_recursive(n - 1) + 1 if n else 0",
        guarded="""
            if n == 0:
                return 0
            return 2 * hanoi_moves_guarded(n - 1) + 1""",
        reference=lambda disks: int("0" + "1" * disks, 2),
        cases=((3,), (0,), (1,), (8,)),
    ),
    concept(
        "binary_text to_binary bits_text",
        NUMBER,
        direct="return bin(n)[2:]",
        recursive="return binary_text_recursive(n // 2) + str(n % 2) if n > 1 else str(n)",
        guarded="""
            if n < 2:
                return str(n)
            return binary_text_guarded(n // 2) + str(n % 2)""",
        reference="{:b}".format,
        cases=((5,), (0,), (1,), (8,), (13,)),
    ),
    concept(
        "digital_root root_digit single_digit",
        NUMBER,
        recursive="return n if n < 10 else digital_root_recursive(sum(map(int, str(n))))",
        guarded="""
            if n < 10:
                return n
            return digital_root_guarded(sum(map(int, str(n))))""",
        while_="""
            while n > 9:
                n = sum(map(int, str(n)))
            return n""",
        reference=lambda number: (number - 1) % 9 + 1 if number else 0,
        cases=((10,), (5,), (0,), (38,), (99,), (1234,)),
    ),
    concept(
        "collatz_steps steps_down hailstone",
        NUMBER,
        recursive="return 1 + collatz_steps_recursive(n * 3 + 1 if n % 2 else n // 2) if n > 1 else 0",
        guarded="""
            if n < 2:
                return 0
            return 1 + collatz_steps_guarded(n * 3 + 1 if n % 2 else n // 2)""",
        reference=_collatz_steps,
        cases=((6,), (1,), (2,), (7,), (16,)),
    ),
    concept(
        "deep_sum nested_sum sum_deep",
        ROWS,
        recursive="return sum(map(deep_sum_recursive, rows)) if type(rows) is list else rows",
        guarded="""
            if type(rows) is not list:
                return rows
            return sum(map(deep_sum_guarded, rows))""",
        loop="""
            total = 0
            for row in rows:
                total += deep_sum_loop(row) if type(row) is list else row
            return total""",
        reference=lambda rows: sum(leaf for leaf in _leaves(rows) if isinstance(leaf, int)),
        cases=(([1, [2, 3]],), ([],), ([[4], [[5, -6]]],), ([[[]], 7],)),
    ),
    concept(
        "depth depth_of count_depth",
        ROWS,
        recursive="return max(map(depth_recursive, rows), default=0) + 1 if type(rows) is list else 0",
        guarded="""
            if type(rows) is not list:
                return 0
            return max(map(depth_guarded, rows), default=0) + 1""",
        reference=lambda rows: max(itertools.accumulate((c == "[") - (c == "]") for c in str(rows))),
        cases=(([1, [2, 3]],), ([],), ([[4], [[5, -6]]],), ([1, 2],), ([[[]], 7],)),
    ),
)
