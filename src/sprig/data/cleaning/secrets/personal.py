"""Personal data: e-mail addresses, and the public IP addresses of somebody's machine.

Where it stands: searched by `sprig.data.cleaning.secrets` last. What is kept and what is replaced follows the PII
pipeline of BigCode (bigcode-dataset/pii, StarCoder section 4): private addresses and the resolvers that everybody
uses stay. Ranges are those of the IANA special-purpose registries (RFC 6890). Python's `ipaddress` is not asked:
its answers keep the address in a cache.
"""

import re
import socket
from collections.abc import Iterator

from sprig.data.cleaning.secrets.finding import ADDRESS, EMAIL, Finding, Source, at_edge

_RANK = 2
# Domains that end in what is no top-level domain are attributes (w@self.h.mean) or files (icon@2x.png).
_TOP = frozenset(
    b"com org net edu gov mil int info biz pro xyz app dev online site tech cloud mobi museum asia eu "
    b"academy aero africa agency art bank berlin blog business capital care cat center church city club codes coffee "
    b"college community company computer consulting coop cymru dance design digital directory earth education email "
    b"energy engineer engineering enterprises estate events exchange expert family farm film finance financial "
    b"fitness foundation fund fyi games gent global gmbh green group guide guru hamburg health help holdings hosting "
    b"house icu industries institute insure international investments jobs koeln land law legal life limited live "
    b"lol london love ltd management market marketing media nagoya network news ngo ninja nyc one ooo page paris "
    b"partners party photography photos pictures press productions properties quebec rocks sale scot school science "
    b"security services shop show social software solar solutions space store studio style support systems tattoo "
    b"team technology tel today tokyo tools top tours town trade training travel university ventures video vip "
    b"vision wales watch website wien wiki win work works world wtf zone "
    b"ac ad ae af ag ai al am ao ar at au aw az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg "
    b"ch ci ck cl cm cn co cr cu cv cy cz de dj dk dm do dz ec ee eg es et fi fj fm fo fr ga gb ge gg gh gi gl gm gn "
    b"gr gt gy hk hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh kr kw ky kz la lb lc li lk lt lu lv "
    b"ly ma mc me mg mk ml mm mn mo mr mt mu mv mw mx my mz na nc ne ng ni nl no np nu nz om pa pe pf pg ph pk pl pm "
    b"pr pt pw qa re ro rs ru rw sa sb sc sd se sg si sk sl sm sn sr st su sv sy tc td tg th tj tk tl tm tn to tr tt "
    b"tv tw tz ua ug uk us uy uz va vc ve vg vn vu ws ye za zm zw".split()
)  # without py, sh, so, md, ps: those are files
_DOMAIN = re.compile(
    rb"@(?<=[A-Za-z0-9_+?-]@)((?:[A-Za-z0-9-]{1,63}\.){1,5})([A-Za-z]{2,13})(?![\w@(\[-]|\.[A-Za-z0-9])"
)
# Of what is not ASCII, Latin, Greek and Cyrillic: in Japanese, say, no space stands between words and an address.
_LOCAL = re.compile(r"[A-Za-z0-9._%+\-À-ÖØ-öø-ɏͰ-ϿЀ-ԯḀ-ỿἀ-ῼ]{1,64}")
_RESERVED = re.compile(rb"(?:^|\.)(?:example|invalid|test|localhost|local|users\.noreply\.github)\.", re.I)
_REMOTE = re.compile(rb":[\w~./-]*(?:/|\.git)")  # me@host:src/project.git
# Who copies code; and in Kotlin, this@Outer.info and return@launch.app.
_NOBODY = frozenset(["git", "hg", "svn", "this", "super", "return", "break", "continue"])
_USER_INFO = re.compile(rb"://[^\s/?#\"'<>]{0,200}$")

_QUAD = re.compile(rb"\.(?<=0\.)0{1,3}\.0{1,3}\.0{1,3}(?![a-z0_]|\.0|[-+][a-z])")
_VERSION = re.compile(rb"version|firmware|revision|release|build|section|oid|ver(?![a-z])")
_ALSO_WITHIN = frozenset([b"version", b"firmware", b"revision", b"release"])  # of words, as others stand in "void"
_PIN = re.compile(rb"(?:(?:[=<>~!]=|[<>~^]) ?|\.|[A-Za-z][-/])\Z")  # package==1.22.3.14, name-1.22.3.14
# How the ranges start that belong to no machine outside, or to documentation.
_SPECIAL: frozenset[tuple[int, ...]] = frozenset(
    [
        *[(first,) for first in (0, 10, 127, *range(224, 256))],
        *[(100, second) for second in range(64, 128)],
        *[(172, second) for second in range(16, 32)],
        *[(169, 254), (192, 168), (198, 18), (198, 19)],
        *[(192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 51, 100), (203, 0, 113)],
    ]
)
_RESOLVERS = frozenset(
    b"149.112.112.112 208.67.222.222 208.67.220.220 94.140.14.14 94.140.15.15 "
    b"2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001".split()
)
_COLONS = re.compile(rb":(?<=[0a-f]{4}:)[0a-f]{0,4}:")
_SIX = re.compile(rb"[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{2,35}(?![\w:.])")
_SIX_DOCUMENTATION = (b"\x20\x01\x0d\xb8", b"\x3f\xff\x0f")


def find(source: Source) -> Iterator[Finding]:
    """Find e-mail addresses and public IP addresses."""
    yield from _emails(source)
    yield from _quads(source)
    for match in _COLONS.finditer(source.fold):
        start = match.start() - 4
        address = _SIX.match(source.raw, start)
        inside = not at_edge(source.raw, start) or source.raw[max(0, start - 1) : start] in (b":", b".")
        if address and not inside and _is_public_six(address[0]):
            yield Finding(start, address.end(), _RANK, "ipv6", ADDRESS)


def _emails(source: Source) -> Iterator[Finding]:
    text, raw = source.text, source.raw
    backwards = text[::-1] if b"@" in raw else ""
    for match in _DOMAIN.finditer(raw):
        at = match.start()
        found = _LOCAL.match(backwards, len(text) - at)
        if found is None or match[2].lower() not in _TOP or _RESERVED.search(match[1]):
            continue
        local = found[0][::-1]
        before = text[max(0, at - len(local) - 1) : at - len(local)]
        if before == "\\" and local[0] in "nrtfv":  # "\nme@...": the n belongs to the escape
            local = local[1:]
        local = local.lstrip(".-%+")
        start = at - len(local)
        if not local or local.lower() in _NOBODY or _REMOTE.match(raw, match.end(), match.end() + 100):
            continue
        if _USER_INFO.search(raw, max(0, start - 200), start) or source.is_bare(at):
            continue
        yield Finding(start, match.end(), _RANK, "email", EMAIL)


def _quads(source: Source) -> Iterator[Finding]:
    raw, fold = source.raw, source.fold
    for match in _QUAD.finditer(fold):
        start = match.start() - 1
        while start and match.start() - start < 3 and raw[start - 1 : start].isdigit():
            start -= 1
        if not at_edge(raw, start) or _PIN.search(raw, max(0, start - 3), start):
            continue
        parts = [*map(int, raw[start : match.end()].split(b"."))]
        network = parts[3] == 0 and raw[match.end() : match.end() + 1] == b"/"
        if max(parts) > 255 or network or not _is_public_four(parts) or raw[start : match.end()] in _RESOLVERS:
            continue
        near = max(0, start - 80)
        if not _follows_version(source, max(fold.rfind(b"\n", near, start) + 1, near), start):
            yield Finding(start, match.end(), _RANK, "ipv4", ADDRESS)


def _follows_version(source: Source, start: int, end: int) -> bool:
    """Whether a word for numbers with dots stands there: "build", "iosBuild", but no "rebuild"."""
    for match in _VERSION.finditer(source.fold, start, end):
        at = match.start()
        if match[0] in _ALSO_WITHIN or source.raw[at : at + 1].isupper() or not source.raw[at - 1 : at].isalpha():
            return True
    return False


def _is_public_four(parts: list[int]) -> bool:
    # 2.5.4.31 is an object identifier or a section as often as an address, 13.104.0.0 a network.
    if sorted(parts)[2] < 10 or parts[2:] == [0, 0]:
        return False
    first, second, third, _ = parts
    return (first,) not in _SPECIAL and (first, second) not in _SPECIAL and (first, second, third) not in _SPECIAL


def _is_public_six(text: bytes) -> bool:
    # 2a00:1450:: is a network, x[2000::2] a slice.
    if text in _RESOLVERS or text.endswith(b"::") or (text.count(b":") < 3 and text[:4].isdigit()):
        return False
    try:
        packed = socket.inet_pton(socket.AF_INET6, text.decode())
    except OSError:
        return False
    return not packed.startswith(_SIX_DOCUMENTATION)
