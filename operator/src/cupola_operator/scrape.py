"""What rank 0 of a run says on /metrics, read with care: the page is untrusted input.

The address must be an IP address, no redirect is followed, the page is cut off by size and time,
and only finite numbers under names of `cupola_api.metrics` are taken.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import time
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from cupola_api import metrics

MAX_BYTES = 1 << 20
TIMEOUT = 2.0
"""Seconds for the whole page."""


def scrape(ip: str, port: int = metrics.PORT) -> Mapping[str, float]:
    """The metrics that a pod serves, by name; empty if it serves none that can be read."""
    try:
        return parse(_page(str(ipaddress.ip_address(ip)), port))
    except (OSError, http.client.HTTPException, ValueError):
        return {}


def parse(page: str) -> dict[str, float]:
    """The known metrics of a page in Prometheus' text format. Raises ValueError if it is none."""
    found = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name in metrics.HELP and math.isfinite(sample.value):
                    found[sample.name] = float(sample.value)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"not a page of metrics: {error}") from error
    return found


def _page(ip: str, port: int) -> str:
    deadline = time.monotonic() + TIMEOUT
    connection = http.client.HTTPConnection(ip, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ValueError(f"status {response.status}")
        data = b""
        while piece := response.read1(1 << 16):
            data += piece
            if len(data) > MAX_BYTES:
                raise ValueError("the page is too large")
            if time.monotonic() > deadline:
                raise ValueError("the page takes too long")
    finally:
        connection.close()
    return data.decode()
