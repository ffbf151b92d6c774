"""Fetching files over HTTP, many at a time, on connections that are kept open."""

import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from circuitbase.errors import ServiceError

THREADS = 8
RETRIES = urllib3.Retry(total=3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
TIMEOUT = urllib3.Timeout(connect=20, read=60)


def download(url: str) -> bytes:
    """Returns what a URL holds, trying again when the connection breaks; safe in several threads.

    Certificates are the system's, or those in SSL_CERT_FILE; proxies are those of the environment.
    """
    try:
        response = _connections(urlsplit(url).scheme, urlsplit(url).hostname or "").request("GET", url, retries=RETRIES)
    except urllib3.exceptions.HTTPError as error:
        raise _not_fetched(url, str(getattr(error, "reason", error))) from error
    if response.status != 200:
        raise _not_fetched(url, f"status {response.status} {response.reason or ''}".strip())
    return response.data


@cache
def _connections(scheme: str, host: str) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "maxsize": THREADS,
        "timeout": TIMEOUT,
        "ssl_context": ssl.create_default_context(),
    }
    proxy = getproxies().get(scheme)
    if proxy and not proxy_bypass(host):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _not_fetched(url: str, why: str) -> ServiceError:
    return ServiceError(
        f"{url} cannot be fetched ({why}); check the network, or name a mirror in CIRCUITBASE_MAVEN_URL "
        "(what was fetched so far is kept)"
    )
