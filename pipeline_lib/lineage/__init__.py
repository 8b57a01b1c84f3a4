"""Where a model or a file comes from, and what was made from it: computed from receipts, never kept in a store."""

from pipeline_lib.lineage.find import lineage_of, lineage_of_version
from pipeline_lib.lineage.lineage import Fact, Lineage, Step, as_json, as_mermaid, as_text

__all__ = [
    "Fact",
    "Lineage",
    "Step",
    "as_json",
    "as_mermaid",
    "as_text",
    "lineage_of",
    "lineage_of_version",
]
