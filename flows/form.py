"""Build the parameter form of the flow from the models of params.yaml.

Every field is optional and has no default: an untouched field (null) keeps the value of params.yaml. Bounds, units and
meaning come from the stage's own model. Fields that a model marks as visible come first; all keys are folded under
`advanced`, which Prefect shows closed because null is its first choice.
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
    """Map each visible form field to its key in params.yaml, such as `train_epochs` -> `train.epochs`."""
    return {
        f"{section}_{name}": f"{section}.{name}"
        for section, model in _sections().items()
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("visible")
    }


def changes_of(change: BaseModel, advanced: BaseModel | None) -> dict[str, Any]:
    """Return the changes that a submitted form makes: section -> key -> value, empty for an untouched form."""
    changes = (
        {section: values for section, values in _set_values(advanced).items() if values}
        if advanced
        else {}
    )
    for field, value in _set_values(change).items():
        section, _, name = visible_keys()[field].partition(".")
        changes.setdefault(section, {})[name] = value
    return changes


def _sections() -> dict[str, type[BaseModel]]:
    return {
        field.alias or name: field.annotation
        for name, field in LineParams.model_fields.items()
        if isinstance(field.annotation, type)
    }


def _set_values(form: BaseModel) -> dict[str, Any]:
    return form.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def _without_default(model: type[BaseModel], name: str, title: str) -> tuple[Any, Any]:
    """Make a field optional without a default, so that an untouched field sends nothing; type and bounds stay."""
    field = model.model_fields[name]
    said = "null" if field.is_required() else default_of(model, name)
    default = "" if said == "null" else f" Default: {said}."
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[kind, *field.metadata]
    description = f"{(field.description or '').rstrip('.')}.{default}"
    return kind | None, Field(
        None, title=title, description=description, json_schema_extra=_for_the_form
    )


def _for_the_form(schema: dict[str, Any]) -> None:
    """Adapt a field's JSON schema to Prefect's form: no default, and no choice of null beside its type.

    Measured with Prefect 3.8.8: the form sends null for every untouched field. The server accepts that for numbers and
    texts; an enum needs null among its values, a union needs null among its types.
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
    """Copy the model of a section with every field optional."""
    fields: dict[str, Any] = {
        name: _without_default(model, name, name) for name in model.model_fields
    }
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
    doc = "Parameters to change for this run only; an empty field keeps the value of params.yaml."
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
