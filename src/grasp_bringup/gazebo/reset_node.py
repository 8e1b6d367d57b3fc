"""Scenes in Gazebo for the collector: the node that answers as the embedded simulator's sim_node does."""

import json
import sys
from concurrent.futures import Future as Work
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future
from std_srvs.srv import Trigger

from grasp_bringup.gazebo.nodes import WORLD
from grasp_bringup.gazebo.reset import SceneReset
from grasp_bringup.sim.scene import Scene, load_scene_config, sample_scene
from qtopt_policy import topics
from qtopt_policy.base_node import ERROR, OK, BaseNode, spin
from qtopt_policy.errors import QtoptError
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve

LOOK_PERIOD = 0.05  # [s] of the steady clock between looks at a reset that runs


class GazeboNode(BaseNode):
    """Replaces the objects in Gazebo by those of the embedded simulator's scene of the same split and seed.

    A reset runs in a thread of its own, so that heartbeats go on.

    Parameters (ROS):
        robot, scene: paths of the YAML files.
        split, seed: of the scene; taken by each reset.
        world: name of Gazebo's world.
        deadline: for a reset [s].
    """

    def __init__(self) -> None:
        super().__init__("sim_node")
        self.declare_parameter("robot", "config/robots/sim.yaml")
        self.declare_parameter("scene", "config/scene.yaml")
        self.declare_parameter("split", "train")
        self.declare_parameter("seed", 1)
        self.declare_parameter("world", WORLD)
        self.declare_parameter("deadline", 20.0)
        self._work: Work[float] | None = None
        self._done = Future()

    def setup(self) -> None:
        """Read robot and scenes; offer the reset."""
        self._bin = load_robot(resolve(Path(self.parameter("robot", str)))).bin
        self._scenes = load_scene_config(Path(self.parameter("scene", str)))
        speed = self._scenes.physics.settle_speed
        self._reset = SceneReset(self.parameter("world", str), speed, self.parameter("deadline", float))
        self._pool = ThreadPoolExecutor(max_workers=1)
        self.create_timer(LOOK_PERIOD, self._look, clock=self.steady_clock)
        # A group of its own: a callback that awaits would keep all others of its group from running.
        group = ReentrantCallbackGroup()
        self.create_service(Trigger, topics.SIM_RESET, self._on_reset, callback_group=group)

    def _look(self) -> None:
        """Let the reset's answer go on once its work has ended; futures of rclpy belong to its thread."""
        if self._work is not None and self._work.done() and not self._done.done():
            self._done.set_result(True)

    async def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Replace the objects; answer when they have come to rest, or with what went wrong."""
        response.success = False
        if self._work is not None:
            response.message = "a reset is running"
            return response
        try:
            split, seed = self.parameter("split", str), self.parameter("seed", int)
            scene = sample_scene(self._scenes, split, seed, self._bin)
            settled = await self._replace(scene)
        except QtoptError as error:
            response.message = str(error)
            self.report("reset", ERROR, response.message)
            return response
        reply = {
            "seed": seed,
            "split": split,
            "objects": len(scene.objects),
            "settled_after": round(settled, 2),
        }
        response.success, response.message = True, json.dumps(reply)
        self.report("reset", OK, f"{len(scene.objects)} objects of {split} {seed} rest")
        return response

    async def _replace(self, scene: Scene) -> float:
        work = self._work = self._pool.submit(self._reset.replace, scene.objects)
        self._done = Future()
        await self._done
        self._work = None
        return work.result()

    def destroy_node(self) -> None:
        """End the reset that runs, so that no process of `gz` is left behind."""
        if self._work is not None:
            self._reset.stop()
            self._work.exception()
        super().destroy_node()


def loop(node: GazeboNode) -> None:
    """Spin until ROS shuts down; the events executor does not run callbacks that await."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok():
        executor.spin_once(timeout_sec=0.5)


def main() -> int:
    """Run the node."""
    return spin(GazeboNode, loop=loop)


if __name__ == "__main__":
    sys.exit(main())
