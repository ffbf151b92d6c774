"""A store in S3, by its protocol: what is put, read, listed and removed, and what fails how."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import boto3
import pytest

from circuitbase.errors import StoreError, TraceFileError
from circuitbase.services.ports import free_port
from circuitbase.store.store_files import FileKind, remove_file, store_files
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore, write_bytes
from circuitbase.workers.failures import is_transient
from tests.object_store import BUCKET, busy_server, keys_checked, log_requests, object_store, requests_in, use
from tests.synthetic import synthetic_trace

TRACE, OTHER = synthetic_trace(7), synthetic_trace(8)
ID, OTHER_ID = TRACE.metadata.trace_id, OTHER.metadata.trace_id

ASKING: dict[str, Callable[[TraceStore], object]] = {
    "save": lambda store: store.save(TRACE),
    "exists": lambda store: store.exists(ID),
    "load": lambda store: store.load(ID),
    "remove": lambda store: store.remove(ID),
    "ids": lambda store: list(store.trace_ids()),
    "list": store_files,
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture
def store(address: str, monkeypatch: pytest.MonkeyPatch) -> TraceStore:
    use(address, monkeypatch)
    return TraceStore(f"s3://{BUCKET}/{uuid4().hex}/night")


def failed(ask: Callable[[TraceStore], object], store: TraceStore) -> StoreError:
    with pytest.raises(StoreError) as caught:
        ask(store)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_trace_is_put_at_once_and_comes_back(store: TraceStore, caplog: pytest.LogCaptureFixture) -> None:
    log_requests(caplog)
    assert store.save(TRACE) == f"{store.url}/{ID}.safetensors"
    path = f"/{store.url.removeprefix('s3://')}/{ID}.safetensors"
    assert requests_in(caplog) == [f"PUT {path}"]
    caplog.clear()
    assert to_bytes(store.load(ID)) == to_bytes(TRACE)
    assert requests_in(caplog)[-1] == f"GET {path}"


def test_traces_are_found_listed_and_removed(store: TraceStore) -> None:
    assert (store.exists(ID), list(store.trace_ids()), store_files(store)) == (False, [], [])
    for trace in (TRACE, OTHER):
        store.save(trace)
    assert (store.exists(ID), list(store.trace_ids())) == (True, sorted((ID, OTHER_ID)))
    files = {file.trace_id: file for file in store_files(store)}
    assert {file.kind for file in files.values()} == {FileKind.TRACE}
    assert files[ID].size == len(to_bytes(TRACE))
    assert not files[ID].is_older_than(60.0) and files[ID].is_older_than(0.0)
    assert (store.remove(ID), store.remove(ID)) == (True, False)
    assert remove_file(store, files[OTHER_ID])
    assert list(store.trace_ids()) == []


def test_what_another_process_puts_is_seen_at_once(store: TraceStore, address: str) -> None:
    store.save(TRACE)
    assert list(store.trace_ids()) == [ID]
    key = f"{store.url.removeprefix(f's3://{BUCKET}/')}/{OTHER_ID}.safetensors"
    client = boto3.client("s3", endpoint_url=address)
    client.put_object(Bucket=BUCKET, Key=key, Body=to_bytes(OTHER))
    client.close()
    assert (store.exists(OTHER_ID), len(list(store.trace_ids()))) == (True, 2)


def test_a_damaged_object_is_refused(store: TraceStore) -> None:
    content = bytearray(to_bytes(TRACE))
    content[-1] ^= 1
    write_bytes(bytes(content), store.location(ID))
    with pytest.raises(TraceFileError, match=r"s3://.*is damaged or truncated \(its arrays do not match the digest"):
        store.load(ID)


def test_an_object_that_is_missing_is_named(store: TraceStore) -> None:
    error = failed(ASKING["load"], store)
    assert str(error).startswith(f"the trace file {store.url}/{ID}.safetensors cannot be read (")
    assert not is_transient(error)


def test_a_bucket_that_is_missing_is_named(store: TraceStore) -> None:
    error = failed(ASKING["save"], TraceStore("s3://nowhere/night"))
    assert "cannot be written (The specified bucket does not exist); free space or choose another place" in str(error)
    assert not is_transient(error)


@pytest.mark.parametrize("asking", ASKING)
def test_a_refused_key_fails_at_once_with_the_remedy(store: TraceStore, address: str, asking: str) -> None:
    with keys_checked(address):
        error = failed(ASKING[asking], store)
    assert str(error).endswith("; check its credentials, and who may read and write there")
    assert not is_transient(error)


def test_a_key_that_is_not_there_fails_at_once_with_the_remedy(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    error = failed(ASKING["save"], store)
    assert str(error).endswith(
        "(Unable to locate credentials); check its credentials, and who may read and write there"
    )
    assert not is_transient(error)


@pytest.mark.parametrize("asking", ASKING)
def test_a_server_that_is_away_is_waited_for(store: TraceStore, asking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(f"http://127.0.0.1:{free_port('127.0.0.1', 0)}", monkeypatch)
    error = failed(ASKING[asking], store)
    assert "Could not connect to the endpoint URL" in str(error)
    assert str(error).endswith("; check that its server answers")
    assert is_transient(error)


@pytest.mark.parametrize("asking", ASKING)
def test_a_server_that_is_too_busy_is_waited_for(
    store: TraceStore, asking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with busy_server() as busy:
        use(busy, monkeypatch)
        error = failed(ASKING[asking], store)
    assert str(error).endswith("; check that its server answers")
    assert is_transient(error)
