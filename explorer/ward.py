"""A training run that ends with the server that began it: python -m explorer.ward, arguments of training.classify.

The server holds the other end of this process's input. When that closes, because the server ended in whatever way,
the run saves and leaves as if it had been asked to.
"""

import os
import signal
import threading

from lambda_core.training import classify


def _follow() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock a thread must not hold when Python ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()
    classify.main()
