"""An object store on this machine: moto's server, which speaks S3's protocol, and one that is too busy to."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "traces"
REFUSAL = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate</Message></Error>"
REQUESTS = "werkzeug"  # the logger of moto's server, which writes a line for each request


@contextmanager
def object_store() -> Iterator[str]:
    """Yields the address of a server with one empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        _tell(address, "reset", b"")  # all servers of one process hold the same
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",  # moto takes any
        )
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield address
    finally:
        server.stop()


def use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process, and those that it starts, find S3 at an address, with a key that moto takes."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def keys_checked(address: str) -> Iterator[None]:
    """Lets the server refuse unknown keys, as all are here, while the block runs."""
    _tell(address, "reset-auth", b"0")
    try:
        yield
    finally:
        _tell(address, "reset-auth", b"inf")


@contextmanager
def busy_server() -> Iterator[str]:
    """Yields the address of a server that tells everybody to slow down."""

    class Busy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which knows of clients that wait before they send the object

        def _refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(503)
            self.send_header("Connection", "close")
            self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(REFUSAL)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(REFUSAL)

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _refuse

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, name="busy")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def requests_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Returns the method and path of each request that the server has answered since the log was cleared."""
    lines = [record.getMessage() for record in caplog.records if record.name == REQUESTS]
    return [line.split('"')[1].removesuffix(" HTTP/1.1") for line in lines if '"' in line]


def log_requests(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=REQUESTS)


def _tell(address: str, what: str, content: bytes) -> None:
    asked = Request(f"{address}/moto-api/{what}", data=content, headers={"Content-Type": "text/plain"})
    with urlopen(asked) as answer:
        answer.read()
