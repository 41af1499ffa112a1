"""Choose how MuJoCo draws without a screen; import mujoco from here only."""

from __future__ import annotations

import ctypes
import os

_PACKAGES = 'sudo apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0'


def _egl_works() -> bool:
    """Tell whether EGL loads and has a device to draw on (Mesa's software one counts)."""
    try:
        egl = ctypes.CDLL('libEGL.so.1')
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        address = egl.eglGetProcAddress(b'eglQueryDevicesEXT')
    except (OSError, AttributeError):
        return False
    if not address:
        return False
    query = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int(0)
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0


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
    """Set MUJOCO_GL where the user has not; RuntimeError where nothing can draw."""
    if os.environ.get('MUJOCO_GL'):
        return
    if _egl_works():
        os.environ['MUJOCO_GL'] = 'egl'
    elif _osmesa_works():
        os.environ['MUJOCO_GL'] = 'osmesa'
    else:
        raise RuntimeError(f'no way to draw without a screen was found; run: {_PACKAGES}')


_choose()

import mujoco  # noqa: E402  MUJOCO_GL counts at the import

__all__ = ['mujoco']
