import threading

from qtopt_policy.worker import Worker


def test_results_and_errors_come_back_in_the_thread_that_delivers() -> None:
    woken = threading.Semaphore(0)
    worker = Worker(woken.release)
    got: list[tuple[str, object, int]] = []
    here = threading.get_ident()

    def fail() -> int:
        raise ValueError("no")

    worker.submit(
        threading.get_ident,
        lambda value: got.append(("done", value, threading.get_ident())),
        lambda error: got.append(("failed", error, threading.get_ident())),
    )
    worker.submit(
        fail,
        lambda value: got.append(("done", value, threading.get_ident())),
        lambda error: got.append(("failed", str(error), threading.get_ident())),
    )
    for _ in range(2):
        assert woken.acquire(timeout=20.0)
    assert got == []
    worker.deliver()
    assert [(kind, thread) for kind, _, thread in got] == [("done", here), ("failed", here)]
    assert got[0][1] != here
    assert got[1][1] == "no"
    worker.close()


def test_close_drops_what_has_not_begun() -> None:
    started, go = threading.Event(), threading.Event()
    worker = Worker(lambda: None)
    ran: list[int] = []

    def first() -> None:
        started.set()
        go.wait(20.0)

    worker.submit(first, lambda _: None, lambda _: None)
    worker.submit(lambda: ran.append(1), lambda _: None, lambda _: None)
    assert started.wait(20.0)
    threading.Timer(0.05, go.set).start()
    worker.close()
    assert ran == []
