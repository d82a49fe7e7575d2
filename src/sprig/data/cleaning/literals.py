"""Where Python's comments and strings are, without parsing: a parser may take minutes over one line.

Where it stands: below `filters.python`, which takes them out, and `secrets`, for which some things are only in them.
"""

import re

# The quantifiers keep what they took ("+"): a string that is never closed ends with its line or with the file, and is
# not tried again from its middle. Each branch begins with a sign of its own, which lets re skip all others quickly.
LITERAL = re.compile(
    r"#[^\n]*+"
    r'|"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?+|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+(?:\'\'\')?+'
    r'|"(?:[^"\\\n]|\\.)*+"?+|\'(?:[^\'\\\n]|\\.)*+\'?+',
    re.DOTALL,
)
"""Each comment and each string, without its prefix. In a string within an f-string of the same quotes it errs."""
