"""Off-screen rendering of a model's cameras: EGL or OSMesa, whichever is installed, shadows off.

Shadows cost 10 to 60 times the rest on software renderers, and no policy here needs them.
"""

import atexit
import ctypes.util
import importlib
import os
import weakref
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from grasp_bringup.sim.model import SCENE_GROUP, VISUAL_GROUP
from qtopt_policy.errors import ConfigError, MissingDependencyError

Image = NDArray[np.uint8]
BACKENDS = {"osmesa": "OSMesa", "egl": "EGL"}  # and the library of each; in the order of preference
MAX_GEOMS = 400


def pick_backend() -> str:
    """Return `osmesa` or `egl`: what MUJOCO_GL says, else the first that is installed.

    Raises:
        ConfigError: MUJOCO_GL names neither.
        MissingDependencyError: none is installed; the message names the packages.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower()
    if asked:
        if asked not in BACKENDS:
            raise ConfigError(f"MUJOCO_GL={asked}: off-screen rendering needs one of {', '.join(BACKENDS)}")
        candidates = [asked]
    else:
        candidates = list(BACKENDS)
    for name in candidates:
        if ctypes.util.find_library(BACKENDS[name]):
            return name
    libraries = " or ".join(f"lib{BACKENDS[name]}" for name in candidates)
    raise MissingDependencyError(
        f"the simulator cannot render: {libraries} is not installed. "
        "Debian, Ubuntu: apt-get install libosmesa6 (or libegl1 libgl1-mesa-dri for EGL)"
    )


def _context(width: int, height: int) -> Any:
    backend = pick_backend()
    try:
        context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise MissingDependencyError(
            f"the simulator cannot render with {backend}: {error}. Debian, Ubuntu: apt-get install "
            "libosmesa6 (or libegl1 libgl1-mesa-dri for EGL)"
        ) from error
    return context


class Renderer:
    """Renders cameras of any model of one World. Bound to the thread that made it.

    The models hold neither meshes nor textures, so that one OpenGL context serves them all.
    """

    def __init__(self, model: Any) -> None:
        window = model.vis.global_
        self._gl = _context(window.offwidth, window.offheight)
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[VISUAL_GROUP, SCENE_GROUP]] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._perturb = mujoco.MjvPerturb()
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        # At exit too, before mujoco.egl ends the display: it registered that above, the last comes first.
        self._free.atexit = False
        atexit.register(self._free)

    def render(self, model: Any, data: Any, camera: str, width: int, height: int) -> Image:
        """Return the picture of a camera at the present state, RGB uint8, shape (height, width, 3)."""
        self._gl.make_current()
        self._camera.fixedcamid = model.camera(camera).id
        mujoco.mjv_updateScene(
            model,
            data,
            self._options,
            self._perturb,
            self._camera,
            int(mujoco.mjtCatBit.mjCAT_ALL),
            self._scene,
        )
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._context)
        image = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, viewport, self._context)
        return np.ascontiguousarray(image[::-1])

    def close(self) -> None:
        """Free the OpenGL context; again does nothing."""
        atexit.unregister(self._free)
        self._free()


def _free(gl: Any, context: Any) -> None:
    gl.make_current()
    context.free()
    gl.free()
