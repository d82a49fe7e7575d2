"""Concepts of comprehensions: each element kept, dropped, changed, counted or tested."""

import itertools
import operator
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import LIST, LIST_AND_NUMBER, ROWS, WORDS

concept = partial(define, "comprehensions")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "keep_even only_even even_items",
        LIST,
        direct="return [x for x in items if x % 2 == 0]",
        mapped="return list(filter(lambda x: x % 2 == 0, items))",
        loop="""
            result = []
            for x in items:
                if x % 2 == 0:
                    result.append(x)
            return result""",
        reference=lambda items: [x for x in items if not x & 1],
        cases=(([1, 2, 3, 4],), ([],), ([5],), ([-2, 0, -1],), ([2, 2],)),
    ),
    concept(
        "keep_odd only_odd odd_items",
        LIST,
        direct="return [x for x in items if x % 2 == 1]",
        mapped="return list(filter(lambda x: x % 2 == 1, items))",
        loop="""
            result = []
            for x in items:
                if x % 2 == 1:
                    result.append(x)
            return result""",
        reference=lambda items: [x for x in items if x & 1],
        cases=(([1, 2, 3, 4],), ([],), ([6],), ([-2, 0, -1],), ([3, 3],)),
    ),
    concept(
        "keep_positive only_positive positive_items",
        LIST,
        direct="return [x for x in items if x > 0]",
        mapped="return list(filter(lambda x: x > 0, items))",
        loop="""
            result = []
            for x in items:
                if x > 0:
                    result.append(x)
            return result""",
        reference=lambda items: [x for x in items if x and x == abs(x)],
        cases=(([1, -2, 3],), ([],), ([0],), ([-2, 0, 5],), ([4, 4],)),
    ),
    concept(
        "drop_zeros without_zeros no_zeros",
        LIST,
        direct="return [x for x in items if x != 0]",
        mapped="return list(filter(lambda x: x != 0, items))",
        loop="""
            result = []
            for x in items:
                if x != 0:
                    result.append(x)
            return result""",
        reference=lambda items: list(filter(None, items)),
        cases=(([1, 0, -3],), ([],), ([0, 0],), ([-2, 5],), ([0, 4, 4],)),
    ),
    concept(
        "square_all all_squares squared_items",
        LIST,
        direct="return [x * x for x in items]",
        mapped="return list(map(lambda x: x * x, items))",
        loop="""
            result = []
            for x in items:
                result.append(x * x)
            return result""",
        reference=lambda items: [x**2 for x in items],
        cases=(([1, 2, 3],), ([],), ([-4],), ([0, 5],)),
    ),
    concept(
        "double_all all_doubled doubled_items",
        LIST,
        direct="return [x * 2 for x in items]",
        mapped="return list(map(lambda x: x * 2, items))",
        loop="""
            result = []
            for x in items:
                result.append(x * 2)
            return result""",
        reference=lambda items: [x + x for x in items],
        cases=(([1, 2, 3],), ([],), ([-4],), ([0, 5],)),
    ),
    concept(
        "absolute_all all_absolute absolute_items",
        LIST,
        direct="return [abs(x) for x in items]",
        mapped="return list(map(abs, items))",
        loop="""
            result = []
            for x in items:
                result.append(abs(x))
            return result""",
        reference=lambda items: [max(x, -x) for x in items],
        cases=(([1, -2, 3],), ([],), ([-4],), ([0, 5],)),
    ),
    concept(
        "all_positive each_positive every_positive",
        LIST,
        direct="return all(x > 0 for x in items)",
        negated="return not any(x <= 0 for x in items)",
        loop="""
            for x in items:
                if x <= 0:
                    return False
            return True""",
        reference=lambda items: min(items, default=1) > 0,
        cases=(([1, 2, 3],), ([],), ([-4, 1],), ([0, 5],), ([2, -1],)),
    ),
    concept(
        "count_even even_count number_even",
        LIST,
        direct="return sum(x % 2 == 0 for x in items)",
        listed="return len([x for x in items if x % 2 == 0])",
        loop="""
            count = 0
            for x in items:
                count += x % 2 == 0
            return count""",
        reference=lambda items: [x & 1 for x in items].count(0),
        cases=(([1, 2, 3, 4],), ([],), ([5],), ([-2, 0, -1],), ([2, 2, 2],)),
    ),
    concept(
        "sum_even even_sum add_even",
        LIST,
        direct="return sum(x for x in items if x % 2 == 0)",
        stepwise="""
            result = [x for x in items if x % 2 == 0]
            return sum(result)""",
        loop="""
            total = 0
            for x in items:
                if x % 2 == 0:
                    total += x
            return total""",
        reference=lambda items: sum(items) - sum(x for x in items if x & 1),
        cases=(([1, 2, 3, 4],), ([],), ([5],), ([-2, 0, -1],), ([2, 2, 2],)),
    ),
    concept(
        "word_sizes word_lengths measure_words",
        WORDS,
        direct="return [len(w) for w in words]",
        mapped="return list(map(len, words))",
        loop="""
            result = []
            for w in words:
                result.append(len(w))
            return result""",
        reference=lambda words: [sum(1 for _ in word) for word in words],
        cases=((["one", "three"],), ([],), ([""],), (["a", "bc", "a"],)),
    ),
    concept(
        "flatten join_rows one_list",
        ROWS,
        direct="return [x for row in rows for x in row]",
        called="return sum(rows, [])",
        loop="""
            result = []
            for row in rows:
                result.extend(row)
            return result""",
        reference=lambda rows: list(itertools.chain.from_iterable(rows)),
        cases=(([[1, 2], [3]],), ([],), ([[]],), ([["a"], [], ["b", "a"]],)),
    ),
    concept(
        "shift_all add_each raise_all",
        LIST_AND_NUMBER,
        direct="return [x + n for x in items]",
        mapped="return list(map(lambda x: x + n, items))",
        loop="""
            result = []
            for x in items:
                result.append(x + n)
            return result""",
        reference=lambda items, step: list(map(operator.add, items, [step] * len(items))),
        cases=(([1, 2, 3], 2), ([], 1), ([-4], 4), ([0, 5], -1)),
    ),
    concept(
        "scale_all multiply_each times_each",
        LIST_AND_NUMBER,
        direct="return [x * n for x in items]",
        mapped="return list(map(lambda x: x * n, items))",
        loop="""
            result = []
            for x in items:
                result.append(x * n)
            return result""",
        reference=lambda items, factor: list(map(operator.mul, items, [factor] * len(items))),
        cases=(([1, 2, 3], 2), ([], 1), ([-4], 4), ([0, 5], -1)),
    ),
    concept(
        "keep_above items_above only_above",
        LIST_AND_NUMBER,
        direct="return [x for x in items if x > n]",
        mapped="return list(filter(lambda x: x > n, items))",
        loop="""
            result = []
            for x in items:
                if x > n:
                    result.append(x)
            return result""",
        reference=lambda items, limit: [x for x in items if not limit >= x],
        cases=(([1, 2, 3], 2), ([], 1), ([-4, 0], -1), ([0, 5, 5], 5), ([9, 2, 9], 3)),
    ),
)
