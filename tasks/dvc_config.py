"""Give a workspace the cache and the remotes of its origin."""

from __future__ import annotations

from pathlib import Path

from dvc.config import Config

SITE_CACHE = ".dvc/tmp/site"  # below a workspace, so that it goes with it


def share_cache_and_remotes(origin: Path, workspace: Path) -> None:
    """Write the workspace's .dvc/config.local: the origin's own, with paths relative to the origin made absolute.

    config.local is git-ignored, so a clone lacks it, with the cache's place and the credentials' profile in it. It may
    hold secrets, and DVC keeps pickles in its site cache: both are for the owner alone.
    """
    (workspace / ".dvc" / "config.local").touch(mode=0o600)
    (workspace / SITE_CACHE).mkdir(mode=0o700, parents=True)
    merged, local = Config(str(origin / ".dvc")), Config(str(workspace / ".dvc"))
    cache = merged["cache"].get("dir") or origin / ".dvc" / "cache"
    with local.edit("local") as content:
        for section, values in Config(str(origin / ".dvc")).load_one("local").items():
            content[section] = dict(values)
        content.setdefault("cache", {})["dir"] = str(Path(str(cache)).resolve())
        for name, remote in merged["remote"].items():
            if "://" not in str(remote["url"]):  # a folder
                content.setdefault("remote", {}).setdefault(name, {})["url"] = str(Path(str(remote["url"])).resolve())
