"""Concepts of lists: a list in, an element, a number or another list out, or the list itself changed."""

import heapq
import math
import statistics
from functools import partial, reduce

from sprig.data.sources.snippets.concept import Concept, define
from sprig.data.sources.snippets.parameters import LIST, LIST_AND_NUMBER, LIST_AND_VALUE, TWO_LISTS

concept = partial(define, "lists")


CONCEPTS: tuple[Concept, ...] = (
    concept(
        "first_item head_item front_item",
        LIST,
        direct="return items[0]",
        called="return next(iter(items))",
        unpacked="""
            head, *rest = items
            return head""",
        reference=lambda items: items[-len(items)],
        cases=(([1, 2, 3],), ([5],), ([0, 7],), (["b", "a"],), ([3, 3, 1],)),
    ),
    concept(
        "last_item tail_item final_item",
        LIST,
        direct="return items[-1]",
        stepwise="""
            i = len(items) - 1
            return items[i]""",
        unpacked="""
            *rest, last = items
            return last""",
        reference=lambda items: next(reversed(items)),
        cases=(([1, 2, 3],), ([5],), ([7, 0],), (["b", "a"],), ([1, 3, 3],)),
    ),
    concept(
        "length size_of count_all",
        LIST,
        direct="return len(items)",
        listed="return sum(1 for x in items)",
        loop="""
            count = 0
            for x in items:
                count += 1
            return count""",
        reference=lambda items: reduce(lambda count, _: count + 1, items, 0),
        cases=(([1, 2, 3],), ([5],), ([],), ([7, 7, 7, 7],)),
    ),
    concept(
        "append_item push_item add_last",
        LIST_AND_VALUE,
        direct="items.append(target)",
        sliced="items[len(items):] = [target]",
        stepwise="""
            i = len(items)
            items.insert(i, target)""",
        reference=lambda items, target: items.extend([target]),
        cases=(([1, 2], 3), ([], 1), ([5], 5), ([0, 0], -1)),
    ),
    concept(
        "extend_list append_all add_all",
        TWO_LISTS,
        direct="xs.extend(ys)",
        sliced="xs[len(xs):] = ys",
        loop="""
            for x in ys:
                xs.append(x)""",
        reference=lambda one, two: one.__setitem__(slice(len(one), None), two),
        cases=(([1, 2], [3]), ([], [1, 1]), ([5], []), ([2, 1], [1, 2])),
    ),
    concept(
        "flip_list reverse_list turn_around",
        LIST,
        direct="items.reverse()",
        sliced="items[:] = items[::-1]",
        mapped="items[:] = reversed(items)",
        reference=lambda items: items.__setitem__(slice(None), [items.pop() for _ in range(len(items))]),
        cases=(([1, 2, 3],), ([5],), ([],), ([2, 1, 1, 4],)),
    ),
    concept(
        "take first_items keep_first",
        LIST_AND_NUMBER,
        direct="return items[:n]",
        listed="return [x for i, x in enumerate(items) if i < n]",
        stepwise="""
            result = list(items)
            return result[:n]""",
        reference=lambda items, count: [pair[0] for pair in zip(items, range(count), strict=False)],
        cases=(([1, 2, 3], 2), ([1, 2], 0), ([4, 5], 5), ([], 1), ([3, 1, 2], 1)),
    ),
    concept(
        "drop skip_items drop_first",
        LIST_AND_NUMBER,
        direct="return items[n:]",
        listed="return [x for i, x in enumerate(items) if i >= n]",
        stepwise="""
            result = list(items)
            return result[n:]""",
        reference=lambda items, count: [items[place] for place in range(count, len(items))],
        cases=(([1, 2, 3], 2), ([1, 2], 0), ([4, 5], 5), ([], 1), ([3, 1, 2], 1)),
    ),
    concept(
        "total sum_up sum_list",
        LIST,
        direct="return sum(items)",
        loop="""
            total = 0
            for x in items:
                total += x
            return total""",
        recursive="return items[0] + total_recursive(items[1:]) if items else 0",
        reference=lambda items: reduce(lambda total, x: total + x, items, 0),
        cases=(([1, 2, 3],), ([5],), ([],), ([-1, 4, -6],), ([2, 2],)),
    ),
    concept(
        "product multiply_all product_list",
        LIST,
        loop="""
            result = 1
            for x in items:
                result *= x
            return result""",
        recursive="return items[0] * product_recursive(items[1:]) if items else 1",
        guarded="""
            if not items:
                return 1
            return items[0] * product_guarded(items[1:])""",
        reference=math.prod,
        cases=(([1, 2, 3],), ([5],), ([],), ([-1, 4, -6],), ([2, 0],)),
    ),
    concept(
        "maximum largest max_item",
        LIST,
        direct="return max(items)",
        sorted="return sorted(items)[-1]",
        loop="""
            best = items[0]
            for x in items:
                best = max(best, x)
            return best""",
        reference=lambda items: heapq.nlargest(1, items)[0],
        cases=(([1, 3, 2],), ([5],), ([-4, -2, -9],), ([7, 7, 1],), ([9, 0],)),
    ),
    concept(
        "minimum smallest min_item",
        LIST,
        direct="return min(items)",
        sorted="return sorted(items)[0]",
        loop="""
            best = items[0]
            for x in items:
                best = min(best, x)
            return best""",
        reference=lambda items: heapq.nsmallest(1, items)[0],
        cases=(([3, 1, 2],), ([5],), ([-4, -9, -2],), ([7, 7, 8],), ([9, 0],)),
    ),
    concept(
        "average mean mean_item",
        LIST,
        direct="return sum(items) / len(items)",
        stepwise="""
            total = sum(items)
            return total / len(items)""",
        loop="""
            total = 0
            for x in items:
                total += x
            return total / len(items)""",
        reference=statistics.fmean,
        cases=(([1, 2, 3],), ([5],), ([-4, 2],), ([7, 7, 8, 0],)),
    ),
    concept(
        "contains has_item includes",
        LIST_AND_VALUE,
        direct="return target in items",
        called="return items.count(target) > 0",
        loop="""
            for x in items:
                if x == target:
                    return True
            return False""",
        reference=lambda items, target: any(x == target for x in items),
        cases=(([1, 2, 3], 2), ([1, 2, 3], 4), ([], 1), ([5, 5], 5), ([0], False)),
    ),
    concept(
        "index_of find_item position_of",
        LIST_AND_VALUE,
        inline="return items.index(target) if target in items else -1",
        branch="""
            if target in items:
                return items.index(target)
            return -1""",
        loop="""
            for i, x in enumerate(items):
                if x == target:
                    return i
            return -1""",
        reference=lambda items, target: next((i for i, x in enumerate(items) if x == target), -1),
        cases=(([1, 2, 3], 2), ([1, 2, 3], 4), ([], 1), ([5, 5], 5), ([4, 6, 6], 6)),
    ),
    concept(
        "count_item times_seen occurrences",
        LIST_AND_VALUE,
        direct="return items.count(target)",
        listed="return len([x for x in items if x == target])",
        loop="""
            count = 0
            for x in items:
                count += x == target
            return count""",
        reference=lambda items, target: sum(1 for x in items if x == target),
        cases=(([1, 2, 1], 1), ([1, 2, 3], 4), ([], 1), ([5, 5, 5], 5)),
    ),
    concept(
        "sort_up ascending in_order",
        LIST,
        direct="return sorted(items)",
        stepwise="""
            result = list(items)
            result.sort()
            return result""",
        unpacked="""
            result = [*items]
            result.sort()
            return result""",
        reference=lambda items: heapq.nsmallest(len(items), items),
        cases=(([3, 1, 2],), ([5],), ([],), ([2, -1, 2, 0],)),
    ),
    concept(
        "sort_down descending largest_first",
        LIST,
        direct="return sorted(items, reverse=True)",
        sliced="return sorted(items)[::-1]",
        stepwise="""
            result = sorted(items)
            result.reverse()
            return result""",
        reference=lambda items: heapq.nlargest(len(items), items),
        cases=(([3, 1, 2],), ([5],), ([],), ([2, -1, 2, 0],)),
    ),
)
