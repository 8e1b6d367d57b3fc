"""What the guard must go on hearing: whose silence makes the arm hold, and whose stops it."""

from grasp_bringup.dead_man import DeadMan
from grasp_bringup.guard_types import GuardConfig
from grasp_bringup.watchdog import Watchdog
from grasp_bringup.wish import Finding
from qtopt_policy.topics import OWNERS, Owner


class Watches:
    """The guard's watchdogs; all times are steady ones [s].

    Attributes:
        wishes: fed by each accepted wish.
        heartbeats: of the nodes behind the owners.
        executor: fed by its heartbeat; asleep until the first one.
        dead_man: the switch.
    """

    def __init__(self, config: GuardConfig) -> None:
        self._joint_timeout = config.joint_timeout
        self.wishes = Watchdog(config.wish_timeout)
        self.heartbeats = {owner: Watchdog(config.heartbeat_timeout) for owner in OWNERS}
        self.executor = Watchdog(config.executor_timeout)
        self.dead_man = DeadMan(config.held_button, config.dead_man_timeout)

    def stops(self, silent: tuple[str, ...], steady: float) -> Finding | None:
        """Return what stops the arm, if anything; `silent` are the joints not heard of in time."""
        if silent:
            text = f"no joint state of {', '.join(silent)} for {self._joint_timeout} s"
            return Finding("joint_timeout", text)
        if self.executor.expired(steady):
            text = f"no heartbeat of the executor for {self.executor.timeout} s"
            return Finding("executor_timeout", text)
        return None

    def holds(self, owner: Owner, steady: float, clock_stalled: bool) -> Finding | None:
        """Return what makes the arm hold, if anything."""
        if clock_stalled:
            return Finding("clock_timeout", "/clock stands still")
        if not self.heartbeats[owner].alive(steady):
            return Finding("heartbeat_timeout", f"no heartbeat of {owner}")
        if self.wishes.expired(steady):
            return Finding("wish_timeout", f"no wish of {owner}")
        return None
