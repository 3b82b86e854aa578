from __future__ import annotations

import pytest

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

# Put together here, so that no file of the repository holds a string of these shapes.
B64 = "QUJDRGVmZ2hJSktMbW5vcFFSU1R1dnd4WVoxMjM0NTY3ODk" + "A" * 17
BODY = "\n".join([B64] * 3)
KEYS = {
    "aws": "AK" + "IA" + "QW3R5TY7UI2PAS4D",
    "github": "gh" + "p_" + "a1B2c3D4" * 5,
    "gitlab": "gl" + "pat-" + "a1B2c3D4" * 3,
    "slack": "xo" + "xb-" + "123456789012-abcdefABCDEF",
    "google": "AI" + "za" + "a1B2c3D" * 5,
    "stripe": "sk" + "_live_" + "a1B2c3D4" * 3,
    "anthropic": "sk" + "-ant-" + "api03-" + "a1B2c3D4" * 5,
    "huggingface": "h" + "f_" + "aBcDeFgH" * 4 + "aB",
    "npm": "np" + "m_" + "a1B2c3D4e" * 4,
    "slack app": "xa" + "pp-1-A05DK87HB1L-5123456789012-" + "ab12" * 16,
    "webhook": "hooks.slack" + ".com/services/T0A1B2C3D/B0A1B2C3D/" + "a1B2c3D4" * 3,
    "oauth": "GOC" + "SPX-" + "a1B2c3D" * 4,
    "whsec": "wh" + "sec_" + "a1B2c3D4" * 4,
    "docker": "dc" + "kr_pat_" + "a1B2c3D4e" * 3,
    "vault": "hv" + "s." + "-a1B2c3D4" * 10,
    "grafana": "gl" + "sa_" + "a1B2c3D4" * 4 + "_1a2b3c4d",
    "shopify": "sh" + "pat_" + "a1b2c3d4" * 4,
    "databricks": "da" + "pi" + "a1b2c3d4" * 4,
    "atlassian": "ATA" + "TT3" + "a1B2c3D4" * 9,
    "linear": "lin" + "_api_" + "a1B2c3D4" * 5,
    "new relic": "NR" + "AK-" + "A1B2C3D4E" * 3,
    "postman": "PM" + "AK-" + "a1b2c3d4" * 3 + "-" + "a1b2c3d4" * 4 + "a1",
    "notion": "nt" + "n_" + "a1B2c3D4" * 5,
    "figma": "fi" + "gd_" + "a1B2c3D4" * 5,
    "doppler": "dp" + ".pt." + "a1B2c3D4" * 5,
    "planetscale": "psc" + "ale_tkn_" + "a1B2c3D4" * 4,
    "groq": "gs" + "k_" + "a1B2c3D4" * 7,
    "replicate": "r" + "8_" + "a1B2c3D4" * 4 + "a1B2c",
    "xai": "xa" + "i-" + "a1B2c3D4" * 10,
    "supabase": "sb" + "p_" + "a1b2c3d4" * 5,
    "mailgun": "ke" + "y-" + "a1b2c3d4" * 4,
    "age": "AGE-SEC" + "RET-KEY-1" + "QPZRY9X8GF" * 5 + "2TVDW0S3",
    "azure": "Account" + "Key=" + "a1B2c3D4" * 10 + "a1B2c3==",
    "jwt": "ey" + "JhbGciOiJIUzI1NiJ9" + "." + "ey" + "JzdWIiOiIxMjM0In0" + "." + "a1B2c3D4" * 4,
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_found_by_their_shape(name: str) -> None:
    assert pii.redact(f'key = "{KEYS[name]}"\n', {PiiKind.SECRET}) == (
        'key = "<SECRET>"\n',
        {PiiKind.SECRET: 1},
    )


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_goes_from_head_to_foot(kind: str) -> None:
    head, foot = f"-----BEGIN {kind}PRIVATE KEY-----", f"-----END {kind}PRIVATE KEY-----"
    text = f"before\n{head}\n{BODY}\n{foot}\nafter"
    assert pii.redact(text, {PiiKind.SECRET})[0] == "before\n<SECRET>\nafter"
    escaped = f'key = "{head}\\n{B64}\\n{foot}\\n"'
    assert pii.redact(escaped, {PiiKind.SECRET})[0] == 'key = "<SECRET>\\n"'


def test_a_private_key_that_is_cut_off_is_found_too() -> None:
    text = f"-----BEGIN PRIVATE KEY-----\n{BODY}"
    assert pii.redact(text, {PiiKind.SECRET})[0] == "<SECRET>"


def test_speaking_of_private_keys_is_no_secret() -> None:
    text = (
        "A key begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----. "
        "The line -----BEGIN RSA PRIVATE KEY----- is older."
    )
    assert pii.redact(text, {PiiKind.SECRET}) == (text, {})


def test_passwords_in_urls_are_found_and_the_host_stays() -> None:
    found = pii.redact("postgres://ann:t0psecr3t@db.site.org/x", {PiiKind.SECRET})[0]
    assert found == "postgres://<SECRET>@db.site.org/x"


def test_a_key_after_its_name_is_found() -> None:
    text = 'aws_secret_access_key = "' + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY" + '"'
    assert pii.redact(text, {PiiKind.SECRET})[0] == 'aws_secret_access_key = "<SECRET>"'


@pytest.mark.parametrize(
    "text",
    [
        "AK" + "IAIOSFODNN7EXAMPLE",
        "postgres://user:password@host/db",
        "https://ann:xxxxx@host.org",
        "https://ann:${TOKEN}@host.org",
        "http://evil:thing@example.com",
        "http://host:8080/path@2x",
        "sk-learn and hf_hub and npm_config",
        "sha256:" + "0123456789abcdef" * 4,
    ],
)
def test_placeholders_and_lookalikes_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.SECRET}) == (text, {})
