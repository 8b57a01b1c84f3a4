"""Where and how a run works: workers, devices, endpoints, folders. Changing a setting never changes a result.

Sources, strongest first: `PERENNIAL_*` environment variables, then settings.toml. No secrets: S3 credentials come from
boto3's own chain; a setting may name a profile or an endpoint, never a key.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline_lib.errors import ConfigError

PREFIX = "PERENNIAL_"
MACHINE_FILES = (
    "settings.toml",
    ".dvc/config",
)  # they describe this machine, so our commits never include them
TRACKER = "(tensorboard|mlflow|wandb)"
BUCKET = r"(s3|gs|az)://[A-Za-z0-9$._-]+/?"
HOST_AND_VARIABLE = r"(https?://)?[A-Za-z0-9.-]+(:\d{1,5})?=[A-Za-z_][A-Za-z0-9_]*"
# Loaders of earlier versions. FFCV's own Loader changes pixels, so it is a parameter now and no setting.
LOADERS_GONE = {
    "ffcv": "set native, which shows the same pixels; FFCV's own Loader is `train.views: ffcv` in params.yaml",
    "stock": "FFCV's own Loader changes what training sees, so it is `train.views: ffcv` in params.yaml; set auto here",
    "torchvision": "set python, which shows the same pixels",
}


class Settings(BaseSettings):
    """The settings of one run, from settings.toml and from environment variables such as PERENNIAL_WORKERS."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    workers: int = Field(
        0, ge=0, le=1024, description="number of processes or threads per stage; 0: one per core"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device for training and evaluation; auto: the GPU if there is one"
    )
    loader: Literal["auto", "native", "python", "resident"] = Field(
        "auto",
        description="loader that reads the betons, all with the same pixels; native: C decoder; python: libraries "
        "only, slower; resident: images are decoded once and stay on the training device, for augmentation by flip, "
        "shift and cutout only; auto: resident on a GPU if the images fit, else native, else python",
    )
    dask_address: str | None = Field(
        None,
        description="address of a Dask scheduler, such as `tcp://host:8786`; inspect and convert then process "
        "their shards on its workers, which must share this folder and have the packages of the same lock file",
    )
    state_dir: Path = Field(
        Path(".perennial"),
        description="folder of registry, memo, reports and locks, relative to the original repository",
    )
    root: Path | None = Field(
        None,
        description="original repository of a workspace; set by `perennial run`, do not set by hand",
    )
    supervisor_pid: int | None = Field(
        None, description="process whose end stops the stage; set by the flow, do not set by hand"
    )
    progress_every_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="seconds between progress lines in a log (a terminal shows one live line)",
    )
    checkpoint_every_s: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="seconds between training checkpoints; at most this much work is lost in a crash",
    )
    train_nodes: int = Field(
        1,
        ge=1,
        le=1024,
        description="number of machines that share train.processes; all but the first run `perennial join`",
    )
    train_rendezvous: str = Field(
        "localhost:29400",
        pattern=r"^[^\s:]+:\d{1,5}$",
        description="host:port of the first training machine, where the others join; it has no password, so keep "
        "it on a trusted network",
    )
    s3_endpoint_url: str | None = Field(
        None,
        description="address of an S3-compatible server; unset: boto3's default",
    )
    aws_profile: str | None = Field(
        None, description="profile in ~/.aws/config to take S3 credentials from"
    )
    gcs_endpoint_url: str | None = Field(
        None,
        description="address of a server like Google Cloud Storage; unset: Google's own",
    )
    azure_account: str | None = Field(
        None,
        description="name of the storage account of az:// containers; unset: AZURE_STORAGE_ACCOUNT_NAME",
    )
    azure_endpoint_url: str | None = Field(
        None,
        description="address of the account's blob service; unset: https://ACCOUNT.blob.core.windows.net",
    )
    public_buckets: str = Field(
        "",
        pattern=rf"^({BUCKET}(, *{BUCKET})*)?$",
        description="comma-separated buckets that are read without credentials: s3://NAME, gs://NAME, az://NAME",
    )
    url_tokens: str = Field(
        "",
        pattern=rf"^({HOST_AND_VARIABLE}(, *{HOST_AND_VARIABLE})*)?$",
        description="comma-separated `host=VARIABLE`: environment variable whose value is sent to this https host, as a "
        "whole header (`PRIVATE-TOKEN: abc`) or as the token of `Authorization: Bearer`; never to another host, also "
        "not after a redirect. `http://host:port=VARIABLE` for a server without TLS",
    )
    allow_private_urls: bool = Field(
        False,
        description="whether lines of URL lists, and redirects, may lead to private, loopback and link-local addresses; "
        "what discover.sources names itself may always",
    )
    registry_uri: str | None = Field(
        None, description="URI of the MLflow registry; unset: SQLite in the state folder"
    )
    model_name: str = Field(
        "perennial", pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the registered model"
    )
    trackers: str = Field(
        "",
        pattern=rf"^({TRACKER}(,{TRACKER})*)?$",
        description="comma-separated experiment trackers that receive the training curves: tensorboard, mlflow, wandb",
    )
    candidate: bool = Field(
        False,
        description="whether to register a challenger at most; set by `perennial run` for runs with changed parameters",
    )
    dvc_push: bool = Field(
        True,
        description="whether to push to the default DVC remote, if one is configured, before registering",
    )
    keep_workspaces: int = Field(
        3, ge=0, le=1000, description="number of workspaces of finished runs to keep for inspection"
    )
    keep_runs: int = Field(
        100,
        ge=1,
        le=100_000,
        description="number of runs whose git tag, and so whose data, is kept",
    )
    keep_reports: int = Field(
        50,
        ge=1,
        le=100_000,
        description="number of reports to keep with their images; those of versions with an alias stay longer",
    )
    price_per_hour: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+)? [A-Z]{3}$",
        description="price of one hour of this machine with its currency, such as `1.20 EUR`; `perennial history` then "
        "shows what each night cost",
    )
    memo_days: int = Field(
        60,
        ge=0,
        description="days to keep unused memo entries (0: none) and the checkpoints of unfinished training (at "
        "least 1 day)",
    )

    @field_validator("s3_endpoint_url", "gcs_endpoint_url", "azure_endpoint_url")
    @classmethod
    def _names_a_server(cls, address: str | None) -> str | None:
        if address and not re.match(r"https?://[^\s/]", address):
            raise ValueError("no address: write https://host or http://host:port")
        return address

    @field_validator("loader", mode="before")
    @classmethod
    def _loader_is_not_of_an_earlier_version(cls, value: object) -> object:
        if isinstance(value, str) and (instead := LOADERS_GONE.get(value)):
            raise ValueError(f"is no more: {instead}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose values come in as arguments."""
        return (env_settings, init_settings)

    def origin(self, checkout: Path) -> Path:
        """The original repository: relative sources and the state folder belong to it, also in a workspace.

        DVC sets DVC_ROOT to the real project also inside `dvc exp run --temp`.
        """
        return (self.root or Path(os.environ.get("DVC_ROOT", checkout))).resolve()

    def state_folder(self, checkout: Path) -> Path:
        """The state folder, as an absolute path."""
        return self.origin(checkout) / self.state_dir

    def run_in(self, checkout: Path) -> str:
        """The name of the run whose workspace a checkout is; empty for the original repository."""
        return "" if self.origin(checkout) == checkout.resolve() else checkout.name

    def is_public(self, bucket: str) -> bool:
        """Whether a bucket, as `s3://name`, is read without credentials."""
        return bucket in {name.strip().rstrip("/") for name in self.public_buckets.split(",")}

    def worker_count(self) -> int:
        """The number of workers, with 0 resolved to the cores this process may use."""
        return self.workers or len(os.sched_getaffinity(0))


def load_settings(checkout: Path) -> Settings:
    """Read settings.toml and the environment. Raises ConfigError naming every fault at once.

    The file is the original repository's, also in a workspace: settings belong to the machine, not to the commit.
    """
    original = os.environ.get(f"{PREFIX}ROOT") or os.environ.get("DVC_ROOT") or checkout
    path = Path(original) / "settings.toml"
    try:
        values: dict[str, Any] = (
            tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            "not valid TOML", file=path, value=str(error), remedy="fix that line"
        ) from error
    faults = [
        _unknown(name, PREFIX)
        for name in os.environ
        if name.startswith(PREFIX) and _field(name) not in Settings.model_fields
    ]
    faults += [_unknown(name, "") for name in values if name not in Settings.model_fields]
    try:
        settings = Settings(
            **{name: value for name, value in values.items() if name in Settings.model_fields}
        )
    except ValidationError as error:
        faults += [
            f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
    if faults:
        remedy = "fix these keys; `perennial settings` lists every key with its meaning"
        raise ConfigError(
            f"{len(faults)} wrong settings", file=path, value="; ".join(faults), remedy=remedy
        )
    return settings


def _field(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()


def _unknown(name: str, prefix: str) -> str:
    known = [prefix + (field.upper() if prefix else field) for field in Settings.model_fields]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"{name}: no such setting, nearest is {near[0]}"
