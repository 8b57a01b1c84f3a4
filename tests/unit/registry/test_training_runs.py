"""The curves of trainings in MLflow, beside the registry."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from pipeline_lib.harness.tracking import TAG, open_trackers
from pipeline_lib.settings import load_settings


def test_a_training_is_one_run_also_when_it_was_stopped_and_went_on(
    tmp_path: Path, database: str, name: str
) -> None:
    settings = load_settings(tmp_path).model_copy(update={"trackers": "mlflow"})

    for epoch, loss in ((1, 0.5), (2, 0.25)):
        with open_trackers(
            "lenet-0f", {"network": "lenet"}, settings=settings, checkout=tmp_path
        ) as tell:
            tell(epoch, {"val_loss": loss})

    client = MlflowClient(tracking_uri=database)
    experiment = client.get_experiment_by_name(f"{name}-training")
    assert experiment is not None
    (run,) = client.search_runs(
        [experiment.experiment_id], filter_string=f"tags.{TAG} = 'lenet-0f'"
    )
    curve = client.get_metric_history(run.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in curve] == [(1, 0.5), (2, 0.25)]
    assert (run.data.params, run.info.status) == ({"network": "lenet"}, "FINISHED")
