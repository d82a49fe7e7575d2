"""The parameter names that concepts share: a pool for each kind of argument.

Bodies are written with a pool's first choice; the others are put in its place. Names that bodies keep for
themselves are in no pool they meet: c a character, w a word, x an element, i an index, k a key, and result,
total, count, best.
"""

from sprig.data.sources.snippets.concept import Parameters


def _pool(choices: str) -> Parameters:
    return tuple(tuple(choice.split()) for choice in choices.split(","))


NUMBER = _pool("n, x, number, num, k, m, a, y, z, p")
TWO_NUMBERS = _pool("a b, x y, first second, left right, m n, p q, u v, one two, n k, s t")
THREE_NUMBERS = _pool(
    "a b c, x y z, p q r, u v w, first second third, k m n, one two three, left middle right, l m n, r s t"
)
BOUNDS = _pool(
    "x low high, n low high, number low high, a low high, x lower upper, n lower upper, "
    "y left right, k start end, m start end, num left right"
)
FLAG = _pool("flag, ok, done, ready, active, value, x, a, p, y")
FLAGS = _pool("a b, p q, x y, first second, left right, this that, one two, s t, u v, m n")
CHOICE = _pool(
    "flag a b, flag x y, ok x y, ok one two, done first second, done p q, "
    "ready left right, ready u v, active a b, active m n"
)
VALUE_AND_DEFAULT = _pool(
    "a b, x y, value default, first second, given other, value fallback, left right, one two, p q, x default"
)

TEXT = _pool("text, s, string, line, phrase, message, sentence, source, content, label")
NAME = _pool("name, person, user, friend, guest, who, visitor, student, player, member")
TWO_TEXTS = _pool("s t, a b, first second, left right, one two, x y, text other, string other, p q, u v")
TEXT_AND_PART = _pool(
    "text part, s part, string part, line piece, phrase piece, message part, sentence piece, "
    "source part, content piece, label part"
)
TEXT_AND_LETTER = _pool(
    "text letter, s letter, string letter, line mark, phrase letter, message mark, sentence letter, "
    "source mark, content mark, label letter"
)
WORDS = _pool("words, names, strings, texts, tokens, labels, tags, lines, terms, phrases")

LIST = _pool("items, values, numbers, xs, data, nums, elements, entries, array, seq")
LIST_AND_NUMBER = _pool(
    "items n, values n, numbers k, xs n, data k, nums m, elements n, entries size, array size, seq k"
)
LIST_AND_VALUE = _pool(
    "items target, values target, numbers wanted, xs y, data target, nums y, elements wanted, "
    "entries target, array wanted, seq y"
)
TWO_LISTS = _pool(
    "xs ys, a b, first second, left right, one two, items others, values others, these those, p q, old new"
)
ROWS = _pool("rows, grid, matrix, table, lists, groups, parts, items, nested, values")

MAPPING = _pool("mapping, d, table, lookup, record, store, registry, catalog, settings, data")
MAPPING_AND_KEY = _pool(
    "mapping key, d key, table name, lookup name, record field, store key, registry name, "
    "catalog field, settings option, data key"
)
MAPPING_AND_VALUE = _pool(
    "mapping target, d target, table y, lookup wanted, record target, store y, registry wanted, "
    "catalog wanted, settings target, data y"
)
MAPPING_KEY_VALUE = _pool(
    "mapping key value, d key value, table name value, lookup name entry, record field value, "
    "store key entry, registry name value, catalog field entry, settings option value, data key entry"
)
TWO_MAPPINGS = _pool(
    "d e, a b, first second, left right, one two, base extra, old new, mapping other, table other, p q"
)

TWO_SETS = _pool("a b, s t, first second, left right, one two, these those, old new, p q, u v, group other")
SET_AND_VALUE = _pool(
    "group item, members item, tags label, names person, team player, pool item, bag thing, "
    "basket thing, collection thing, club person"
)

SELF = _pool("self")
SELF_AND_NUMBER = _pool(
    "self amount, self n, self value, self number, self x, self change, self quantity, self step, self size, self k"
)
SELF_AND_PAIR = _pool(
    "self dx dy, self a b, self x y, self left right, self p q, self first second, self u v, "
    "self one two, self m n, self s t"
)
SELF_AND_NAME = _pool(
    "self name, self label, self text, self word, self string, self person, self user, self s, self guest, self friend"
)
SELF_AND_ITEM = _pool(
    "self item, self thing, self element, self entry, self value, self x, self member, self record, "
    "self part, self piece"
)
SELF_AND_OTHER = _pool(
    "self other, self that, self another, self rival, self friend, self player, self second, "
    "self right, self member, self y"
)
