"""Where slab_cache does something else than nginx's own cache, on purpose: (framework, step): (nginx, slab_cache, why)."""

DIFFERENCES = {
}
