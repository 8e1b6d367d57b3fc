from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from grasp_bringup.sim.lockstep import Lockstep, LockstepConfig

CONFIG = LockstepConfig(consumers=("guard", "policy"))
TICK = 0.01


def joined(now: float = 0.0) -> Lockstep:
    lockstep = Lockstep(CONFIG)
    for name in CONFIG.consumers:
        lockstep.heartbeat(name, now)
    return lockstep


def test_without_consumers_time_is_free() -> None:
    assert Lockstep(LockstepConfig()).waiting_for(1e6, image_due=True) == ()


def test_a_consumer_that_was_never_heard_of_does_not_stop_time() -> None:
    lockstep = Lockstep(CONFIG)
    lockstep.heartbeat("guard", 5.0)
    assert lockstep.missing == ("policy",)
    assert lockstep.waiting_for(5.0, image_due=False) == ()


def test_time_waits_for_the_slowest_by_name() -> None:
    lockstep = joined()
    lockstep.heartbeat("guard", 0.5)
    assert lockstep.waiting_for(CONFIG.window - TICK, image_due=False) == ()
    assert lockstep.waiting_for(CONFIG.window, image_due=False) == ("policy",)
    lockstep.heartbeat("policy", 0.5)
    assert lockstep.waiting_for(CONFIG.window, image_due=False) == ()


def test_strangers_do_not_count() -> None:
    lockstep = joined()
    lockstep.heartbeat("viewer", 0.0)
    lockstep.image_taken("viewer", 0.0)
    lockstep.heartbeat("guard", 1.0)
    lockstep.heartbeat("policy", 1.0)
    lockstep.image_published(0.9)
    assert lockstep.waiting_for(1.0, image_due=True) == ()


def test_the_next_image_waits_until_the_last_one_was_taken() -> None:
    lockstep = joined(0.1)
    lockstep.image_taken("policy", 0.1)
    lockstep.image_published(0.1)
    assert lockstep.waiting_for(0.1, image_due=True) == ()
    lockstep.heartbeat("guard", 0.2)
    lockstep.heartbeat("policy", 0.2)
    lockstep.image_published(0.2)
    assert lockstep.waiting_for(0.2, image_due=False) == ()
    assert lockstep.waiting_for(0.2, image_due=True) == ("policy (image)",)
    assert lockstep.untaken() == ("policy",)
    lockstep.image_taken("policy", 0.2)
    assert lockstep.waiting_for(0.2, image_due=True) == ()


def test_who_takes_no_images_is_not_waited_for() -> None:
    lockstep = joined(1.0)
    lockstep.image_published(1.0)
    assert lockstep.waiting_for(1.0, image_due=True) == ()


def test_a_servo_is_waited_for_tick_by_tick() -> None:
    lockstep = Lockstep(LockstepConfig(consumers=("servo",), servos=("servo",)))
    lockstep.heartbeat("servo", 1.0)
    assert lockstep.waiting_for(1.0, image_due=False) == ()
    assert lockstep.waiting_for(1.01, image_due=False) == ()
    assert lockstep.waiting_for(1.02, image_due=False) == ("servo",)
    lockstep.heartbeat("servo", 1.01)
    assert lockstep.waiting_for(1.02, image_due=False) == ()


def test_a_plan_counts_as_a_servo_s_heartbeat() -> None:
    lockstep = Lockstep(LockstepConfig(consumers=("guard", "servo"), servos=("servo",)))
    for name in ("guard", "servo"):
        lockstep.heartbeat(name, 1.0)
    lockstep.planned(1.1)
    assert lockstep.waiting_for(1.1, image_due=False) == ("guard",)
    lockstep.planned(1.05)  # an older one that was late takes nothing back
    assert lockstep.waiting_for(1.1, image_due=False) == ("guard",)


def test_plans_of_somebody_who_has_not_joined_do_not_count() -> None:
    lockstep = Lockstep(LockstepConfig(consumers=("servo",), servos=("servo",)))
    lockstep.planned(1.0)
    assert lockstep.missing == ("servo",)
    assert lockstep.waiting_for(5.0, image_due=False) == ()


def test_a_silent_consumer_is_let_go_by_name_and_comes_back() -> None:
    lockstep = joined()
    lockstep.heartbeat("guard", 0.5)
    late = lockstep.waiting_for(0.2, image_due=False)
    assert lockstep.waited(late, 100.0) == ()
    assert lockstep.waited(late, 109.9) == ()
    assert lockstep.waited(late, 110.1) == ("policy",)
    assert lockstep.waiting_for(0.2, image_due=False) == ()
    assert lockstep.missing == ("policy",)
    lockstep.heartbeat("policy", 0.1)
    assert not lockstep.missing


def test_patience_begins_anew_with_each_tick() -> None:
    lockstep = joined()
    lockstep.waited(["policy"], 100.0)
    lockstep.waited([], 105.0)
    assert not lockstep.waited(["policy"], 111.0)


@given(
    delays=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    phase=st.integers(0, 4),
)
def test_time_is_never_ahead_of_a_consumer_by_more_than_the_window_and_never_stands_still(
    delays: list[int], phase: int
) -> None:
    """A consumer that answers each tick after some rounds: time goes on, within the window."""
    lockstep = Lockstep(LockstepConfig(consumers=("slow",)))
    tick, seen, pending = 0, 0, 0
    beat: int | None = None
    rounds = cycle(delays)
    for _ in range(400):
        if pending > 0:
            pending -= 1
        elif seen < tick:
            seen += 1  # the consumer handles one message of the clock
            pending = next(rounds)
            if seen % 5 == phase:  # the timer of its heartbeat
                beat = seen
                lockstep.heartbeat("slow", beat * TICK)
        free = not lockstep.waiting_for(tick * TICK, image_due=False)
        assert free or seen < tick  # who has seen everything never stops time
        tick += free
        if beat is not None and free:
            assert (tick - beat) * TICK <= CONFIG.window + 1e-9
        if beat is None and tick > seen + 30:
            return  # it has not joined yet: time is free
