"""Give a workspace the cache and the remotes of its origin."""

from __future__ import annotations

from pathlib import Path

from dvc.config import Config

SITE_CACHE = ".dvc/tmp/site"  # inside the workspace, so that it is removed with it


def share_cache_and_remotes(origin: Path, workspace: Path) -> None:
    """Write the workspace's .dvc/config.local: the origin's own, with paths relative to the origin made absolute.

    Cache and config.local are the origin's current ones. The remotes come from the workspace's own commit, since
    another branch may use other storage. config.local is git-ignored and so missing in a clone, and with it the name of
    the credentials' profile. It may hold secrets, and DVC keeps pickles in its site cache: only the owner can read
    either.
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
            if "://" not in remote["url"]:  # a folder, relative to the origin in the commit
                folder = (origin / ".dvc" / Path(remote["url"]).expanduser()).resolve()
                content.setdefault("remote", {}).setdefault(name, {}).setdefault("url", str(folder))
