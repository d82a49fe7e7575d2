"""Secrets inside something that has a form: PEM blocks, JSON web tokens, URLs, connection strings, headers.

Where it stands: searched by `sprig.data.cleaning.secrets` beside `tokens`. What is around the secret stays: the
URL keeps its host, the connection string its account. The forms follow RFC 7468 (PEM), RFC 7519 (JWT), RFC 3986
(URLs) and the providers' documents; gitleaks lists most of them. The expressions are ours.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from sprig.data.cleaning.secrets.finding import KEY, PASSWORD, Finding, Source, is_chance, is_placeholder

_RANK = 0
_PEM_EDGE = re.compile(rb"----[- ](BEGIN|END) (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?[- ]----")
_PUTTY = re.compile(rb"Private-Lines: [0-9]{1,3}(?:\r?\n[A-Za-z0-9+/]{1,64}+={0,2}(?=\r?\n))++")
_PEM_LIMIT = 16_000  # characters: an RSA key of 16,384 bits takes 12,700
_PEM_RUN = re.compile(rb"[A-Za-z0-9+/]{16,}+={0,2}")
_PEM_BODY = re.compile(rb"(?:(?:[\s\"'#*,+()]|\\[nr]|\\\n|//)*+[A-Za-z0-9+/]{16,}+={0,2})*+")  # no END: it was cut off
_JWT = re.compile(rb"eyJ(?:(?<![\w-]eyJ)|(?<=\\[nrt]eyJ))[\w-]{10,}+\.eyJ[\w-]{10,}+\.[\w-]{10,}+")
_URL = re.compile(
    rb"://(?:"
    rb"(?P<user>[^\s:/?#@\"'`<>\\{}()]{0,64}+):(?P<password>[^\s:/?#@\"'`<>\\{}()]{3,128}+)@(?=[\w\[*.%$-])"
    rb"|hooks\.slack\.com/(?:services|workflows|triggers)/(?P<slack>[\w/]{24,}+)"
    rb"|(?:\w{2,8}\.)?discord(?:app)?\.com/api/webhooks/(?P<discord>[0-9]{15,20}/[\w-]{40,}+)"
    rb")"
)
_FILLED_IN = re.compile(rb"[$\[*]|%\w+%\Z|%(?![0-9A-Fa-f]{2})")  # a name stands there, and no percent-encoded character
_USUAL = frozenset(
    b"password passwd passw0rd pass pwd pass1 pass123 secret token guest root admin test user mypassword mypass".split()
)
_AZURE = re.compile(rb"Key=(?:(?<=AccountKey=)|(?<=SharedAccessKey=))([A-Za-z0-9+/]{42,86}={1,2})")
_AZURE_SAS = re.compile(rb"[?&;]sig=([A-Za-z0-9%+/]{40,80}(?:%3[dD]|=))")
_BEARER = re.compile(rb"earer (?<=[Bb]earer )([\w.~+/-]{20,}+=*+)")
_TOKEN = re.compile(rb"uthorization[\"']?[ \t]*+[:=,][ \t]*+[\"']?[Tt]oken ([\w.~+/-]{20,}+=*+)")
_BASIC = re.compile(rb"asic (?<=[Bb]asic )([A-Za-z0-9+/]{12,}+={0,2})")


def find(source: Source) -> Iterator[Finding]:
    """Find the secrets that stand inside a block, a URL, a connection string or a header."""
    raw = source.raw
    yield from _pem_blocks(raw)
    for match in _PUTTY.finditer(raw):
        yield Finding(raw.index(b"\n", match.start()) + 1, match.end(), _RANK, "private_key_block", KEY)
    for match in _JWT.finditer(raw):
        if is_chance(match[0]):
            yield Finding(*match.span(), _RANK, "jwt", KEY)
    for match in _URL.finditer(raw):
        yield from _in_url(match)
    for match in _AZURE.finditer(raw):
        if is_chance(match[1]):
            yield Finding(*match.span(1), _RANK, "azure", KEY)
    if b"sig=" in raw:
        for match in _AZURE_SAS.finditer(raw):
            if is_chance(match[1]):
                yield Finding(*match.span(1), _RANK, "azure", KEY)
    for form in (_BEARER, _TOKEN):
        for match in form.finditer(raw):
            if is_chance(match[1]) and any(48 <= c <= 57 for c in match[1]):
                yield Finding(*match.span(1), _RANK + 2, "authorization_header", KEY)
    for match in _BASIC.finditer(raw):
        if _is_basic(match[1]):
            yield Finding(*match.span(1), _RANK, "authorization_header", KEY)


def _in_url(match: re.Match[bytes]) -> Iterator[Finding]:
    for group in ("slack", "discord"):
        if match[group] is not None and is_chance(match[group]):
            yield Finding(*match.span(group), _RANK, f"{group}_webhook", KEY)
    password = match["password"]
    if password is None or _FILLED_IN.match(password) or password.lower() in _USUAL or password == match["user"]:
        return
    if len(set(password)) > 2 and not is_placeholder(password):
        yield Finding(*match.span("password"), _RANK, "url_password", PASSWORD)


def _is_basic(value: bytes) -> bool:
    try:
        text = base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return b":" in text and all(32 <= c < 127 for c in text)


def _pem_blocks(raw: bytes) -> Iterator[Finding]:
    edges = list(_PEM_EDGE.finditer(raw))
    for index, begin in enumerate(edges):
        if begin[1] == b"END":
            continue
        end = edges[index + 1] if index + 1 < len(edges) and edges[index + 1][1] == b"END" else None
        if end is None or end.start() - begin.end() > _PEM_LIMIT:
            body = _PEM_BODY.match(raw, begin.end(), begin.end() + _PEM_LIMIT)
            stop = body.end() if body else begin.end()
        else:
            stop = end.end()
        runs = list(_PEM_RUN.finditer(raw, begin.end(), stop))
        if not runs:
            continue
        service = b"private_key" in raw[max(0, begin.start() - 40) : begin.start()]
        kind = "gcp_service_account" if service else "private_key_block"
        if any(quote in raw[begin.end() : stop] for quote in (b'"', b"'")):
            # One literal for each line: the quotes stay, and the literals with them.
            yield from (Finding(*run.span(), _RANK, kind, KEY) for run in runs)
        else:
            yield Finding(begin.start(), stop, _RANK, kind, KEY)
