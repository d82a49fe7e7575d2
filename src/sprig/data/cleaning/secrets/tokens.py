"""Keys to which a provider gave a form of their own: how they start, how long they are, what they are made of.

Where it stands: searched first by `sprig.data.cleaning.secrets`. The forms are those that the providers publish and
that gitleaks (config/gitleaks.toml), trufflehog (pkg/detectors/) and detect-secrets (plugins/) list; the expressions
are ours. Each starts with a literal, which `re` finds at about 2 GB/s, and looks at what stands before it only then.
Where a match begins at the edge of a run of its characters, none is read twice: time is linear.
"""

import re
from collections.abc import Iterator

from sprig.data.cleaning.secrets.finding import KEY, Finding, Source, at_edge, is_chance

_RANK = 1
_W = r"[\w-]"
_END = r"(?![A-Za-z0-9])"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _form(kind: str, start: str, rest: str) -> tuple[str, re.Pattern[bytes]]:
    # A "\nghp_..." inside a literal: the n belongs to the escape, the key starts behind it.
    edge = rf"(?:(?<![A-Za-z0-9_]{start})|(?<=\\[nrt]{start}))"
    return kind, re.compile(f"{start}{edge}({rest})".encode())


# Kind, the start (of one width, a literal first), the rest: what chance has chosen, and is tested for it.
_TOKENS = [
    _form("aws_access_key_id", "A(?:[KS]IA|BIA|CCA)", rf"[A-Z0-9]{{16}}{_END}"),
    _form("gcp_api_key", "AIza", rf"{_W}{{35}}(?!{_W})"),
    _form("google_oauth", "GOCSPX-", rf"{_W}{{28}}(?!{_W})"),
    _form("google_oauth", r"ya29\.", rf"{_W}{{20,}}+"),
    _form("google_oauth", "1//0", rf"{_W}{{40,}}+"),
    _form("github", "gh[pousr]_", r"[A-Za-z0-9]{36,}+"),
    _form("github", "github_pat_", r"\w{60,}+"),
    _form(
        "gitlab",
        "gl",
        rf"(?:[drfw]t|pat|ptt|cbt|rtr|oas|imt|soat|ffct|agent)-{_W}{{20,}}+(?:\.{_W}{{2,}}+)*+",
    ),
    _form("bitbucket", "ATBB", r"[A-Za-z0-9]{28,}+"),
    _form("atlassian", "AT[AC]TT3", rf"{_W}{{60,}}+=?[A-F0-9]*+"),
    _form("slack_token", "x(?:ox[abeprs]|app)-", r"[A-Za-z0-9-]{16,}+"),
    _form("stripe", "sk_(?:live|test)_", r"[A-Za-z0-9]{16,}+"),
    _form("stripe", "rk_(?:live|test)_", r"[A-Za-z0-9]{16,}+"),
    _form("stripe", "whsec_", r"[A-Za-z0-9+/]{32,}+=*+"),
    _form("twilio", "SK", rf"[0-9a-f]{{32}}{_END}"),
    _form("sendgrid", r"SG\.", rf"{_W}{{22}}\.{_W}{{43}}(?!{_W})"),
    _form("mailgun", "key-", rf"[0-9a-f]{{32}}{_END}"),
    _form("npm", "npm_", r"[A-Za-z0-9]{36,}+"),
    _form("pypi", "pypi-AgE", rf"{_W}{{50,}}+"),
    _form("hugging_face", "hf_", rf"[A-Za-z0-9]{{30,40}}+{_END}"),
    _form("hugging_face", "api_org_", rf"[A-Za-z0-9]{{30,40}}+{_END}"),
    _form("anthropic", "sk-ant-", rf"{_W}{{32,}}+"),
    _form("openrouter", "sk-or-v1-", rf"[0-9a-f]{{64}}{_END}"),
    _form("groq", "gsk_", rf"[A-Za-z0-9]{{52}}{_END}"),
    _form("xai", "xai-", r"\w{80,}+(?!-)"),
    _form("replicate", "r8_", rf"{_W}{{37}}(?!{_W})"),
    _form("perplexity", "pplx-", r"[A-Za-z0-9]{48,}+"),
    _form("nvidia", "nvapi-", rf"{_W}{{60,}}+"),
    _form("langsmith", "lsv2_(?:pt|sk)_", rf"[0-9a-f]{{32}}_[0-9a-f]{{10}}{_END}"),
    _form("fireworks", "fw_", r"(?=[A-Za-z]*+[0-9])[A-Za-z0-9]{22,}+(?!_)"),  # not fw_NameOfAFunction
    _form("openai", "sk-", rf"(?:proj|svcacct|admin)-{_W}{{32,}}+|[A-Za-z0-9]{{32,}}+"),
    _form("digitalocean", "do[opr]_v1_", rf"[a-f0-9]{{64}}{_END}"),
    _form("heroku", "HRKU-", rf"{_UUID}|AA{_W}{{40,}}+"),
    _form("databricks", "dapi", rf"[a-f0-9]{{32}}(?:-[0-9])?{_END}"),
    _form("vault", r"hv[sb]\.", rf"{_W}{{90,}}+"),
    _form("docker", "dckr_[po]at_", rf"{_W}{{27,32}}+(?!{_W})"),
    _form("sentry", "sntry", rf"s_eyJ[A-Za-z0-9+/=]{{20,}}+_[A-Za-z0-9+/]{{43}}|u_[0-9a-f]{{64}}{_END}"),
    _form("grafana", "glsa_", rf"[A-Za-z0-9]{{32}}_[0-9a-fA-F]{{8}}{_END}"),
    _form("grafana", "glc_", r"eyJ[A-Za-z0-9+/]{32,}+=*+"),
    _form("supabase", "sbp_", rf"[0-9a-z]{{40}}{_END}"),
    _form("age", "AGE-SECRET-KEY-1", rf"[AC-HJ-NP-Z02-9]{{58}}{_END}"),
    _form("shopify", "shp(?:at|ss|ca|pa)_", rf"[a-fA-F0-9]{{32}}{_END}"),
    _form("pulumi", "pul-", rf"[a-f0-9]{{40}}{_END}"),
    _form("gitlab", "GR1348941", rf"{_W}{{20}}(?!{_W})"),
    _form("rubygems", "rubygems_", rf"[a-f0-9]{{48}}{_END}"),
    _form("planetscale", "pscale_", r"(?:tkn|oauth|pw)_[\w=.-]{32,64}+"),
    _form("doppler", r"dp\.(?:pt|st|ct)\.", r"(?:[a-z0-9_-]{1,40}\.)?[A-Za-z0-9]{40,44}(?![A-Za-z0-9])"),
    _form("artifactory", "AKCp", rf"[A-Za-z0-9]{{69}}{_END}"),
    _form("netlify", "nfp_", rf"[A-Za-z0-9]{{36}}{_END}"),
    _form("fly", "fm2_", r"[A-Za-z0-9+/]{100,}+=*+"),
    _form("fly", "fo1_", rf"{_W}{{43}}(?!{_W})"),
    _form("pinecone", "pcsk_", r"\w{60,}+"),
    _form("cerebras", "csk-", rf"[a-z0-9]{{48}}{_END}"),
    _form("linear", "lin_api_", rf"[A-Za-z0-9]{{40}}{_END}"),
    _form("notion", "ntn_", rf"[0-9]{{11}}[A-Za-z0-9]{{35}}{_END}"),
    _form("notion", "secret_", rf"[A-Za-z0-9]{{43}}{_END}"),
    _form("postman", "PMAK-", rf"[a-f0-9]{{24}}-[a-f0-9]{{34}}{_END}"),
    _form("figma", "figd_", rf"{_W}{{38,}}+"),
    _form("new_relic", "NRAK-", rf"[A-Z0-9]{{27}}{_END}"),
    _form("square", "sq0(?:atp|csp)-", rf"{_W}{{22,43}}+(?!{_W})"),
    _form("square", "EAAA", rf"{_W}{{60}}(?!{_W})"),
    _form("facebook", "EAA[MC]", rf"[A-Za-z0-9]{{100,}}+{_END}"),
    _form("airtable", "pat", r"[A-Za-z0-9]{14}\.[a-f0-9]{64}(?![A-Za-z0-9])"),
    _form("dropbox", r"sl\.", rf"(?:u\.)?{_W}{{130,}}+"),
    _form("slack_token", "xoxd-", r"[A-Za-z0-9%+/=-]{60,}+"),
]

# These start with what chance has chosen: they are found by what stands in them.
_TELEGRAM = re.compile(rb":AA(?<=[0-9]{8}:AA)[\w-]{33}(?![\w-])")
_DISCORD = re.compile(rb"\.[\w-]{6}\.[\w-]{27,38}+(?![\w-])")
_DISCORD_ID = re.compile(rb"[MNO][\w-]{22,27}")  # the account's number in base64, before the first dot
_MAILCHIMP = re.compile(rb"-us(?<=[0-9a-f]{32}-us)[0-9]{1,2}(?![A-Za-z0-9])")
_TERRAFORM = re.compile(rb"\.atlasv1\.(?<=[A-Za-z0-9]{14}\.atlasv1\.)[\w=-]{60,70}+(?![\w=-])")
_AZURE_CLIENT = re.compile(rb"Q~(?<=[\w.~-]{3}[0-9]Q~)[\w.~-]{31,34}+(?![\w.~-])")


def find(source: Source) -> Iterator[Finding]:
    """Find the keys of providers in a text."""
    raw = source.raw
    for kind, form in _TOKENS:
        for match in form.finditer(raw):
            if is_chance(match[1]):
                yield Finding(match.start(), match.end(), _RANK, kind, KEY)
    for match in _TELEGRAM.finditer(raw):
        start = match.start() - 8
        while raw[start - 1 : start].isdigit() and start > match.start() - 12:
            start -= 1
        if at_edge(raw, start) and is_chance(match[0]):
            yield Finding(start, match.end(), _RANK, "telegram", KEY)
    for match in _DISCORD.finditer(raw):
        for start in range(max(0, match.start() - 28), match.start() - 22):
            if _DISCORD_ID.fullmatch(raw, start, match.start()) and at_edge(raw, start) and is_chance(match[0]):
                yield Finding(start, match.end(), _RANK, "discord", KEY)
    for kind, form, before in (
        ("azure", _AZURE_CLIENT, 4),
        ("mailchimp", _MAILCHIMP, 32),
        ("terraform", _TERRAFORM, 14),
    ):
        for match in form.finditer(raw):
            start = match.start() - before
            if at_edge(raw, start) and is_chance(raw[start : match.end()]):
                yield Finding(start, match.end(), _RANK, kind, KEY)
