"""Write the code deps of every stage into dvc.yaml, from the import graph: `python -m scripts.write_deps`."""

from __future__ import annotations

from ruamel.yaml import YAML

from scripts.import_graph import ROOT, expected_deps


def main() -> None:
    yaml = YAML()
    yaml.width = 160
    yaml.indent(mapping=2, sequence=4, offset=2)
    path = ROOT / "dvc.yaml"
    content = yaml.load(path)
    for name, stage in content["stages"].items():
        data = [dep for dep in stage.get("deps", []) if not dep.startswith("pipeline_lib")]
        deps = [*expected_deps(name), *data]
        if "deps" in stage:
            stage["deps"] = deps
        else:
            stage.insert(list(stage).index("outs"), "deps", deps)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


if __name__ == "__main__":
    main()
