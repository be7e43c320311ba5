"""While much is built up, the collector of cycles passes over it; afterwards it looks at everything again."""

from __future__ import annotations

import gc

from assent.core.garbage import spared


def test_what_was_settled_is_passed_over_until_the_last_block_ends() -> None:
    before = gc.get_freeze_count()
    with spared() as settle:
        many = [[n] for n in range(1000)]
        settle()
        inside = gc.get_freeze_count()
        with spared():
            pass
        assert inside > before
        # Of what is frozen some goes by itself meanwhile; letting go would leave nothing.
        assert gc.get_freeze_count() > inside / 2, "an inner block that ends lets nothing go"
    assert gc.get_freeze_count() == 0 and len(many) == 1000
