"""Give a workspace the cache and the remotes of its origin."""

from __future__ import annotations

from pathlib import Path

from dvc.config import Config

SITE_CACHE = ".dvc/tmp/site"  # below a workspace, so that it goes with it


def share_cache_and_remotes(origin: Path, workspace: Path) -> None:
    """Write the workspace's .dvc/config.local: the origin's own, with paths relative to the origin made absolute.

    The cache and config.local are the origin's as it stands. The remotes are those of the workspace's own commit: what
    another branch calls its storage is none of ours. config.local is git-ignored, so a clone lacks it, with the
    credentials' profile in it. It may hold secrets, and DVC keeps pickles in its site cache: both are for the owner
    alone.
    """
    config = workspace / ".dvc" / "config"
    committed = Config.load_file(str(config)).get("remote", {}) if config.exists() else {}
    (workspace / ".dvc" / "config.local").touch(mode=0o600)
    (workspace / SITE_CACHE).mkdir(mode=0o700, parents=True)
    ours, local = Config(str(origin / ".dvc")), Config(str(workspace / ".dvc"))
    cache = ours["cache"].get("dir") or origin / ".dvc" / "cache"
    with local.edit("local") as content:
        for section, values in ours.load_one("local").items():
            content[section] = dict(values)
        content.setdefault("cache", {})["dir"] = str(Path(str(cache)).resolve())
        for name, remote in committed.items():
            if "://" not in remote["url"]:  # a folder, as the commit names it from where the origin lies
                folder = (origin / ".dvc" / Path(remote["url"]).expanduser()).resolve()
                content.setdefault("remote", {}).setdefault(name, {}).setdefault("url", str(folder))
