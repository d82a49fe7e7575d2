"""Concepts of sets: membership, what two sets share, what a list repeats."""

from collections import Counter
from functools import partial

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import LIST, SET_AND_VALUE, TWO_SETS

concept = partial(define, "sets")

CONCEPTS: tuple[Concept, ...] = (
    concept(
        "unique_set distinct_set as_set",
        LIST,
        direct="return set(items)",
        listed="return {x for x in items}",
        loop="""
            result = set()
            for x in items:
                result.add(x)
            return result""",
        reference=lambda items: set(dict.fromkeys(items)),
        cases=(([1, 2, 1],), ([],), (["a"],), ([3, 3, 3],)),
    ),
    concept(
        "union either_set all_members",
        TWO_SETS,
        direct="return a | b",
        called="return a.union(b)",
        unpacked="return {*a, *b}",
        reference=lambda one, two: {member for group in (one, two) for member in group},
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, set()), ({"a"}, {"b"}), ({1, 2}, {1})),
    ),
    concept(
        "intersection both_sets shared_members",
        TWO_SETS,
        direct="return a & b",
        called="return a.intersection(b)",
        listed="return {x for x in a if x in b}",
        reference=lambda one, two: one - (one - two),
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, {1}), ({"a"}, {"b"}), ({1, 2, 3}, {3, 1})),
    ),
    concept(
        "set_difference only_first members_without",
        TWO_SETS,
        direct="return a - b",
        called="return a.difference(b)",
        listed="return {x for x in a if x not in b}",
        reference=lambda one, two: one ^ (one & two),
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, {1}), ({"a"}, {"b"}), ({1, 2, 3}, {3})),
    ),
    concept(
        "exclusive in_one unshared_members",
        TWO_SETS,
        direct="return a ^ b",
        called="return a.symmetric_difference(b)",
        stepwise="""
            result = a & b
            return (a | b) - result""",
        reference=lambda one, two: (one - two) | (two - one),
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, {1}), ({"a"}, {"b"}), ({1, 2, 3}, {3})),
    ),
    concept(
        "is_subset inside_set all_inside",
        TWO_SETS,
        direct="return a <= b",
        called="return a.issubset(b)",
        listed="return all(x in b for x in a)",
        reference=lambda one, two: not one - two,
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, {1}), ({1}, {1, 2}), ({1, 2}, {1}), ({3}, set())),
    ),
    concept(
        "is_disjoint nothing_shared share_nothing",
        TWO_SETS,
        direct="return not a & b",
        called="return a.isdisjoint(b)",
        listed="return all(x not in b for x in a)",
        reference=lambda one, two: len(one | two) == len(one) + len(two),
        cases=(({1, 2}, {2, 3}), (set(), {1}), ({1}, {1}), ({"a"}, {"b"}), ({1, 2}, {3})),
    ),
    concept(
        "add_member join_group include_item",
        SET_AND_VALUE,
        direct="group.add(item)",
        called="group.update({item})",
        branch="""
            if item not in group:
                group.add(item)""",
        reference=lambda group, member: group.__ior__({member}) and None,
        cases=(({1, 2}, 3), (set(), 1), ({1}, 1), ({"a"}, "b")),
    ),
    concept(
        "remove_member leave_group exclude_item",
        SET_AND_VALUE,
        direct="group.discard(item)",
        called="group.difference_update({item})",
        branch="""
            if item in group:
                group.remove(item)""",
        reference=lambda group, member: group.intersection_update(group - {member}),
        cases=(({1, 2}, 2), (set(), 1), ({1}, 1), ({"a"}, "b")),
    ),
    concept(
        "count_unique distinct_count unique_size",
        LIST,
        direct="return len(set(items))",
        listed="return len({x for x in items})",
        stepwise="""
            result = set(items)
            return len(result)""",
        reference=lambda items: len(Counter(items)),
        cases=(([1, 2, 1],), ([],), (["a"],), ([3, 3, 3],), ([1, 2, 3, 2],)),
    ),
    concept(
        "has_duplicates has_repeats any_twice",
        LIST,
        direct="return len(set(items)) < len(items)",
        negated="return not len(set(items)) == len(items)",
        stepwise="""
            result = set(items)
            return len(result) < len(items)""",
        reference=lambda items: any(items.index(x) != place for place, x in enumerate(items)),
        cases=(([1, 2, 1],), ([],), (["a"],), ([3, 3, 3],), ([1, 2, 3],)),
    ),
)
