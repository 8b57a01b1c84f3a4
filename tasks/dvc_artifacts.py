"""Let MLflow load models whose source is `dvc://md5/<md5>.dir`: from DVC's cache, or else from its default remote.

Named in pyproject.toml as the entry point `mlflow.artifact_repository: dvc`, so that
`mlflow.artifacts.download_artifacts("models:/NAME@champion")` works in any process of this environment. Read-only: DVC
holds the bytes, the registry only points to them.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from pipeline_lib.errors import SourceMissing, UsageError


class DvcArtifactRepository(ArtifactRepository):
    """The files of one DVC object, in the project PERENNIAL_ROOT, by default the one around the working folder."""

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List the files and folders directly below `path`."""
        below = PurePosixPath(path or "")
        found: dict[str, FileInfo] = {}
        for name in self._files:
            if below in PurePosixPath(name).parents:
                part = PurePosixPath(name).relative_to(below).parts
                child = str(below / part[0])
                found[child] = FileInfo(
                    child, len(part) > 1, None if len(part) > 1 else self._size(name)
                )
        return [found[name] for name in sorted(found)]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        """Copy one file out of the cache; MLflow calls this by keyword."""
        if remote_file_path not in self._files:
            remedy = f"name one of: {', '.join(self._files)}"
            raise UsageError(
                "the model has no such file",
                file=self.artifact_uri,
                value=remote_file_path,
                remedy=remedy,
            )
        shutil.copyfile(self._object(self._files[remote_file_path]), local_path)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Refused."""
        self._refuse(local_file)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Refused."""
        self._refuse(local_dir)

    def _refuse(self, path: str) -> None:
        remedy = "make the file an output of a DVC stage, which is then registered"
        raise UsageError(
            "models kept by DVC are read-only for MLflow",
            file=self.artifact_uri,
            value=path,
            remedy=remedy,
        )

    @cached_property
    def _files(self) -> dict[str, str]:
        """Map relative path to md5."""
        md5 = urlsplit(self.artifact_uri).path.strip("/")
        entries = json.loads(self._object(md5).read_bytes())
        return {entry["relpath"]: entry["md5"] for entry in entries}

    @cached_property
    def _repo(self) -> Any:
        from dvc.repo import Repo

        return Repo(os.environ.get("PERENNIAL_ROOT") or None)

    def _object(self, md5: str) -> Path:
        """Return the object's file in the local cache; fetch it from the default remote if it is missing."""
        cache = self._repo.cache.local
        path = Path(cache.oid_to_path(md5))
        if not path.exists():
            self._fetch(md5)
        return path

    def _fetch(self, md5: str) -> None:
        from dvc.config import NoRemoteError
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        try:
            remote = self._repo.cloud.get_remote_odb()
        except NoRemoteError:
            remedy = (
                "run `dvc repro` here, or add the remote that holds it with `dvc remote add -d`"
            )
            raise SourceMissing(
                "not in DVC's cache, and no remote is set",
                file=self.artifact_uri,
                value=md5,
                remedy=remedy,
            ) from None
        result = transfer(remote, self._repo.cache.local, {HashInfo("md5", md5)}, shallow=True)
        if result.failed or not Path(self._repo.cache.local.oid_to_path(md5)).exists():
            remedy = "run `dvc push` in the repository where the model was made"
            raise SourceMissing(
                "neither DVC's cache nor the remote has it",
                file=self.artifact_uri,
                value=md5,
                remedy=remedy,
            )

    def _size(self, name: str) -> int:
        return self._object(self._files[name]).stat().st_size
