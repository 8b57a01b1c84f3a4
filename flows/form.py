"""The parameter form of the flow, made from the models of params.yaml.

A field left alone (null) keeps the value of params.yaml: every field is optional and none has a default; bounds, units
and meaning are those of the stage's own model. Fields that a model marks as visible come first; all keys are folded
under `advanced`, which Prefect shows closed since nothing (null) is its first choice.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from flows.fields import default_of
from pipeline_lib.params import LineParams

MAX_VISIBLE = 8
NULL = {"type": "null"}
_CONFIG = ConfigDict(extra="forbid", populate_by_name=True)


def visible_keys() -> dict[str, str]:
    """Form field -> key in params.yaml, as in `train_epochs` -> `train.epochs`, for the fields marked visible."""
    return {
        f"{section}_{name}": f"{section}.{name}"
        for section, model in _sections().items()
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("visible")
    }


def overrides_of(change: BaseModel, advanced: BaseModel | None) -> dict[str, Any]:
    """What a filled form sets: section -> key -> value, empty when it was left alone."""
    overrides = {section: values for section, values in _set_values(advanced).items() if values} if advanced else {}
    for field, value in _set_values(change).items():
        section, _, name = visible_keys()[field].partition(".")
        overrides.setdefault(section, {})[name] = value
    return overrides


def _sections() -> dict[str, type[BaseModel]]:
    return {
        field.alias or name: field.annotation
        for name, field in LineParams.model_fields.items()
        if isinstance(field.annotation, type)
    }


def _set_values(form: BaseModel) -> dict[str, Any]:
    return form.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _without_default(model: type[BaseModel], name: str, title: str) -> tuple[Any, Any]:
    """The same type and bounds, not required, and with no default for the form to send back."""
    field = model.model_fields[name]
    said = "null" if field.is_required() else default_of(model, name)
    default = "" if said == "null" else f" Default: {said}."
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[kind, *field.metadata]
    description = f"{(field.description or '').rstrip('.')}.{default}"
    return kind | None, Field(None, title=title, description=description, json_schema_extra=_for_the_form)


def _for_the_form(schema: dict[str, Any]) -> None:
    """How a field looks in Prefect's form: without a default, and without a choice of null beside its type.

    Measured with Prefect 3.8.8: the form sends null for every field left alone, and the server lets that pass for
    numbers and texts; a choice must have null among its values, several types must have it among them.
    """
    schema.pop("default", None)
    kinds = [kind for kind in schema.pop("anyOf", []) if kind != NULL]
    if len(kinds) == 1:
        schema.update(kinds[0])
    elif kinds:
        schema.update(anyOf=[*kinds, NULL], default=None)
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
        schema.pop("type", None)


def _optional(model: type[BaseModel]) -> type[BaseModel]:
    """The model of a section with no field required."""
    fields: dict[str, Any] = {name: _without_default(model, name, name) for name in model.model_fields}
    form: type[BaseModel] = create_model(
        f"{model.__name__}Changes", __config__=_CONFIG, __doc__=model.__doc__ or "", **fields
    )
    return form


def _change_form() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for field, key in visible_keys().items():
        section, _, name = key.partition(".")
        fields[field] = _without_default(_sections()[section], name, key)
    assert len(fields) <= MAX_VISIBLE, f"{len(fields)} visible fields: {list(fields)}"
    doc = "What to change for this run only; a field left empty keeps the value of params.yaml."
    form: type[BaseModel] = create_model("Change", __config__=_CONFIG, __doc__=doc, **fields)
    return form


def _advanced_form() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for section, model in _sections().items():
        section_form = _optional(model)
        name = f"{section}_" if section == "register" else section
        fields[name] = (section_form | None, Field(None, title=section, alias=section))
    doc = "Every key of params.yaml, by section."
    form: type[BaseModel] = create_model("Advanced", __config__=_CONFIG, __doc__=doc, **fields)
    return form


Change: Any = _change_form()
Advanced: Any = _advanced_form()
