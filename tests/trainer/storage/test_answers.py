"""Errors that a test server does not make, as boto3 raises them."""

from __future__ import annotations

import errno

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from s3transfer.exceptions import RetriesExceededError

from cupola_api.outcome import FailureClass
from cupola_trainer.failures import StoreError, failure_of, storage_error
from cupola_trainer.storage import S3Place
from cupola_trainer.storage.answers import meaning

PLACE = S3Place("some-bucket", "a/b")


def answer(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


@pytest.mark.parametrize(
    ("code", "status", "reason", "failure", "said"),
    [
        ("NoSuchBucket", 404, "StorageUnknown", "User", "has no bucket some-bucket; create it"),
        ("InvalidBucketName", 400, "StorageUnknown", "User", "has no bucket some-bucket"),
        ("ExpiredToken", 400, "StorageRefused", "User", "are refused (ExpiredToken); correct"),
        ("AccessDenied", 403, "StorageRefused", "User", "no access to bucket some-bucket"),
        ("403", 403, "StorageRefused", "User", "no access to bucket some-bucket (403)"),
        ("Whatever", 401, "StorageRefused", "User", "no access to bucket some-bucket (Whatever)"),
        ("PermanentRedirect", 301, "StorageUnknown", "User", "another region; correct `storage.r"),
        ("SlowDown", 503, "StorageFailed", "Infrastructure", "answers SlowDown; see to the store"),
        ("InternalError", 500, "StorageFailed", "Infrastructure", "answers InternalError; see to"),
        ("RequestTimeTooSkewed", 403, "StorageFailed", "Infrastructure", "answers RequestTimeTooS"),
        ("QuotaExceeded", 403, "StorageFailed", "Infrastructure", "; make room in the store"),
        ("InsufficientStorage", 507, "StorageFailed", "Infrastructure", "; make room in the store"),
    ],
)
def test_an_answer_says_whose_move_it_is(
    code: str, status: int, reason: str, failure: str, said: str
) -> None:
    found = meaning(answer(code, status), PLACE)
    assert isinstance(found, StoreError)
    assert found.failure.message.startswith("s3://some-bucket/a/b cannot be used: ")
    assert said in found.failure.message
    assert (found.failure.reason, found.failure.failure) == (reason, failure)
    assert failure_of(found) is found.failure
    # The rest of the trainer asks for the errno, as of a disk.
    expected = {"User": errno.EACCES, "Infrastructure": errno.EIO}[failure]
    assert storage_error(found) == (errno.ENOSPC if "make room" in said else expected)


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url="http://x"),
        boto.ConnectTimeoutError(endpoint_url="http://x"),
        boto.ReadTimeoutError(endpoint_url="http://x"),
        boto.ConnectionClosedError(endpoint_url="http://x"),
        boto.ResponseStreamingError(error="reset"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        boto.SSLError(endpoint_url="http://x", error="expired"),
        boto.CredentialRetrievalError(provider="sts", error_msg="away"),
        RetriesExceededError(ConnectionResetError("reset")),
    ],
)
def test_silence_is_an_outage(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://me:secret@s3.example:9000/x")
    found = meaning(error, PLACE)
    assert isinstance(found, StoreError)
    assert found.failure.failure is FailureClass.INFRASTRUCTURE
    assert found.failure.message.startswith(
        "s3://some-bucket/a/b cannot be used: s3.example:9000 does not answer ("
    )


def test_errors_of_others_are_left_to_them() -> None:
    assert meaning(OSError(errno.ENOSPC, "full"), PLACE) is None
    assert meaning(RuntimeError("x"), PLACE) is None
    assert isinstance(meaning(answer("NoSuchKey", 404), PLACE), FileNotFoundError)
