"""Where a worker process begins: `python -m pipeline.hand`; what it does then is `worker.serve`."""

import sys

from pipeline.collector import uncollected
from pipeline.crew import WARM


def main() -> None:
    """Load what partitions take, and answer until nobody asks."""
    for unneeded in ("pydantic", "pydantic_core"):  # dataframely loads them where it can, which takes 20 ms
        sys.modules[unneeded] = None  # type: ignore[assignment]
    with uncollected():
        from pipeline.worker import serve
    serve(warm=WARM in sys.argv)


if __name__ == "__main__":
    main()
