"""Concepts of dicts: look up, change, count, turn round."""

import operator
from collections import Counter
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import (
    LIST,
    MAPPING,
    MAPPING_AND_KEY,
    MAPPING_AND_VALUE,
    MAPPING_KEY_VALUE,
    TWO_LISTS,
    TWO_MAPPINGS,
)

concept = partial(define, "dicts")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "lookup_count get_count count_for",
        MAPPING_AND_KEY,
        direct="return mapping.get(key, 0)",
        inline="return mapping[key] if key in mapping else 0",
        branch="""
            if key in mapping:
                return mapping[key]
            return 0""",
        reference=lambda mapping, key: {key: 0, **mapping}[key],
        cases=(({"a": 1, "b": 2}, "a"), ({"a": 1}, "b"), ({}, "a"), ({"a": None}, "a"), ({1: 5}, 1)),
    ),
    concept(
        "put_value set_value store_value put_key",
        MAPPING_KEY_VALUE,
        direct="mapping[key] = value",
        called="mapping.update({key: value})",
        reference=operator.setitem,
        cases=(({"a": 1}, "b", 2), ({"a": 1}, "a", 3), ({}, "x", None), ({1: 2}, 2, 1)),
    ),
    concept(
        "delete_key remove_key forget_key drop_key",
        MAPPING_AND_KEY,
        direct="mapping.pop(key, None)",
        branch="""
            if key in mapping:
                del mapping[key]""",
        reference=lambda mapping, key: mapping.__delitem__(key) if key in mapping else None,
        cases=(({"a": 1, "b": 2}, "a"), ({"a": 1}, "b"), ({}, "a"), ({"a": 0}, "a"), ({1: 5, 2: 6}, 2)),
    ),
    concept(
        "value_list all_values list_values",
        MAPPING,
        direct="return list(mapping.values())",
        listed="return [mapping[k] for k in mapping]",
        unpacked="return [*mapping.values()]",
        reference=lambda mapping: [pair[1] for pair in mapping.items()],
        cases=(({"a": 1, "b": 2},), ({},), ({"x": "y"},), ({2: 9, 1: 9},)),
    ),
    concept(
        "has_value holds_value contains_value",
        MAPPING_AND_VALUE,
        direct="return target in mapping.values()",
        listed="return any(mapping[k] == target for k in mapping)",
        loop="""
            for k in mapping:
                if mapping[k] == target:
                    return True
            return False""",
        reference=lambda mapping, value: list(mapping.values()).count(value) > 0,
        cases=(({"a": 1, "b": 2}, 2), ({"a": 1}, 3), ({}, 1), ({1: 2}, 1), ({"x": "y"}, "y")),
    ),
    concept(
        "invert swap_keys turn_dict",
        MAPPING,
        direct="return {v: k for k, v in mapping.items()}",
        mapped="return dict(zip(mapping.values(), mapping))",
        loop="""
            result = {}
            for k in mapping:
                result[mapping[k]] = k
            return result""",
        reference=lambda mapping: dict(map(reversed, mapping.items())),
        cases=(({"a": 1, "b": 2},), ({},), ({"x": "y"},), ({1: 3, 2: 3},)),
    ),
    concept(
        "merge_into update_from copy_into fill_from",
        TWO_MAPPINGS,
        direct="d.update(e)",
        loop="""
            for k in e:
                d[k] = e[k]""",
        reference=lambda one, two: [operator.setitem(one, *pair) for pair in two.items()].clear(),
        cases=(({"a": 1}, {"b": 2}), ({"a": 1}, {"a": 3}), ({}, {"x": 1}), ({1: 2}, {})),
    ),
    concept(
        "count_each item_counts tally",
        LIST,
        direct="return {x: items.count(x) for x in items}",
        loop="""
            result = {}
            for x in items:
                result[x] = result.get(x, 0) + 1
            return result""",
        stepwise="""
            result = dict.fromkeys(items)
            return {x: items.count(x) for x in result}""",
        reference=lambda items: dict(Counter(items)),
        cases=((["a", "b", "a"],), ([],), ([3],), ([1, 2, 2, 2],)),
    ),
    concept(
        "zip_dict make_dict pairs_dict",
        TWO_LISTS,
        direct="return dict(zip(xs, ys))",
        listed="return {x: y for x, y in zip(xs, ys)}",
        loop="""
            result = {}
            for x, y in zip(xs, ys):
                result[x] = y
            return result""",
        reference=lambda keys, values: {keys[place]: values[place] for place in range(len(keys))},
        cases=((["a", "b"], [1, 2]), ([], []), ([1], ["x"]), ([1, 1], [2, 3])),
    ),
    concept(
        "sum_values total_values add_values",
        MAPPING,
        direct="return sum(mapping.values())",
        listed="return sum(mapping[k] for k in mapping)",
        loop="""
            total = 0
            for k in mapping:
                total += mapping[k]
            return total""",
        reference=lambda mapping: sum(pair[1] for pair in mapping.items()),
        cases=(({"a": 1, "b": 2},), ({},), ({"x": -5},), ({1: 3, 2: 3, 3: 0},)),
    ),
    concept(
        "top_key best_key largest_key",
        MAPPING,
        direct="return max(mapping, key=mapping.get)",
        sorted="return sorted(mapping, key=mapping.get, reverse=True)[0]",
        stepwise="""
            best = max(mapping.values())
            return next(k for k in mapping if mapping[k] == best)""",
        reference=lambda mapping: max(mapping.items(), key=operator.itemgetter(1))[0],
        cases=(({"a": 1, "b": 2},), ({"x": -5},), ({1: 3, 2: 3, 3: 0},), ({"p": 9, "q": 2},)),
    ),
    concept(
        "bump_key count_key raise_key",
        MAPPING_AND_KEY,
        direct="mapping[key] = mapping.get(key, 0) + 1",
        called="""
            mapping.setdefault(key, 0)
            mapping[key] += 1""",
        branch="""
            if key not in mapping:
                mapping[key] = 0
            mapping[key] += 1""",
        reference=lambda mapping, key: mapping.update({key: {key: 0, **mapping}[key] + 1}),
        cases=(({"a": 1, "b": 2}, "a"), ({"a": 1}, "b"), ({}, "a"), ({1: -1}, 1)),
    ),
)
