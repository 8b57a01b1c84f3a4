"""What obstore says of Google's and Azure's storage, as errors of ours.

obstore puts status, code and message of the service into one text; the codes are those of
https://cloud.google.com/storage/docs/xml-api/reference-status and
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline_lib.errors import (
    BadData,
    ConfigError,
    CredentialsRefused,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceMissing,
)
from pipeline_lib.sources.authorities import TRUST
from pipeline_lib.sources.objects import FIX_SOURCES
from pipeline_lib.sources.s3 import RELIST

# What obstore says where it finds no credentials or cannot use those it finds, before it asks the service itself.
UNUSABLE = re.compile(
    r"(?i)token re(quest|sponse)|service account file|access key|rsa key|pem file|azure cli|get-access-token"
    r"|federated token|application credentials|AADSTS"
)
# The last link of both chains: the service that tells a machine inside the cloud who it is.
IDENTITY = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
NO_IDENTITY = "none in the environment or in files, and this machine has no identity in the cloud"
ANSWERED = "Server returned non-2xx status code: "
# What broke a connection is only in the part of obstore's text that is meant for its developers.
REASONS = (
    r"(InvalidCertificate\(\s*\w+)",
    r'(?s)ConnectError\(\s*"tcp connect error",\s*(\S+),.*?refused',
    r'(?:message|error): "([^"]+)"',
    r"hyper::Error\(\s*(\w+)",
)
NO_BUCKET = frozenset(
    {
        "NoSuchBucket",
        "InvalidBucketName",
        "ContainerNotFound",
        "ContainerBeingDeleted",
        "InvalidResourceName",
    }
)
# Refusals that may be of one object alone: by a policy or its list of readers, or since it lies in an archive tier.
OBJECT_DENIED = frozenset(
    {
        "AccessDenied",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
        "BlobArchived",
        "BlobBeingRehydrated",
        "InsufficientAccountPermissions",
    }
)
DENIED_STATUS = frozenset({"401", "403"})
DENIED = frozenset({"PublicAccessNotPermitted", "InvalidAuthenticationInfo", "AccountIsDisabled"})


@dataclass(frozen=True)
class Words:
    """How messages name a service. login, allow, check: what to do without credentials, permission, an answer."""

    service: str
    bucket: str
    login: str
    allow: str
    check: str
    rename: str = "rename or remove that object, or name a prefix without it"


def cloud_fault(
    error: Exception, address: str, words: Words, *, is_object: bool
) -> PipelineError | None:
    """Translate what obstore raised at an address; None if the service may just be out of order.

    is_object: what was listed is being read, so that a refusal may be of this object alone.
    """
    from obstore.exceptions import InvalidPathError

    told = str(error).partition("\n\nDebug source")[0]
    status, code = _first(r"status code: (\d{3})", told), _first(r"<Code>(\w+)</Code>", told)
    message = _first(r"<Message>([^<\n]+)", told)
    found = f"{code} {message}".strip() or _cause(told)
    if isinstance(error, InvalidPathError):
        what = "a key that cannot be read: it has an empty part, `.` or `..` as a part, or a control character"
        return BadData(what, file=address, value=_path_in(told), remedy=words.rename)
    if UNUSABLE.search(told) and "<Code>" not in told:
        what = f"no usable credentials for {words.service}"
        value = NO_IDENTITY if IDENTITY.search(told) else _cause(told)
        return CredentialsRefused(what, file=address, value=value, remedy=words.login)
    if code in NO_BUCKET:
        return SourceMissing(
            f"no such {words.bucket}",
            file=address,
            value=found,
            remedy=f"{FIX_SOURCES}, or {words.check}",
        )
    if status == "404":
        what = f"no such object on {words.service}"
        if not code:  # a question for one object is answered without a body
            what = f"{what}, or no such {words.bucket}"
        if is_object:
            return ObjectRefused(what, file=address, value=found, remedy=RELIST)
        remedy = f"{FIX_SOURCES}; if it was removed just now, {RELIST}"
        return SourceMissing(what, file=address, value=found, remedy=remedy)
    if is_object and code in OBJECT_DENIED:
        what = f"{words.service} refused access to this object"
        return ObjectRefused(what, file=address, value=found, remedy=words.allow)
    if status in DENIED_STATUS or code in DENIED | OBJECT_DENIED:
        what = f"{words.service} refused access"
        return CredentialsRefused(what, file=address, value=found, remedy=words.login)
    return None


def unusable_environment(error: Exception, address: str, words: Words) -> PipelineError:
    """The error for what obstore refuses before it asks anybody: a variable of the environment, or credentials in it."""
    if fault := cloud_fault(error, address, words, is_object=False):
        return fault
    what = f"a variable of the environment for {words.service} that cannot be used"
    remedy = "correct or unset it: GOOGLE_..., AZURE_..."
    value = _cause(str(error).partition("\n\nDebug source")[0])
    return ConfigError(what, file=address, value=value, remedy=remedy)


def unavailable(error: Exception, address: str, words: Words) -> ServiceUnavailable:
    """The error for everything else."""
    told, _, debug = str(error).partition("\n\nDebug source")
    what = f"{words.service} does not answer as expected"
    reason = next((found for pattern in REASONS if (found := _first(pattern, debug))), "")
    reason = " ".join(reason.replace("(", " ").split())
    if reason[:1].isdigit():
        reason = f"{reason} refuses connections"  # perhaps a proxy
    value = f"{reason}: {_cause(told)}" if reason else _cause(told)
    remedy = TRUST if "InvalidCertificate" in debug else words.check
    return ServiceUnavailable(what, file=address, value=value, remedy=remedy)


def _cause(told: str) -> str:
    """The last part of obstore's chain of causes, with the address that was asked and no query."""
    asked = _first(r"(https?://[^\s?]+)", told)
    last = told.rpartition(" - ")[2] if " - " in told else told.partition("error: ")[2] or told
    cause = " ".join(last.removeprefix(ANSWERED).split())[:200].rstrip(": ")
    return f"{cause}, at {asked}" if asked and asked not in cause else cause


def _path_in(told: str) -> str:
    return _first(r'(?s)[Pp]ath "(.*?)"( contained|: )', told) or told[:200]


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
