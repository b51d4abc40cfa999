"""S3 as a place, by boto3: its chain of credentials, its profiles, its signatures."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from workbench.errors import DriverUnavailableError, RemoteError, UsageError
from workbench.storage.places import HEAD, Place, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workbench.settings import Settings

__all__ = ["S3"]

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>/[^?#]*)?")
_BLOCK = 1 << 20
_DELETED_AT_ONCE = 1000
_PAUSE = 0.1
# Answers to a conditional write that somebody else was faster; 404: the head was deleted meanwhile.
_LOST = frozenset({404, 409, 412})
_AGAIN = "Try again; the settings s3_timeout and s3_retries say how long it is tried."
_KEYS = "Name a profile or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as for any tool of AWS."
_RIGHTS = "Reading needs the rights GetObject and ListBucket, a mirror also PutObject, --prune DeleteObject."


class S3(Place):
    """A prefix in a bucket.

    Args:
        client: boto3's.
        bucket: The bucket.
        prefix: What all keys begin with, without slashes at its ends.
        retries: How often a download that broke off is begun again.
    """

    parallel = 8

    def __init__(self, client: Any, bucket: str, prefix: str, retries: int) -> None:
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._retries = retries

    @classmethod
    def at(cls, address: str, settings: Settings) -> S3:
        """Return the place of ``s3://bucket/prefix``.

        Raises:
            UsageError: If it is no such address.
            DriverUnavailableError: If boto3 is not installed.
        """
        match = _ADDRESS.fullmatch(address)
        if match is None:  # it may hold a key, and is not shown
            raise UsageError("this is no address in S3.", fix="Write it s3://bucket/prefix.")
        try:
            import boto3  # noqa: PLC0415  (loaded where it is used)
            from botocore.config import Config  # noqa: PLC0415
        except ImportError:
            raise DriverUnavailableError(
                "boto3 is not installed.", fix="It comes with workbench's extra 's3'."
            ) from None
        config = Config(
            connect_timeout=settings.s3_timeout,
            read_timeout=settings.s3_timeout,
            retries={"total_max_attempts": settings.s3_retries + 1, "mode": "standard"},
            max_pool_connections=2 * cls.parallel,
            # what speaks like S3 seldom has a name for each bucket
            s3={"addressing_style": "path"} if settings.s3_endpoint else {},
        )
        with _translated(address):
            client = boto3.session.Session().client(
                "s3", endpoint_url=settings.s3_endpoint or None, config=config
            )
        return cls(client, match["bucket"], (match["prefix"] or "").strip("/"), settings.s3_retries)

    def list(self) -> dict[str, Stored]:
        """Return all objects under the prefix."""
        now, found = datetime.now(UTC), {}
        with _translated(self.name):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"].removeprefix(self._prefix)
                    found[name] = Stored(item["Size"], (now - item["LastModified"]).total_seconds())
        return found

    def get(self, path: str, sink: BinaryIO) -> bool:
        """Download an object; what breaks off in the middle is begun again."""
        return self._download(path, sink) is not None

    def _download(self, path: str, sink: BinaryIO) -> str | None:
        """Download an object and return its ETag, or None where there is none."""
        from botocore.exceptions import IncompleteReadError  # noqa: PLC0415

        with _translated(f"{self.name}/{path}"):
            pauses = iter([_PAUSE * 2**n for n in range(self._retries)])
            while True:
                sink.seek(0)
                sink.truncate()
                try:
                    found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)
                    with found["Body"] as body:
                        while block := body.read(_BLOCK):
                            sink.write(block)
                    expected = int(found["ContentLength"])
                    if sink.tell() != expected:
                        raise IncompleteReadError(actual_bytes=sink.tell(), expected_bytes=expected)
                except self._client.exceptions.NoSuchKey:
                    return None
                except _broken_off():
                    pause = next(pauses, None)
                    if pause is None:
                        raise
                    time.sleep(pause)
                else:
                    return str(found["ETag"])

    def put(self, path: str, source: Path | bytes) -> None:
        """Upload an object; S3 refuses it unless its SHA-256 is that of what was read here."""
        with _translated(f"{self.name}/{path}"):
            if isinstance(source, bytes):
                self._put(path, source, hashlib.sha256(source))
                return
            with source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
                file.seek(0)
                self._put(path, file, digest)

    def _put(self, path: str, body: bytes | BinaryIO, digest: hashlib._Hash, **condition: str) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._prefix + path,
            Body=body,
            ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
            **condition,
        )

    def settle(self, paths: Iterable[str]) -> None:
        """Return at once: what S3 has taken is durable."""

    def head(self) -> tuple[bytes, str] | None:
        """Return the head; its version is its ETag."""
        sink = BytesIO()
        version = self._download(HEAD, sink)
        return None if version is None else (sink.getvalue(), version)

    def swap(self, data: bytes, version: str | None) -> bool:
        """Replace the head by a conditional write."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with _translated(f"{self.name}/{HEAD}"):
            try:
                self._put(HEAD, data, hashlib.sha256(data), **condition)
            except ClientError as error:
                if _status(error) not in _LOST or error.response["Error"]["Code"] == "NoSuchBucket":
                    raise
                return False
        return True

    def delete(self, paths: Iterable[str]) -> None:
        """Delete objects, a thousand a request."""
        rest = iter(paths)
        with _translated(self.name):
            while chunk := [{"Key": self._prefix + path} for path in islice(rest, _DELETED_AT_ONCE)]:
                done = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": chunk, "Quiet": True}
                )
                for error in done.get("Errors", ()):
                    raise RemoteError(f"an object stays ({error['Code']}).", where=self.name, fix=_RIGHTS)


def _broken_off() -> tuple[type[Exception], ...]:
    """Return what is raised where an answer ends before its time or is not what was stored."""
    from botocore import exceptions  # noqa: PLC0415

    return (
        exceptions.FlexibleChecksumError,
        exceptions.IncompleteReadError,
        exceptions.ReadTimeoutError,
        exceptions.ResponseStreamingError,
    )


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Raise boto3's errors as ours; their own texts, which may hold what was sent, are not shown."""
    from botocore import exceptions as theirs  # noqa: PLC0415

    try:
        yield
    except theirs.ClientError as error:
        what, fix = _refusal(error)
        raise RemoteError(what, where=where, fix=fix) from error
    except (
        theirs.CredentialRetrievalError,
        theirs.NoCredentialsError,
        theirs.PartialCredentialsError,
        theirs.ProfileNotFound,
    ) as error:
        raise RemoteError("no credentials for S3 were found.", where=where, fix=_KEYS) from error
    except _broken_off() as error:
        raise RemoteError(f"no whole answer came ({_kind(error)}).", where=where, fix=_AGAIN) from error
    except theirs.HTTPClientError as error:
        raise RemoteError(f"nobody answers there ({_kind(error)}).", where=where, fix=_AGAIN) from error
    except theirs.BotoCoreError as error:
        raise RemoteError(f"S3 cannot be spoken to ({_kind(error)}).", where=where) from error


def _refusal(error: Any) -> tuple[str, str]:
    status, code = _status(error), error.response["Error"].get("Code", "")
    if code == "NoSuchBucket":
        return "there is no such bucket.", "Make it, or correct its name."
    if status in {401, 403}:
        return f"S3 refuses access ({code}).", _RIGHTS
    if status >= 500 or status == 429:
        return f"S3 fails ({status} {code}).", _AGAIN
    return f"S3 refuses the request ({status} {code}).", ""


def _status(error: Any) -> int:
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _kind(error: Exception) -> str:
    return type(error).__name__.removesuffix("Error")
