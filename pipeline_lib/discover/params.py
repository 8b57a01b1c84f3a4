"""Parameters of `discover`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline_lib.params_file import Params
from pipeline_lib.sources.source import Source

Hours = Annotated[float, Field(ge=0, le=8760)]


class DiscoverParams(Params):
    """Which sources to read, and how often to list them."""

    refresh: Literal["always", "never"] | Hours = Field(
        "always",
        description="when to list the sources again: always, never (offline), or once the last listing is this "
        "many hours old",
        json_schema_extra={"visible": True},
    )
    sources: tuple[Source, ...] = Field(min_length=1, description="sources of images")
    max_withdrawn_rate: float = Field(
        0.05,
        ge=0,
        le=1,
        description="largest share (0..1) of a source's objects (of an archive's members), or of their bytes, that may "
        "have disappeared since a person last accepted a withdrawal; up to 5 loose files or members may always "
        "disappear",
    )
    withdrawn_accepted: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8}$",
        description="code from the error message about a larger withdrawal, or about other data at another address, to "
        "accept exactly that",
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
