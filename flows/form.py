"""The parameter form of the flow, made from the models of params.yaml.

A field left alone keeps the value of params.yaml, so every field is optional and none has a default; bounds, units
and meaning are those of the stage's own model. Fields that a model marks as visible come first, all under `advanced`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from pipeline_lib.params import LineParams

MAX_VISIBLE = 8
_CONFIG = ConfigDict(extra="forbid", populate_by_name=True)


def visible_keys() -> dict[str, str]:
    """Form field -> key in params.yaml, as in `train_epochs` -> `train.epochs`, for the fields marked visible."""
    return {
        f"{section}_{name}": f"{section}.{name}"
        for section, model in _sections().items()
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("visible")
    }


def overrides_of(change: BaseModel, advanced: BaseModel) -> dict[str, Any]:
    """What a filled form sets: section -> key -> value, empty when it was left alone."""
    overrides: dict[str, Any] = _set_values(advanced)
    for field, value in _set_values(change).items():
        section, _, name = visible_keys()[field].partition(".")
        overrides.setdefault(section, {})[name] = value
    return {section: values for section, values in overrides.items() if values}


def _sections() -> dict[str, type[BaseModel]]:
    return {
        field.alias or name: field.annotation
        for name, field in LineParams.model_fields.items()
        if isinstance(field.annotation, type)
    }


def _set_values(form: BaseModel) -> dict[str, Any]:
    return form.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _without_default(field: FieldInfo, title: str) -> tuple[Any, Any]:
    """The same type and bounds, not required, and with no default for the form to send back."""
    default = "" if field.is_required() else f" Default: {field.get_default(call_default_factory=True)}."
    kind: Any = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):  # a group of fields: folded, and optional all through
        form = _optional(kind)
        return form, Field(default_factory=form, title=title, description=field.description)
    if field.metadata:
        kind = Annotated[kind, *field.metadata]
    description = f"{(field.description or '').rstrip('.')}.{default}"
    return kind, Field(None, title=title, description=description, json_schema_extra=_for_the_form)


def _for_the_form(schema: dict[str, Any]) -> None:
    """No default, and no choice of null beside a type: the form would fill both in and send them back."""
    schema.pop("default", None)
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])


def _optional(model: type[BaseModel]) -> type[BaseModel]:
    """The model of a section, or of a group in it, with no field required."""
    fields: dict[str, Any] = {name: _without_default(field, name) for name, field in model.model_fields.items()}
    form: type[BaseModel] = create_model(
        f"{model.__name__}Changes", __config__=_CONFIG, __doc__=model.__doc__ or "", **fields
    )
    return form


def _change_form() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for field, key in visible_keys().items():
        section, _, name = key.partition(".")
        fields[field] = _without_default(_sections()[section].model_fields[name], key)
    assert len(fields) <= MAX_VISIBLE, f"{len(fields)} visible fields: {list(fields)}"
    doc = "What to change for this run only; a field left empty keeps the value of params.yaml."
    form: type[BaseModel] = create_model("Change", __config__=_CONFIG, __doc__=doc, **fields)
    return form


def _advanced_form() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for section, model in _sections().items():
        section_form = _optional(model)
        name = f"{section}_" if section == "register" else section
        fields[name] = (section_form, Field(default_factory=section_form, title=section, alias=section))
    doc = "Every key of params.yaml, by section."
    form: type[BaseModel] = create_model("Advanced", __config__=_CONFIG, __doc__=doc, **fields)
    return form


Change: Any = _change_form()
Advanced: Any = _advanced_form()
