"""What obstore says of the clouds, as errors of ours; Azure's account. The emulators' part: tests/service/test_clouds.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import GenericError, InvalidPathError

from pipeline_lib.errors import (
    BadData,
    ConfigError,
    CredentialsRefused,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources import cloud_bucket, object_bytes
from pipeline_lib.sources.authorities import BEGINS
from pipeline_lib.sources.cloud_bucket import AZURE, GOOGLE, azure_account
from pipeline_lib.sources.cloud_faults import Words, cloud_fault
from pipeline_lib.sources.places import table_place
from tests.support.certificates import own_authority
from tests.support.flaky_proxy import Busy, FlakyProxy, Request
from tests.support.web_server import Answer, WebServer

LISTED = "Generic X error: Error performing list request: Error performing GET https://host/b?sig=hush in 1ms - "
STATUS = LISTED + "Server returned non-2xx status code: "
BODY = "<?xml version='1.0'?><Error><Code>{}</Code><Message>because.\nRequestId:1</Message></Error>"
DEBUG = '\n\nDebug source:\nGeneric { store: "X" }'
TOKEN = "Generic X error: Error performing token request: Error performing GET {} in 1ms - HTTP error: error sending request"
KEY = {"AZURE_STORAGE_ACCOUNT_NAME": "one", "AZURE_STORAGE_ACCOUNT_KEY": "k"}
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=two;AccountKey=a+b==;EndpointSuffix=core.chinacloudapi.cn"


@pytest.mark.parametrize(
    ("told", "words", "is_object", "kind", "line"),
    [
        (STATUS + "404 Not Found: " + BODY.format("NoSuchBucket"), GOOGLE, False, SourceMissing,
         r"x: no such bucket \(found: NoSuchBucket because.\). Remedy: fix discover.sources .*gcs_endpoint_url"),
        (STATUS + "404 Not Found: " + BODY.format("ContainerNotFound"), AZURE, True, SourceMissing,
         r"no such container .*azure_account"),
        (STATUS + "404 Not Found: ", AZURE, False, SourceMissing,
         r"no such object on Azure Blob Storage, or no such container .*404 Not Found, at https://host/b\)"),
        (STATUS + "404 Not Found: " + BODY.format("NoSuchKey"), GOOGLE, True, ObjectRefused, "run again"),
        (STATUS + "403 Forbidden: " + BODY.format("AccessDenied"), GOOGLE, True, ObjectRefused, "storage.objects.get"),
        (STATUS + "403 Forbidden: " + BODY.format("AccessDenied"), GOOGLE, False, CredentialsRefused, "gcloud auth"),
        (STATUS + "409 Conflict: " + BODY.format("BlobArchived"), AZURE, True, ObjectRefused, "archive tier"),
        (STATUS + "403 Forbidden: " + BODY.format("AuthenticationFailed"), AZURE, True, CredentialsRefused, "az login"),
        (STATUS + "401 Unauthorized: ", GOOGLE, True, CredentialsRefused, "401 Unauthorized"),
        (STATUS + "409 Conflict: " + BODY.format("PublicAccessNotPermitted"), AZURE, False, CredentialsRefused, "because"),
        (TOKEN.format("http://169.254.169.254/token"), GOOGLE, False, CredentialsRefused,
         r"no usable credentials for Google Cloud Storage \(found: none in the environment .*GOOGLE_APPLICATION_CRED"),
        (TOKEN.format("https://login.microsoftonline.com/t"), AZURE, True, CredentialsRefused, "at https://login.micro"),
        ("Generic X error: Unable to open service account file from /n.json: gone", GOOGLE, False, CredentialsRefused,
         r"found: Unable to open service account file from /n.json"),
        ("Generic X error: Invalid Access Key: Invalid symbol 33, offset 8.", AZURE, False, CredentialsRefused, "symbol"),
    ],
)  # fmt: skip
def test_what_obstore_says_becomes_an_error_with_its_remedy(
    told: str, words: Words, is_object: bool, kind: type[PipelineError], line: str
) -> None:
    fault = cloud_fault(GenericError(told + DEBUG), "x", words, is_object=is_object)

    assert type(fault) is kind
    with pytest.raises(kind, match=line):
        raise fault
    assert "hush" not in str(fault) and "Debug" not in str(fault)


def test_a_key_that_obstore_cannot_name_is_named() -> None:
    told = 'Encountered object with invalid path: Path "odd/a//b.jpg" contained empty path segment'

    fault = cloud_fault(InvalidPathError(told), "gs://b/odd/", GOOGLE, is_object=False)

    assert isinstance(fault, BadData) and fault.value == "odd/a//b.jpg"


@pytest.mark.parametrize("told", [STATUS + "503 Service Unavailable: ", LISTED + "HTTP error: x"])
def test_what_may_pass_is_no_fault_yet(told: str) -> None:
    assert cloud_fault(GenericError(told), "x", AZURE, is_object=True) is None


def test_every_page_of_a_listing_is_asked_for() -> None:
    """In the form of https://cloud.google.com/storage/docs/xml-api/get-bucket-list: no emulator gives Google's pages."""

    def page(request: Request) -> Busy:
        at = (
            int(request.path.rpartition("continuation-token=")[2]) if "token" in request.path else 0
        )
        rows = "".join(
            f"<Contents><Key>set/{n:04}.jpg</Key><Size>1</Size><ETag>&quot;{n}&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for n in range(at, min(at + 1000, 2500))
        )
        more = f"<NextContinuationToken>{at + 1000}</NextContinuationToken>" if at < 2000 else ""
        return Busy(200, body=f"<ListBucketResult>{rows}{more}</ListBucketResult>".encode())

    with FlakyProxy("http://127.0.0.1:1", page) as proxy:
        settings = Settings(gcs_endpoint_url=proxy.url, public_buckets="gs://b")
        found = list(table_place("gs://b/set", settings, root=Path()).list())

        assert [(one.key, one.etag) for one in found] == [
            (f"{n:04}.jpg", str(n)) for n in range(2500)
        ]
        assert len(proxy.requests) == 3 and not any(
            one.headers["Authorization"] for one in proxy.requests
        )


@pytest.mark.parametrize(
    ("environment", "settings", "account"),
    [
        (KEY, {}, {"account_name": "one", "account_key": "k"}),
        ({"AZURE_STORAGE_ACCOUNT": "one", "AZURE_STORAGE_KEY": "k"}, {}, {"account_name": "one", "account_key": "k"}),
        (KEY, {"azure_account": "mine", "azure_endpoint_url": "http://h/mine/"},
         {"account_name": "mine", "account_key": "k", "endpoint": "http://h/mine"}),
        ({"AZURE_STORAGE_CONNECTION_STRING": CONNECTION}, {},
         {"account_name": "two", "account_key": "a+b==", "endpoint": "https://two.blob.core.chinacloudapi.cn"}),
        ({"AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://x/;SharedAccessSignature=sv=1&sig=a%3D"},
         {"azure_account": "x"}, {"account_name": "x", "sas_key": "sv=1&sig=a%3D", "endpoint": "https://x"}),
    ],
)  # fmt: skip
def test_the_account_is_found_as_azures_own_tools_find_it(
    environment: dict[str, str], settings: dict[str, Any], account: dict[str, str]
) -> None:
    assert azure_account(environment, Settings(**settings)) == account


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "settings.toml: no storage account is named for az://. Remedy: set azure_account"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "hush"}, "CONNECTION_STRING: not a connection string"),
    ],
)
def test_an_account_that_is_not_named_says_where_to_name_it(
    environment: dict[str, str], line: str
) -> None:
    with pytest.raises(ConfigError, match=line) as caught:
        azure_account(environment, Settings())

    assert "hush" not in str(caught.value)


def test_credentials_go_over_plain_http_only_to_an_endpoint_named_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with pytest.raises(ConfigError, match=r"SSL_CERT_FILE: certificates that cannot be read"):
        cloud_bucket._client_options(None)
    (tmp_path / "own.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"own.pem: it holds no certificate"):
        cloud_bucket._client_options(None)
    (tmp_path / "own.pem").write_bytes(BEGINS)

    assert cloud_bucket._client_options(None)["allow_http"] is False
    assert cloud_bucket._client_options("http://127.0.0.1:1")["allow_http"] is True
    assert cloud_bucket._client_options(None)["root_certificate"] == BEGINS


def test_nobody_who_answers_is_named_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(object_bytes.RETRIES, "max_retries", 0)
    settings = Settings(gcs_endpoint_url="http://127.0.0.1:1", public_buckets="gs://b")

    with pytest.raises(
        ServiceUnavailable,
        match=r"found: 127.0.0.1:1 refuses connections: HTTP error: .*127.0.0.1:1/b",
    ):
        list(table_place("gs://b/set", settings, root=Path()).list())


def test_an_authority_that_is_not_trusted_is_named_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(object_bytes.RETRIES, "max_retries", 0)
    for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(variable, raising=False)
    authority, context = own_authority(tmp_path)
    page = b"<ListBucketResult></ListBucketResult>"

    with FlakyProxy("http://127.0.0.1:1", lambda _: Busy(200, body=page), context=context) as proxy:
        settings = Settings(gcs_endpoint_url=proxy.url, public_buckets="gs://b")
        with pytest.raises(
            ServiceUnavailable, match=r"InvalidCertificate UnknownIssuer.*Remedy: .*SSL_CERT_FILE"
        ):
            list(table_place("gs://b/set", settings, root=Path()).list())

        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert not list(table_place("gs://b/set", settings, root=Path()).list())


@pytest.mark.parametrize(
    "uri", ["gs://b//set", "gs://b/a/../set", "az://c/./set", "az://c/a//x.tar"]
)
def test_an_address_that_obstore_would_take_for_another_is_refused(uri: str) -> None:
    with pytest.raises(BadData, match=r": a name that cannot be read. Remedy: name one without"):
        list(table_place(uri, Settings(), root=Path()).list())


@pytest.mark.parametrize(
    ("name", "value", "kind", "line"),
    [
        (
            "GOOGLE_BEARER_TOKEN",
            "hush\n",
            ConfigError,
            "GOOGLE_BEARER_TOKEN: a token with a control",
        ),
        (
            "AZURE_USE_AZURE_CLI",
            "maybe",
            ConfigError,
            r'cannot be used \(found: .*"maybe" as boolean',
        ),
        ("AZURE_STORAGE_SAS_TOKEN", "hush", ConfigError, r"found: Missing component in SAS query"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "no base!", CredentialsRefused, r"found: Invalid Access Key"),
        (
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "{",
            CredentialsRefused,
            r"Unable to decode service account",
        ),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_before_anybody_is_asked(
    name: str, value: str, kind: type[PipelineError], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    uri = "gs://b/set" if name.startswith("GOOGLE") else "az://c/set"

    with pytest.raises(kind, match=line) as caught:
        list(table_place(uri, Settings(azure_account="a"), root=Path()).list())

    assert "hush" not in str(caught.value)


def test_credentials_do_not_follow_a_redirect_to_another_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "hush")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "aHVzaA==")
    with WebServer({}) as other, WebServer({}) as first:
        lead_on = Answer(307, {"Location": f"{other.url}/taken"})
        first.answers = {"b": lead_on, "a/c": lead_on}
        settings = Settings(
            gcs_endpoint_url=first.url, azure_account="a", azure_endpoint_url=f"{first.url}/a"
        )
        for uri in ("gs://b/set", "az://c/set"):
            with pytest.raises(SourceMissing):
                list(table_place(uri, settings, root=Path()).list())

        assert [one.path for one in other.asked] == ["/taken", "/taken"]
        assert all("authorization" in one.headers for one in first.asked)
        assert not any("authorization" in one.headers for one in other.asked)
