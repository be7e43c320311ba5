"""Shape checks: annotations of tensors in the packages that compute with them are enforced while tests run.

jaxtyping binds the letters of one call (`" S"` is one length for all its arguments), beartype looks at every value.
Only this process is checked; a test that starts another one runs it as users do.
"""

from __future__ import annotations

from jaxtyping import install_import_hook

from shape_check import CHECKED

install_import_hook(CHECKED, "shape_check.checked")
