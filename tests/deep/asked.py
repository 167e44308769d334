"""What is asked of the long runs, taken out of the environment: a run of wattrow refuses settings that it does not know."""

import os

EXAMPLES = int(os.environ.pop("WATTROW_EXAMPLES", "100000"))
"""Models to compare with the reference."""
SEED = int(os.environ.pop("WATTROW_SEED", "1"))
"""Another seed, other models."""
MINUTES = float(asked) if (asked := os.environ.pop("WATTROW_MINUTES", None)) else None
"""Stop a long run after so many minutes (fuzzers: each target)."""
