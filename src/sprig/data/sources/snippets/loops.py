"""Concepts of loops: numbers counted up or down, taken apart digit by digit, tried one after the other."""

import itertools
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import LIST, NUMBER

concept = partial(define, "loops")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "sum_to total_to range_sum",
        NUMBER,
        direct="return sum(range(n + 1))",
        loop="""
            total = 0
            for i in range(n + 1):
                total += i
            return total""",
        while_="""
            total = 0
            while n > 0:
                total += n
                n -= 1
            return total""",
        reference=lambda number: number * (number + 1) // 2,
        cases=((5,), (0,), (1,), (10,)),
    ),
    concept(
        "square_series squares_to total_squares",
        NUMBER,
        direct="return sum(i * i for i in range(n + 1))",
        loop="""
            total = 0
            for i in range(n + 1):
                total += i * i
            return total""",
        while_="""
            total = 0
            while n > 0:
                total += n * n
                n -= 1
            return total""",
        reference=lambda number: number * (number + 1) * (2 * number + 1) // 6,
        cases=((5,), (0,), (1,), (2,), (10,)),
    ),
    concept(
        "count_digits digit_count number_digits",
        NUMBER,
        direct="return len(str(n))",
        loop="""
            count = 0
            for c in str(n):
                count += 1
            return count""",
        while_="""
            count = 1
            while n > 9:
                count += 1
                n //= 10
            return count""",
        reference=lambda number: next(size for size in range(1, 20) if number < 10**size),
        cases=((5,), (0,), (10,), (99,), (100,), (1234,)),
    ),
    concept(
        "sum_digits digit_sum add_digits",
        NUMBER,
        direct="return sum(int(c) for c in str(n))",
        mapped="return sum(map(int, str(n)))",
        while_="""
            total = 0
            while n > 0:
                total += n % 10
                n //= 10
            return total""",
        reference=lambda number: sum(number // 10**place % 10 for place in range(20)),
        cases=((5,), (0,), (10,), (99,), (1234,)),
    ),
    concept(
        "digit_list list_digits split_digits",
        NUMBER,
        direct="return [int(c) for c in str(n)]",
        mapped="return list(map(int, str(n)))",
        loop="""
            result = []
            for c in str(n):
                result.append(int(c))
            return result""",
        reference=lambda number: [ord(digit) - ord("0") for digit in f"{number}"],
        cases=((5,), (0,), (10,), (99,), (1234,)),
    ),
    concept(
        "reverse_number mirror_digits flip_digits",
        NUMBER,
        direct="return int(str(n)[::-1])",
        joined="return int(''.join(reversed(str(n))))",
        while_="""
            result = 0
            while n > 0:
                result = result * 10 + n % 10
                n //= 10
            return result""",
        reference=lambda number: sum(int(digit) * 10**place for place, digit in enumerate(str(number))),
        cases=((5,), (0,), (10,), (321,), (1234,)),
    ),
    concept(
        "count_down countdown numbers_down",
        NUMBER,
        direct="return list(range(n, 0, -1))",
        listed="return [n - i for i in range(n)]",
        while_="""
            result = []
            while n > 0:
                result.append(n)
                n -= 1
            return result""",
        reference=lambda number: [*range(1, number + 1)][::-1],
        cases=((5,), (0,), (1,), (3,)),
    ),
    concept(
        "is_prime prime_number check_prime",
        NUMBER,
        direct="return n > 1 and all(n % i for i in range(2, n))",
        loop="""
            for i in range(2, n):
                if n % i == 0:
                    return False
            return n > 1""",
        while_="""
            i = 2
            while i < n and n % i:
                i += 1
            return i == n""",
        reference=lambda number: [d for d in range(1, number + 1) if number % d == 0] == [1, number],
        cases=((2,), (1,), (0,), (9,), (13,), (25,), (4,)),
    ),
    concept(
        "divisors factors_of all_divisors",
        NUMBER,
        direct="return [i for i in range(1, n + 1) if n % i == 0]",
        mapped="return list(filter(lambda i: n % i == 0, range(1, n + 1)))",
        stepwise="""
            result = range(1, n + 1)
            return [i for i in result if n % i == 0]""",
        reference=lambda number: sorted({d for d in range(1, number + 1) if number // d * d == number}),
        cases=((6,), (1,), (7,), (12,), (9,)),
    ),
    concept(
        "times_table table_of multiples_of",
        NUMBER,
        direct="return [n * i for i in range(1, 11)]",
        mapped="return list(map(lambda i: n * i, range(1, 11)))",
        loop="""
            result = []
            for i in range(1, 11):
                result.append(n * i)
            return result""",
        reference=lambda number: list(itertools.accumulate([number] * 10)),
        cases=((3,), (0,), (1,), (-2,), (12,)),
    ),
    concept(
        "running_totals partial_sums add_along",
        LIST,
        direct="return [sum(items[:i + 1]) for i in range(len(items))]",
        loop="""
            total = 0
            result = []
            for x in items:
                total += x
                result.append(total)
            return result""",
        stepwise="""
            result = range(1, len(items) + 1)
            return [sum(items[:i]) for i in result]""",
        reference=lambda items: list(itertools.accumulate(items)),
        cases=(([1, 2, 3],), ([],), ([5],), ([-1, 4, -6],)),
    ),
    concept(
        "first_negative find_negative next_negative",
        LIST,
        direct="return next((x for x in items if x < 0), None)",
        stepwise="""
            result = [x for x in items if x < 0]
            return result[0] if result else None""",
        loop="""
            for x in items:
                if x < 0:
                    return x
            return None""",
        reference=lambda items: [*[x for x in items if x != abs(x)], None][0],
        cases=(([1, -2, -3],), ([],), ([5, 0],), ([-1, 4],), ([3, -7],)),
    ),
)
