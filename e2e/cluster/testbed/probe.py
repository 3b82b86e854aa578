"""Whether a component answers."""

import http.client
import socket
import ssl
from urllib.parse import urlsplit

TIMEOUT = 1.0


def answers(address: str) -> bool:
    """True if a URL answers 200, or a Unix socket accepts; an empty address always does."""
    if not address:
        return True
    try:
        return _socket(address) if address.startswith("/") else _http(address)
    except (OSError, http.client.HTTPException):
        return False


def _socket(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT)
        client.connect(path)
    return True


def _http(url: str) -> bool:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        anything = ssl.create_default_context()
        anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=anything)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()
