"""The ConfigMap of a resolved run: immutable, read by all attempts, so that nothing shifts under them."""

from __future__ import annotations

from collections.abc import Sequence

from cupola_api import run as contract
from cupola_operator import labels
from cupola_operator.build.metadata import child
from cupola_operator.children import DIGEST, PLACEMENT, RUN_FILE, Placement
from cupola_operator.cluster import Object
from cupola_operator.settings import Pool
from cupola_operator.world import World


def config_map(
    world: World,
    name: str,
    run: contract.Run,
    pool: Pool,
    image: str,
    *,
    others: Sequence[Pool] = (),
) -> Object:
    """The ConfigMap that holds `run`, to be computed on `pool` at the price of today.

    `others`: the pools that it goes to, in this order, when that one has no room. All that shapes
    its pods is in it, so that a change of the settings touches later runs only.
    """
    settings = world.settings
    placement = Placement(
        pool=pool,
        others=list(others),
        currency=settings.currency,
        image=image,
        image_pull_secrets=settings.image_pull_secrets,
        storage=settings.storage,
        queue=settings.queue,
    )
    metadata = child(world, name, {labels.REVISION: str(world.revision)})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata
        | {
            "annotations": {
                DIGEST: run.digest,
                PLACEMENT: placement.model_dump_json(by_alias=True, exclude_none=True),
            }
        },
        "immutable": True,
        "data": {RUN_FILE: contract.dump(run)},
    }
