"""Why the certificate of a service is not accepted; the clients say so in many words, or in none."""

import socket
import ssl
from urllib.parse import parse_qs, urlsplit

CONNECT_SECONDS = 5.0
BOLT_PORT, REDIS_PORT = 7687, 6379
OTHER_NAME = (62, 64)  # OpenSSL's codes for another host name and another address


def neo4j_certificate_problem(uri: str) -> str | None:
    """Returns what a sentence about Neo4j says after its address; None if its certificate is not the trouble."""
    parts = urlsplit(uri)
    if not parts.scheme.endswith("+s"):
        return None
    remedy = (
        "let SSL_CERT_FILE name the file of its authority, or give CIRCUITBASE_NEO4J_URI as "
        f"{parts.scheme}sc:// to take any certificate"
    )
    return _problem(parts.hostname, parts.port or BOLT_PORT, ssl.create_default_context(), remedy)


def redis_certificate_problem(url: str) -> str | None:
    """Returns what a sentence about Redis says after its address; None if its certificate is not the trouble."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme != "rediss" or query.get("ssl_cert_reqs", ["required"])[0] != "required":
        return None
    authorities = query.get("ssl_ca_certs", [None])[0]
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        why = error.strerror or error
        return f"cannot be verified, since ssl_ca_certs should name a PEM file, got {authorities} ({why}); correct it"
    remedy = "name the file of its authority in CIRCUITBASE_REDIS_URL (?ssl_ca_certs=/path/ca.pem)"
    return _problem(parts.hostname, parts.port or REDIS_PORT, context, remedy)


def _problem(host: str | None, port: int, context: ssl.SSLContext, remedy: str) -> str | None:
    """Shakes hands, and returns what is wrong with it."""
    try:
        with (
            socket.create_connection((host or "localhost", port), timeout=CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host or "localhost"),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in OTHER_NAME:
            remedy = "connect to it by the name that its certificate was made for"
        return f"shows a certificate that is not accepted ({error.verify_message.rstrip('.')}); {remedy}"
    except ssl.SSLError as error:
        return f"does not speak TLS ({error.reason or 'it ended the handshake'}); give a port that does, or no TLS"
    except (OSError, ValueError):
        return None
