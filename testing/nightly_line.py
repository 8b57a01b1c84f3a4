"""A line of small images that runs night after night in this process, with what DVC and the state folder keep between."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.discover.listing import list_sources
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.harness.line import Line, read_line
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.settings import Settings
from pipeline_lib.sources.source import Source, sources_as_json
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.train.params import TrainParams
from testing.curated import CURATION, OF_FEW_IMAGES, TREE
from testing.small_line import QUICK
from testing.sources import keep_as_dvc

PARAMS: dict[str, Any] = {
    "download": DownloadParams(
        shard_min_bytes=4_000, shard_target_bytes=16_000, shard_max_bytes=32_000
    ),
    "inspect": InspectParams(embedding_weights=None),
    "curate": CurateParams(**OF_FEW_IMAGES),
    "convert": ConvertParams(),
    "train": TrainParams(**QUICK),
}


@dataclass(frozen=True)
class NightlyLine:
    """folder: the checkout. Its source is the folder `pics` inside it."""

    folder: Path

    @property
    def pics(self) -> Path:
        return self.folder / "pics"

    @property
    def line(self) -> Line:
        return read_line(self.folder)

    def set_up(self) -> NightlyLine:
        """Write what a checkout has, and an empty source."""
        self.pics.mkdir(parents=True)
        (self.folder / "curation").mkdir()
        shutil.copy(TREE / "dvc.yaml", self.folder / "dvc.yaml")
        for name, content in CURATION.items():
            (self.folder / "curation" / name).write_text(content)
        sources = {"discover": {"sources": [{"name": "pics", "uri": "pics"}]}}
        with (self.folder / "params.yaml").open("w") as file:
            YAML().dump({**sources, "curate": {"max_quarantine_rate": 1.0}}, file)
        return self

    def night(self) -> None:
        """List and download, and keep both as DVC does."""
        source = (Source.model_validate({"name": "pics", "uri": "pics"}),)
        listed = list_sources(source, self._settings(), root=self.folder)
        LISTING.write(listed.frame, self.line.path("listing"))
        self.line.path("sources").write_text(sources_as_json(source))
        self.run("download")
        files = self.line.stage_files("download")
        keep_as_dvc(
            self.folder,
            [files.reads["listing"], files.reads["sources"]],
            [files.writes["members"], files.writes["shards"]],
            PARAMS["download"],
        )

    def run(self, *stages: str) -> None:
        """Run stages on what is there."""
        for stage in stages:
            files = self.line.stage_files(stage)
            job = StageRun(self.folder, files.reads, files.writes, PARAMS[stage], self._settings())
            import_module(f"pipeline_lib.{stage}.run").run(job)

    def _settings(self) -> Settings:
        return Settings(workers=1, device="cpu", root=self.folder)
