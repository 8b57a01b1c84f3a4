"""What training needs that no picture changes, tried before the first stage spends hours on data."""

from __future__ import annotations

from pipeline_lib.harness.stage import StageRun


def look_ahead(job: StageRun) -> None:
    """Build the network, give it its starting weights, open the teacher and the device, and forget them all.

    job: with the params of `train` and no files. What recipes set by themselves is not tried: it works,
    and torch takes seconds to load. Raises what `train` would: ConfigError, SourceMissing, BadData, DependencyMissing.
    """
    params, settings = job.params, job.settings
    wanted = (params.network, params.side_px, params.batch_size, params.micro_batches, params.weights, params.teacher)
    if not any(wanted) and params.processes == 1 and settings.device != "cuda":
        return
    from pipeline_lib.networks.build import build_network
    from pipeline_lib.networks.device import open_device
    from pipeline_lib.train.least_batch import check_part
    from pipeline_lib.train.starting_weights import give_starting_weights
    from pipeline_lib.train.teacher import open_teacher

    device, recipe = open_device(settings.device, threads=params.threads, seed=params.seed), params.resolved()
    network = build_network(recipe.network, n_classes=2, side_px=recipe.side_px)
    check_part(network, recipe, n_images=None, processes=params.processes)
    give_starting_weights(network, job)
    open_teacher(job, [], device)
