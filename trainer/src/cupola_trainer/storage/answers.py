"""What an error of boto3 means: whose move it is, in a sentence that names the URI and the remedy."""

from __future__ import annotations

import errno
import os
import re
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from cupola_api.outcome import FailureClass
from cupola_trainer.failures import StoreError
from cupola_trainer.storage.place import S3Place

_MISSING = {"NoSuchKey", "404"}
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName"}
_REFUSED = {
    "AuthFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403", "UnauthorizedAccess"}
_ELSEWHERE = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"} | {
    "PermanentRedirect"
}
_FULL = {"InsufficientStorage", "QuotaExceeded", "ServiceQuotaExceeded", "XMinioStorageFull", "507"}
_SKEWED = {"RequestTimeTooSkewed"}  # a node's clock: another node may be right

_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoAuthTokenError)
_NO_ANSWER = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.CredentialRetrievalError,
    boto.MetadataRetrievalError,
    boto.TokenRetrievalError,
)
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def meaning(error: Exception, place: S3Place) -> OSError | None:
    """The error of storage that an error of boto3 stands for; None for one of somebody else.

    It is a FileNotFoundError where there is no such object, else a StoreError.
    """
    if isinstance(error, RetriesExceededError):
        return _away(type(error.last_exception).__name__, place)
    if isinstance(error, ClientError):
        return _of_answer(error, place)
    if not isinstance(error, BotoCoreError | ValueError):
        return None
    if isinstance(error, _NO_CREDENTIALS):
        return _users(
            "StorageRefused",
            place,
            "the pod has no credentials",
            f"name a Secret with {_KEYS}, or a service account, in `storage` of the settings",
        )
    if isinstance(error, _NO_ANSWER):
        return _away(type(error).__name__, place)
    return _users(
        "StorageUnknown",
        place,
        re.sub(r"//[^/@\s]*@", "//", str(error).partition("\n")[0])[:200],
        "correct `storage` in the settings, or the URI",
    )


def _of_answer(error: ClientError, place: S3Place) -> OSError:
    """The meaning of an answer of the server."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    if code in _NO_BUCKET:
        why = f"{endpoint()} has no bucket {place.bucket}"
        return _users("StorageUnknown", place, why, "create it, or correct the URI")
    if code in _REFUSED:
        return _users(
            "StorageRefused",
            place,
            f"the credentials of the pod are refused ({code})",
            f"correct {_KEYS} in the Secret that `storage` of the settings names",
        )
    if code in _DENIED or (status in (401, 403) and code not in _FULL | _SKEWED):
        return _users(
            "StorageRefused",
            place,
            f"the credentials of the pod have no access to bucket {place.bucket} ({code})",
            "let them list, read, write and delete there",
        )
    if code in _ELSEWHERE:
        why = f"bucket {place.bucket} lies in another region"
        return _users("StorageUnknown", place, why, "correct `storage.region` in the settings")
    return StoreError(
        errno.ENOSPC if code in _FULL else errno.EIO,
        f"{endpoint()} answers {code}",
        str(place),
        reason="StorageFailed",
        remedy="make room in the store"
        if code in _FULL
        else "see to the store; the next attempt goes on from what is saved",
        failure=FailureClass.INFRASTRUCTURE,
    )


def _away(what: str, place: S3Place) -> StoreError:
    return StoreError(
        errno.EIO,
        f"{endpoint()} does not answer ({what})",
        str(place),
        reason="StorageFailed",
        remedy="see to it, or correct `storage.endpoint` in the settings; the next attempt goes on "
        "from what is saved",
        failure=FailureClass.INFRASTRUCTURE,
    )


def endpoint() -> str:
    """The server as a person knows it: without path, and without a name and password before it."""
    given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not given:
        return "Amazon S3"
    return urlsplit(given).netloc.rpartition("@")[2] or "the endpoint"


def _users(reason: str, place: S3Place, why: str, remedy: str) -> StoreError:
    return StoreError(
        errno.EACCES, why, str(place), reason=reason, remedy=remedy, failure=FailureClass.USER
    )
