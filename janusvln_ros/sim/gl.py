"""Choose how MuJoCo draws without a screen; import mujoco from here only."""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
import os

_PACKAGES = 'sudo apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0'

_EGL_PLATFORM_DEVICE = 0x313F


def _egl_works() -> bool:
    """Tell whether EGL opens a device to draw on (Mesa's software one counts)."""
    if not (find_library('OpenGL') or find_library('GL')):
        return False
    try:
        egl = ctypes.CDLL('libEGL.so.1')
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        query = egl.eglGetProcAddress(b'eglQueryDevicesEXT')
        display = egl.eglGetProcAddress(b'eglGetPlatformDisplayEXT')
    except (OSError, AttributeError):
        return False
    if not query or not display:
        return False
    pointer, number = ctypes.c_void_p, ctypes.c_int
    devices, count = (pointer * 16)(), number(0)
    ctypes.CFUNCTYPE(ctypes.c_uint, number, pointer, pointer)(query)(
        16, ctypes.cast(devices, pointer), ctypes.addressof(count)
    )
    get_display = ctypes.CFUNCTYPE(pointer, ctypes.c_uint, pointer, pointer)(display)
    egl.eglInitialize.argtypes = pointer, pointer, pointer
    return any(
        egl.eglInitialize(get_display(_EGL_PLATFORM_DEVICE, device, None), None, None)
        for device in devices[: count.value]
    )


def _osmesa_works() -> bool:
    """Tell whether Mesa's off-screen library loads."""
    for name in ('libOSMesa.so.8', 'libOSMesa.so.6', 'libOSMesa.so'):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _choose() -> None:
    """Set MUJOCO_GL where the user has not; without a way to draw, physics still works."""
    if os.environ.get('MUJOCO_GL'):
        return
    works = {'egl': _egl_works, 'osmesa': _osmesa_works, 'disable': lambda: True}
    os.environ['MUJOCO_GL'] = next(name for name, check in works.items() if check())


_choose()

import mujoco  # noqa: E402  MUJOCO_GL counts at the import


def make_context(width: int, height: int) -> mujoco.GLContext:
    """Make a drawing context of a size in pixels; RuntimeError where nothing can draw."""
    if not hasattr(mujoco, 'GLContext'):
        raise RuntimeError(f'found no way to draw without a screen; run: {_PACKAGES}')
    return mujoco.GLContext(width, height)
