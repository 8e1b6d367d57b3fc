from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtopt_collector.bags import layout
from qtopt_collector.bags.check import check_bag
from qtopt_collector.bags.messages import decode_image
from qtopt_collector.bags.reader import open_bag, read_episode
from qtopt_collector.cell import Request
from qtopt_collector.collector import CollectorConfig
from qtopt_collector.switching import PolicyPlan
from qtopt_policy import topics
from qtopt_policy.drivers import DriverConfig
from qtopt_policy.errors import BagError
from qtopt_policy.geometry import Pose
from qtopt_policy.policies.exploration import Exploration
from support.collector_cell import CollectorCell


def kinds(cell: CollectorCell) -> list[str]:
    return [kind if kind != "own" else f"own {values['owner']}" for kind, values in cell.requests]


def test_episodes_are_collected_one_after_the_other(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    cell.run()
    assert cell.collector.failure == ""
    episode = ["own collector", "reset", "prepare", "own policy", "run", "own collector"]
    assert kinds(cell) == ["cancel", *episode, *episode, "own none"]
    for number in (1, 2):
        bag = tmp_path / layout.episode_name("episode", number)
        found = read_episode(bag)
        assert (found.info.success, found.info.reward, found.info.end_reason) == (True, 1.0, "terminate")
        assert (found.info.truth, found.info.seed, found.info.policy) == (True, 39 + number, "scripted")
        assert len(found.steps) == 3
        assert check_bag(bag) == []


def test_seed_split_and_parameters_reach_the_other_nodes(tmp_path: Path) -> None:
    plan = PolicyPlan("scripted", Exploration(0.1, 0.2), checkpoint=False)
    cell = CollectorCell(tmp_path, config=CollectorConfig(episodes=2, seed=7, split="test"), plan=plan)
    cell.run()
    resets = [values for kind, values in cell.requests if kind == "reset"]
    assert resets == [{"seed": 7, "split": "test"}, {"seed": 8, "split": "test"}]
    prepared = [values for kind, values in cell.requests if kind == "prepare"]
    assert prepared[1] == {
        "episode.id": "episode_000002",
        "policy.name": "scripted",
        "policy.epsilon": 0.1,
        "policy.noise": 0.2,
        "seed": 8,
    }


def test_outcomes_are_told(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.run()
    (outcome,) = cell.outcomes
    assert tuple(outcome) == topics.OUTCOME_KEYS
    assert (outcome["success"], outcome["reason"], outcome["drop_changed"]) == ("true", "held", "true")
    assert outcome["bag"] == str(tmp_path / "episode_000001")


def test_an_empty_grasp_is_a_failure(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.grasp = False
    cell.run()
    info = read_episode(tmp_path / "episode_000001").info
    assert (info.success, info.reward, info.truth) == (False, 0.0, False)
    assert cell.outcomes[0]["reason"] == "closed on nothing"
    assert cell.outcomes[0]["drop_changed"] == "false"


@pytest.mark.parametrize(
    ("effort", "success", "reason"), [(4.9, "false", "no grip force"), (5.1, "true", "held")]
)
def test_the_robot_file_says_how_hard_holding_fingers_push(
    tmp_path: Path, effort: float, success: str, reason: str
) -> None:
    cell = CollectorCell(tmp_path, episodes=1, driver=DriverConfig(min_grip_effort=5.0))
    cell.collector.cell.hear_joint_effort(effort)
    cell.run()
    (outcome,) = cell.outcomes
    assert (outcome["success"], outcome["reason"]) == (success, reason)


def test_the_arm_goes_up_before_it_goes_across(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    start = cell.pose
    cell.run()
    home = next(i for i, pose in enumerate(cell.path) if pose.distance(cell.robot.start_pose) < 0.004)
    low = [pose for pose in cell.path[:home] if pose.position[2] < 0.16]
    assert low
    assert all(np.linalg.norm((pose.position - start.position)[:2]) < 0.02 for pose in low)


def test_no_wish_is_farther_than_one_step(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)

    def look(cell: CollectorCell) -> None:
        if cell.collector.wish is not None:
            reach = cell.robot.limits.max_step_length + 0.02  # the arm has moved on since
            assert cell.collector.wish.target.distance(cell.pose) <= reach

    cell.at_tick = look
    cell.run()


def test_images_before_and_after_the_drop_are_recorded(tmp_path: Path) -> None:
    CollectorCell(tmp_path, episodes=1).run()
    images = open_bag(tmp_path / "episode_000001").decode(topics.DROP_IMAGE)
    assert [message.header.frame_id for message in images] == ["before", "after"]


def test_without_a_camera_only_the_second_opinion_is_missing(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.camera_works = False
    cell.run()
    assert (cell.outcomes[0]["success"], cell.outcomes[0]["drop_changed"]) == ("true", "null")


def silence(name: str, phase: str, until: float = 5.0) -> Callable[[CollectorCell], None]:
    """Let a node die when the collector reaches a phase, and come back after a while [s]."""
    died: list[float] = []

    def look(cell: CollectorCell) -> None:
        if not died and phase in cell.collector.phase:
            died.append(cell.time)
        dead = bool(died) and cell.time < died[0] + until
        cell.collector.cell.silent = (name,) if dead else ()

    return look


@pytest.mark.parametrize("node", ["policy_node", "guard_node", "sim_node"])
def test_a_node_that_dies_in_an_episode_aborts_it(tmp_path: Path, node: str) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    cell.at_tick = silence(node, "lifting")
    cell.run()
    first, second = (read_episode(tmp_path / f"episode_00000{n}").info for n in (1, 2))
    assert (first.end_reason, first.success, first.reward) == ("node_died", None, None)
    assert cell.outcomes[0]["reason"] == f"no heartbeat of {node}"
    assert second.success is True
    assert kinds(cell).count("cancel") == 2  # at the start, and after the abort


def test_while_a_node_is_dead_nothing_is_wished(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    wishes: list[object] = []
    fail = silence("guard_node", "lifting")

    def look(cell: CollectorCell) -> None:
        if cell.collector.cell.silent:
            wishes.append(cell.collector.wish)
        fail(cell)

    cell.at_tick = look
    cell.run()
    assert len(wishes) > 10
    assert all(wish is None for wish in wishes[1:])


def test_a_death_before_the_first_step_leaves_no_bag(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    cell.at_tick = silence("policy_node", "episode_000001: scripted")
    cell.run()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["episode_000002", "episode_000003"]
    assert (cell.outcomes[0]["end_reason"], cell.outcomes[0]["bag"]) == ("node_died", "")


def test_a_death_in_the_drop_does_not_undo_the_verdict(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.at_tick = silence("policy_node", "dropping")
    cell.run()
    assert read_episode(tmp_path / "episode_000001").info.success is True
    assert cell.outcomes[0]["drop_changed"] == "null"


def stop_once(reason: str, back: float = 1e9) -> Callable[[CollectorCell], None]:
    """Stop the arm in the first lift; whoever resumes it does so after a while [s]."""
    stopped: list[float] = []

    def look(cell: CollectorCell) -> None:
        if not stopped and "lifting" in cell.collector.phase:
            stopped.append(cell.time)
            cell.collector.cell.arm = {"stopped": "1", "reason": reason}
        if stopped and cell.time > stopped[0] + back:
            cell.collector.cell.arm = {"stopped": "0", "reason": ""}

    return look


def end_reasons(bags: Path) -> list[str]:
    return [read_episode(bag).info.end_reason for bag in layout.list_bags(bags)]


def test_an_operators_stop_aborts_and_waits_for_the_operator(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    cell.at_tick = stop_once("operator", back=3.0)
    cell.run()
    assert end_reasons(tmp_path) == ["operator", "terminate"]
    assert "resume" not in kinds(cell)


def test_a_simulated_arm_that_a_watchdog_stopped_is_resumed(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=2)
    cell.at_tick = stop_once("joint7 at 2 rad/s")
    cell.run()
    assert end_reasons(tmp_path) == ["watchdog", "terminate"]
    assert kinds(cell).count("resume") == 1


def test_a_real_arm_that_a_watchdog_stopped_is_left_to_its_operator(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, config=CollectorConfig(episodes=2, reset="none"))
    cell.at_tick = stop_once("joint7 at 2 rad/s", back=60.0)
    cell.run()
    assert end_reasons(tmp_path) == ["watchdog", "terminate"]
    assert "resume" not in kinds(cell)


def test_a_policy_that_does_not_end_is_cut_off_by_the_deadline(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.hang = True
    cell.run()
    assert (cell.outcomes[0]["end_reason"], cell.outcomes[0]["success"]) == ("deadline", "null")
    assert kinds(cell)[-3:] == ["own none", "cancel", "own none"]
    assert len(read_episode(tmp_path / "episode_000001").steps) == 3


def test_a_policy_that_never_does_anything_ends_the_collection(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.idle = True
    cell.run()
    assert "3 episodes in a row ended before their first step" in cell.collector.failure
    assert "the policy took more than 20.0 s" in cell.collector.failure
    assert len(cell.outcomes) == 3
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_only_at_first_is_asked_for_again(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.refuse = {"run"}

    def look(cell: CollectorCell) -> None:
        if [kind for kind, _ in cell.requests].count("run") == 3:
            cell.refuse = set()

    cell.at_tick = look
    cell.run()
    assert cell.outcomes[0]["success"] == "true"


@pytest.mark.parametrize("reason", ["watchdog", "operator", "error"])
def test_an_end_that_is_none_of_the_task_is_aborted(tmp_path: Path, reason: str) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.reason = reason
    cell.run()
    episode = read_episode(tmp_path / "episode_000001")
    assert (episode.info.end_reason, episode.info.success) == (reason, None)
    assert not episode.steps.is_terminal.any()


def test_a_refused_request_ends_the_collection_with_its_reason(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=3)
    cell.refuse = {"prepare"}
    cell.run()
    assert "'prepare'" in cell.collector.failure
    assert "no such policy" in cell.collector.failure
    assert cell.collector.wish is None
    cell.step()
    assert [entry for entry in kinds(cell) if "own" in entry][-1] == "own none"
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_nobody_answers_aborts_the_episode(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.ignore = {"run"}
    cell.run(seconds=400.0)
    assert cell.outcomes[0]["end_reason"] == "node_died"
    assert "no answer to 'run'" in cell.collector.failure


def test_an_unarmed_robot_is_waited_for(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.step()
    armed_at = cell.time + 20.0

    class Arm(dict[str, str]):
        def __or__(self, other: object) -> dict[str, str]:  # type: ignore[override]
            merged = {**self, **dict(other)}  # type: ignore[call-overload]
            return Arm(merged | {"armed": str(int(cell.time > armed_at))})

    cell.collector.cell.arm = Arm()
    start = cell.pose
    while cell.time < armed_at:
        cell.step()
        assert cell.pose.distance(start) == 0.0
    assert "not armed" in cell.collector.phase
    cell.run()
    assert cell.outcomes[0]["success"] == "true"


def test_letting_go_of_the_dead_man_switch_ends_the_episode_without_a_verdict(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)

    def look(cell: CollectorCell) -> None:
        if "lifting" in cell.collector.phase:
            cell.collector.cell.arm = {"holding": "1", "reason": "dead-man released (button 5)"}

    cell.at_tick = look
    cell.run()
    assert (cell.outcomes[0]["end_reason"], cell.outcomes[0]["success"]) == ("operator", "null")
    assert not read_episode(tmp_path / "episode_000001").steps.is_terminal.any()
    assert cell.collector.wish is None


def test_a_released_dead_man_switch_is_waited_for(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.step()
    start, pressed_at = cell.pose, cell.time + 20.0
    cell.collector.cell.arm = {"holding": "1", "reason": "dead-man not heard of yet"}
    while cell.time < pressed_at:
        cell.step()
        assert cell.pose.distance(start) == 0.0
    assert "waiting: dead-man not heard of yet" in cell.collector.phase
    cell.collector.cell.arm = {"holding": "1", "reason": "just pressed"}
    cell.run()
    assert cell.outcomes[0]["success"] == "true"


def test_a_full_disk_ends_the_collection_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = CollectorCell(tmp_path, episodes=3)

    def refuse(*_: object) -> None:
        raise BagError("disk: cannot be written: No space left on device")

    def look(cell: CollectorCell) -> None:
        if "episode_000002: lifting" in cell.collector.phase:
            monkeypatch.setattr("qtopt_collector.bags.writer.EpisodeWriter.close", refuse)

    cell.at_tick = look
    cell.run()
    assert "No space left" in cell.collector.failure
    assert cell.collector.wish is None
    assert read_episode(tmp_path / "episode_000001").info.success is True


def test_an_interrupt_closes_the_open_bag_as_aborted(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=3)
    while "lifting" not in cell.collector.phase:
        cell.step()
    cell.collector.interrupt()
    info = read_episode(tmp_path / "episode_000001").info
    assert (info.end_reason, info.success) == ("operator", None)
    assert cell.collector.finished


def test_an_interrupt_takes_the_arm_from_the_policy_and_ends_its_episode(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=3)
    cell.idle = True
    while cell.owner != "policy" or not cell._running:
        cell.step()
    cell.collector.interrupt()
    cell.step()
    assert kinds(cell)[-3:] == ["run", "own none", "cancel"]
    assert (cell.owner, cell._running) == ("none", 0.0)


@pytest.mark.parametrize("end", ["time", "interrupt"])
def test_what_nobody_waits_for_any_more_is_given_up(tmp_path: Path, end: str) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    cell.ignore = {"run"}
    asked: list[Request] = []
    answer = cell._answer

    def take(request: Request) -> None:
        asked.append(request)
        answer(request)

    cell._answer = take  # type: ignore[method-assign]
    while not asked or asked[-1].kind != "run":
        cell.step()
    waiting = asked[-1]
    assert not waiting.given_up
    if end == "interrupt":
        cell.collector.interrupt()
    while "aborted" not in cell.collector.phase and not cell.collector.finished:
        cell.step()
    assert waiting.given_up
    assert not any(request.given_up for request in asked if request.reply is not None)


def test_without_a_simulator_nothing_is_reset_and_drops_stir_the_bin(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, config=CollectorConfig(episodes=4, reset="none"))
    places = set()

    def look(cell: CollectorCell) -> None:
        if "dropping" in cell.collector.phase and not cell.closed:
            places.add(tuple(np.round(cell.pose.position[:2], 3)))

    cell.at_tick = look
    cell.run()
    assert "reset" not in kinds(cell)
    assert len(places) >= 4


def test_a_lost_step_record_aborts_the_episode(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    record = cell.recorder.record_message
    seen: list[str] = []

    def lossy(topic: str, time: int, message: object) -> None:
        seen.append(topic)
        if topic != topics.STEP or seen.count(topics.STEP) != 2:
            record(topic, time, message)

    cell.recorder.record_message = lossy  # type: ignore[method-assign]
    cell.run()
    assert cell.outcomes[0]["end_reason"] == "error"
    assert cell.outcomes[0]["reason"] == "3 steps were made, 1 recorded"
    assert len(read_episode(tmp_path / "episode_000001").steps) == 1


def test_an_image_that_was_broken_on_the_way_aborts_the_episode_and_its_bag_is_whole(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    record = cell.recorder.record_message
    images: list[object] = []

    def breaking(topic: str, time: int, message: object) -> None:
        if topic == topics.OBSERVATION:
            images.append(message)
            if len(images) == 2:
                message = replace(message, data=np.zeros(7, dtype=np.uint8))  # type: ignore[type-var]
        record(topic, time, message)

    cell.recorder.record_message = breaking  # type: ignore[method-assign]
    cell.run()
    assert cell.outcomes[0]["end_reason"] == "error"
    assert cell.outcomes[0]["reason"].startswith("3 steps were made, 1 recorded: policy/observation: ")
    assert len(read_episode(tmp_path / "episode_000001").steps) == 1


def test_an_arm_that_does_not_lift_leaves_no_verdict(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    held: list[Pose] = []

    def hold_down(cell: CollectorCell) -> None:
        if "lifting" in cell.collector.phase:
            held.append(cell.pose)
            cell.pose = held[0]

    cell.at_tick = hold_down
    cell.run()
    assert (cell.outcomes[0]["end_reason"], cell.outcomes[0]["success"]) == ("error", "null")
    assert "did not lift" in cell.outcomes[0]["reason"]


def test_a_camera_that_changes_between_the_two_looks_has_no_opinion(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)

    def shrink(cell: CollectorCell) -> None:
        if "dropping" in cell.collector.phase and not cell.closed:  # after the first look
            cell.image_height = 40

    cell.at_tick = shrink
    cell.run()
    assert cell.collector.failure == ""
    assert (cell.outcomes[0]["success"], cell.outcomes[0]["drop_changed"]) == ("true", "null")
    images = open_bag(tmp_path / "episode_000001").decode(topics.DROP_IMAGE)
    assert len({decode_image(message).shape for message in images}) == 2


def test_a_number_of_steps_that_is_none_aborts_the_episode(tmp_path: Path) -> None:
    cell = CollectorCell(tmp_path, episodes=1)
    hear = cell.collector.cell.hear_episode
    cell.collector.cell.hear_episode = lambda values: hear({**values, "steps": "many"})  # type: ignore[method-assign]
    cell.run()
    assert cell.outcomes[0]["end_reason"] == "error"
    assert "no number of steps: 'many'" in cell.outcomes[0]["reason"]


def test_the_plan_learns_from_the_outcomes(tmp_path: Path) -> None:
    plan = PolicyPlan("auto", Exploration(), checkpoint=True)
    plan.recall([("scripted", False)] * 100)
    cell = CollectorCell(tmp_path, plan=plan, config=CollectorConfig(episodes=7))
    cell.run()
    policies = [values["policy.name"] for kind, values in cell.requests if kind == "prepare"]
    assert policies[:5] == ["scripted"] * 4 + ["cem"]
    assert plan.learned_leads is (policies[6] == "cem")
