"""Accept filters of FreeBSD, with real requests: what scripts of zeros cannot say (accf_http(9), accf_dns(9))."""

import pytest

from pystack._fast import accept_filter


@pytest.mark.parametrize(
    ("octets", "ready"),
    [
        (b"", False),
        (b"G", False),
        (b"GE", False),
        (b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.0\n\n", True),
        (b"HEAD / HTTP/1.1\r\n\r\n", True),
        (b"HEAD / HTTP/1.1\r\n\r", False),
        (b"GET /\r\n", True),  # HTTP/0.9
        (b"GET / HTTP/2.0\r\n", True),
        (b"POST / HTTP/1.1\r\n", True),
        (b"PO", True),
    ],
)
def test_http(octets, ready):
    assert accept_filter.http_ready(octets) == ready


@pytest.mark.parametrize(("have", "ready"), [(1, False), (2, False), (13, False), (14, True)])
def test_dns(have, ready):
    message = (bytes([0, 12]) + bytes(12))[:have]
    assert accept_filter.dns_ready(message[:2], have) == ready
