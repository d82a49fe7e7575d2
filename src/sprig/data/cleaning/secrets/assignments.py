"""Literals that look drawn by chance, given to names such as password, secret, token or api_key.

Where it stands: searched by `sprig.data.cleaning.secrets` after the keys that have a form. The idea, names and
entropy together, is that of gitleaks' generic-api-key and detect-secrets' keyword plugin. It keeps back: a value is
replaced only where it is a literal, or cannot be code, and where neither words nor placeholders explain it.
"""

import re
from collections.abc import Iterator

from sprig.data.cleaning.secrets.finding import (
    KEY,
    PASSWORD,
    Finding,
    Source,
    entropy,
    is_placeholder,
    is_words,
    kinds_of,
    mixture,
)

_RANK = 3
_ASSIGNED = (
    rb"[a-z0_-]{0,30}+"
    rb"(?:[\"']?\]?[ \t]*+(?::[ \t]*+[a-z_][a-z0_.\[\]| ]{0,40}+=|=>|[:=!]?=|:)"  # = : => and, with its type, : str =
    rb"|[\"'],\s{0,80}+(?:default=)?|\(|[\"']\)[ \t]*+or[ \t]"  # ", ( and ("API_KEY") or
    rb"|[ \t]++(?=\"))"  # or, as in a #define, nothing
    rb"[ \t]*+(?:\(\s{0,80}+)?[brfu]{0,2}"
    rb"(?:\"\"\"|'''|[\"'`]|(?=[a-z0+/_-]{16}))"
)
_NAMES = [
    re.compile(name + _ASSIGNED)
    for name in (rb"passw", rb"pwd", rb"passphrase", rb"secret", rb"token", rb"credential", rb"key", rb"heroku")
]
_KEY_BEFORE = re.compile(
    rb"(?:api|access|auth|secret|private|account|storage|encryption|signing|consumer|application|app|master|shared|"
    rb"subscription|service|client|license|deploy|admin|hmac|fernet|encrypt|cipher|ssh|jwt|session|webhook|"
    rb"azure|openai|mistral|cohere|together|gemini|google|stripe|sendgrid|mailgun|twilio|heroku|speech|maps)[_-]?$"
)
_NO_SECRET = re.compile(
    rb"(?:url|uri|name|path|file|field|type|label|class|header|prefix|regex|pattern|_re|_id)s?$|public"
)
_NAME = re.compile(rb"[a-z0_-]+")
_LITERAL = re.compile(rb"[!#-&(-;=?-\[\]^_`a-z|~]{8,4096}+(?=[\"'])")  # no quote, backslash, brace, < or >, no space
_TICKED = re.compile(rb"[!#-&(-;=?-\[\]^_a-z|~]{8,4096}+(?=`)")
_BARE = re.compile(rb"[A-Za-z0-9+/_=.~-]{16,4096}+(?=[ \t]*+(?:\n|#|\Z))")
_IN_QUERY = re.compile(rb"[\w~.%+/-]{16,4096}+")
_QUERY = re.compile(rb"[^&?\s][?&]\Z")  # no && of code, no & of a reference
_AWS = re.compile(rb"[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])")
_AWS_ID = re.compile(rb"AKIA[A-Z0-9]{16}[\"']")
_AWS_BESIDE = re.compile(rb"[\"']([A-Za-z0-9+/]{40})[\"']")
_AWS_REACH = 160  # characters from a key's id to its secret
_DJANGO = re.compile(rb"(?:django-insecure-)?[a-z0-9!@#$%^&*(\-_=+)]{50}")  # get_random_secret_key of Django
_NOT_CODE = re.compile(rb"[0-9]++[A-Za-z]")  # no Python: a number that runs on
_SIGNS = re.compile(rb"[!#%&*+=?^~]")
_FORMATS = re.compile(rb"%[(sdr]|\$[({A-Z]|://|\(.*\)|^\.{0,2}/[a-z]|^[@$]")


def find(source: Source) -> Iterator[Finding]:
    """Find what names and chance together say is a secret."""
    raw = source.raw
    for pattern in _NAMES:
        for match in pattern.finditer(source.fold):
            finding = _assigned(source, match.start(), match.end())
            if finding is not None:
                yield finding
    for match in _AWS_ID.finditer(raw):
        beside = _AWS_BESIDE.search(raw, match.end(), match.end() + _AWS_REACH)
        if beside and _is_aws(beside[1]):
            yield Finding(*beside.span(1), _RANK, "aws_secret_access_key", KEY)


def _assigned(source: Source, start: int, at: int) -> Finding | None:
    raw, fold = source.raw, source.fold
    quote = raw[at - 1 : at]
    quoted = quote in (b'"', b"'", b"`")
    before = _name(fold[max(0, start - 30) : start][::-1])[::-1]
    full = before + _name(fold[start : start + 40])
    opens = start - len(before)
    in_query = raw[opens + len(full) : at] == b"=" and _QUERY.search(raw, max(0, opens - 2), opens) is not None
    form = _TICKED if quote == b"`" else _LITERAL if quoted else _IN_QUERY if in_query else _BARE
    value = form.match(raw, at)
    if value is None or (quoted and raw[value.end() : value.end() + 1] != quote):
        return None
    between = raw[opens + len(full) : at]
    if b"\n" in between and b"," in between and not raw[opens : opens + len(full)].isupper():
        return None  # two words of a list, unless it is a variable of the environment and its default
    if fold.startswith(b"key", start) and not _KEY_BEFORE.search(before):
        return None
    password = fold.startswith((b"passw", b"pwd", b"passphrase"), start)
    if b"secret" in full and _AWS.fullmatch(value[0]) and _is_aws(value[0]) and (b"aws" in full or b"access" in full):
        return Finding(*value.span(), _RANK, "aws_secret_access_key", KEY)
    if quoted and full.endswith(b"secret_key") and _is_djangos(value[0]):
        return Finding(*value.span(), _RANK, "secret", KEY)  # whose signs may look like those of a format
    if _NO_SECRET.search(full) or not _is_secret(value[0], password):
        return None
    if not quoted and not in_query and not _cannot_be_code(source, value):
        return None
    kind = next((kind for kind in _PROVIDERS if kind.encode() in full), "password" if password else "secret")
    return Finding(*value.span(), _RANK, kind, PASSWORD if password else KEY)


def _name(text: bytes) -> bytes:
    match = _NAME.match(text)
    return match[0] if match else b""


_PROVIDERS = ("azure", "bitbucket", "discord", "heroku", "mailgun", "twilio")  # their keys have no form of their own


def _is_secret(value: bytes, password: bool) -> bool:
    kinds = kinds_of(value)
    if b"0" not in kinds or (b"a" not in kinds and b"A" not in kinds) or is_placeholder(value):
        return False
    if _FORMATS.search(value):
        return False
    if password and b"A" in kinds and _SIGNS.search(value):  # it follows the rules of those who make rules for them
        return mixture(value) >= 3 and entropy(value) >= 2.5
    if is_words(value) or len(value) < 16:  # too short for entropy to say much
        return password and not is_words(value) and b"A" in kinds and mixture(value) >= 3 and entropy(value) >= 2.5
    return mixture(value) >= len(value) / 6 and entropy(value) >= 3.0


def _is_djangos(value: bytes) -> bool:
    return _DJANGO.fullmatch(value) is not None and b"0" in kinds_of(value) and entropy(value) >= 4.0


def _is_aws(value: bytes) -> bool:
    return not is_placeholder(value) and not is_words(value) and mixture(value) >= 10 and entropy(value) >= 4.0


def _cannot_be_code(source: Source, value: re.Match[bytes]) -> bool:
    """Whether a value without quotes can be replaced: it stands in a comment, is no code, or the text has none."""
    raw = source.raw
    near = max(0, value.start() - 200)
    line = raw[raw.rfind(b"\n", near, value.start()) + 1 or near : value.start()].lstrip()
    if line.startswith((b"#", b"//")) or _NOT_CODE.match(value[0]):
        return True
    return not source.is_code
