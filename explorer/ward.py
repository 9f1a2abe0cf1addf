"""A training run that ends with the server that began it: python -m explorer.ward, arguments of training.classify.

The server holds the other end of this process's input. When that closes, because the server wants it or has ended in
whatever way, the run saves and leaves as if it had been asked to.
"""

import os
import signal
import threading


def _follow() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock a thread must not hold when Python ends
        pass
    signal.raise_signal(signal.SIGTERM)  # which runs the handler on Windows too, where os.kill ends the process


if __name__ == "__main__":
    threading.Thread(target=_follow, daemon=True).start()
    from lambda_core.training import classify  # which takes seconds, in which the server may want it too

    classify.main()
