"""Keys to something: private keys, API keys by their published shapes, passwords in URLs."""

from __future__ import annotations

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import pattern
from cupola_trainer.curate.pii.finder import MARKS, Finder, Span

_SHAPES = (
    rb"(?:AKIA|ASIA)[A-Z2-7]{16}",  # AWS access key id
    rb"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    rb"github_pat_[A-Za-z0-9_]{22,}",
    rb"gl(?:pat|rt|dt|ptt|soat|cbt)-[A-Za-z0-9_\-]{20,}",  # GitLab
    rb"xox[abeprs]-[A-Za-z0-9\-]{10,}",  # Slack
    rb"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{40,}",
    rb"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}",
    rb"GOCSPX-[A-Za-z0-9_\-]{28}",  # Google
    rb"AIza[A-Za-z0-9_\-]{35}",
    rb"ya29\.[A-Za-z0-9_\-]{30,}",
    rb"[rs]k_live_[A-Za-z0-9]{20,}",  # Stripe
    rb"whsec_[A-Za-z0-9+/]{32,}={0,2}",
    rb"sk-(?:ant-|proj-|svcacct-)[A-Za-z0-9_\-]{20,}",  # Anthropic, OpenAI
    rb"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
    rb"hf_[A-Za-z]{34}",  # Hugging Face
    rb"npm_[A-Za-z0-9]{36}",
    rb"pypi-AgE[A-Za-z0-9_\-]{50,}",
    rb"SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}",  # SendGrid
    rb"do[opr]_v1_[a-f0-9]{64}",  # DigitalOcean
    rb"dckr_pat_[A-Za-z0-9_\-]{27,}",  # Docker
    rb"\bhv[sb]\.[A-Za-z0-9_\-]{24,}",  # Vault
    rb"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}",  # Grafana
    rb"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",  # Shopify
    rb"\bdapi[a-f0-9]{32}",  # Databricks
    rb"ATATT3[A-Za-z0-9_\-=]{60,}",  # Atlassian
    rb"lin_api_[A-Za-z0-9]{40}",  # Linear
    rb"\bNRAK-[A-Z0-9]{27}",  # New Relic
    rb"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}",  # Postman
    rb"\bntn_[A-Za-z0-9]{40,}",  # Notion
    rb"\bfigd_[A-Za-z0-9_\-]{40,}",  # Figma
    rb"\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9_.\-]{40,}",  # Doppler
    rb"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.\-]{32,}",  # PlanetScale
    rb"\bgsk_[A-Za-z0-9]{50,}",  # Groq
    rb"\br8_[A-Za-z0-9]{37}",  # Replicate
    rb"\bxai-[A-Za-z0-9]{80}",  # xAI
    rb"\bsbp_[a-f0-9]{40}",  # Supabase
    rb"\bkey-[a-f0-9]{32}",  # Mailgun
    rb"AGE-SECRET-KEY-1[0-9A-Z]{58}",  # age
    rb"AccountKey=[A-Za-z0-9+/]{86}==",  # Azure storage
    rb"eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,}",  # JWT
)
_STANDS_FOR_ONE = pattern(
    rb"(?i)^(?:.*passw(?:or)?d.*|pass|pwd|.*secret.*|token|changeme|user|username|test|key|repo|.)$"
)


def _check_key(text: bytes, start: int, end: int) -> Span | None:
    """Vendors mark the keys of their documentation."""
    return None if b"EXAMPLE" in text[start:end].upper() else (start, end)


def _check_url(text: bytes, start: int, end: int) -> Span | None:
    """A manual's `user:password@host` is no secret, nor is a row of stars or a made-up host."""
    if text[end + 1 : end + 9] == b"example.":
        return None
    password = text[start:end].partition(b":")[2]
    if len(set(password)) == 1 or _STANDS_FOR_ONE.search(password):
        return None
    return start, end


def _check_private_key(text: bytes, start: int, end: int) -> Span | None:
    """From its head to its foot, or to where its body ends; a mere mention has no body."""
    stop = text.find(b"-----", end)
    stop = len(text) if stop < 0 else stop
    body = [run.span() for run in _BODY.finditer(text[end:stop])]
    if not body:
        return None
    foot = _FOOT.search(text[stop : stop + 80])
    return start, stop + foot.span()[1] if foot else end + body[-1][1]


_BODY = pattern(rb"[A-Za-z0-9+/=]{32,}")
_FOOT = pattern(rb"^-----END [A-Z0-9 ]{0,50}-----")

FINDERS = (
    Finder(
        PiiKind.SECRET,
        pattern(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
        _check_private_key,
        hint=b"PRIVATE KEY",
    ),
    Finder(PiiKind.SECRET, pattern(b"|".join(_SHAPES)), _check_key, screen=MARKS),
    Finder(
        PiiKind.SECRET,
        pattern(
            rb"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://"
            rb"([^\s/:@\"'<>{}$%\[\]]{1,64}:[^\s/:@\"'<>{}$\[\]]{1,128})@"
        ),
        _check_url,
        hint=b"://",
    ),
    Finder(
        PiiKind.SECRET,
        pattern(
            rb"(?i)\baws_?secret_?(?:access_?)?key\b[\"' ]{0,3}[=:]{1,2}[\"' ]{0,3}"
            rb"([A-Za-z0-9/+]{40})"
        ),
        _check_key,
        screen=MARKS,
    ),
)
