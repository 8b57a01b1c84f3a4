"""Parameters of `discover`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline_lib.params_file import Params
from pipeline_lib.sources.source import Source

Hours = Annotated[float, Field(ge=0, le=8760)]


class DiscoverParams(Params):
    """Which sources there are, and how often they are looked at."""

    refresh: Literal["always", "never"] | Hours = Field(
        "always",
        description="when to list the sources anew: always, never (offline), or after that many hours",
        json_schema_extra={"visible": True},
    )
    sources: tuple[Source, ...] = Field(min_length=1, description="where the pictures come from")
    max_withdrawn_rate: float = Field(
        0.05,
        ge=0,
        le=1,
        description="largest share of a source's objects, or of their bytes, that may be gone since the last run; "
        "up to 5 loose files may go in any case",
    )
    withdrawn_accepted: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8}$",
        description="a larger withdrawal that a person accepts, by the code in the error; it fits no other one",
    )

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are named {', '.join(twice)}")
        return sources


PARAMS = DiscoverParams
