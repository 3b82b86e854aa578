from __future__ import annotations

import pytest

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii


@pytest.mark.parametrize(
    "text",
    [
        "54.12.33.9",
        "logged in from 54.12.33.9:8080.",
        '"93.184.216.34"',
        "http://93.184.216.34/index",
        "ip=93.184.216.34,",
        "server at 8.8.8.8",
        "address 2a00:1450:4001:82f::200e",
        "[2001:4860:4860::8888]:443",
        "2001:4860:4860:0000:0000:0000:0000:8888",
        "from mx.mail.org ([IPv6:2001:4860:4860::8888])",
        "host 41.4.1.1",
    ],
)
def test_addresses_that_reach_a_host_are_found(text: str) -> None:
    redacted, counts = pii.redact(text, {PiiKind.IP_ADDRESS})
    assert counts[PiiKind.IP_ADDRESS] == 1
    assert "<IP_ADDRESS>" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1 0.0.0.0 255.255.255.255",
        "10.1.2.3 192.168.0.1 172.16.5.4 169.254.1.1 100.64.0.1",
        "192.0.2.1 198.51.100.7 203.0.113.9",
        "224.0.0.1",
        "::1 fe80::1 fd00::1 2001:db8::1",
        "version 54.12.33.9",
        "package==54.12.33.9",
        "v54.12.33.9",
        "lib-54.12.33.9.tar.gz",
        "Chrome/120.0.6099.71 Safari",
        "1.2.3.4 and 8.2.4.44",
        'ObjectIdentifier("2.5.29.14")',
        "1.3.6.1.4.1.311",
        "section 54.12.33.9",
        "12.6.4.1 and 36.4.4.2 to 41.4.1.1",
        "52.216.0.0/15",
        "300.1.2.3 54.12.33.999 054.12.33.9",
        "a[2001:2004] at 2023:10:11",
        "d::ab std::beef::cafe",
        "2023-10-11T12:30:45",
    ],
)
def test_addresses_of_nobody_and_other_numbers_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.IP_ADDRESS}) == (text, {})
