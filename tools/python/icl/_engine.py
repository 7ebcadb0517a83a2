"""The shared library and the models, by ctypes.  ctypes.CDLL releases the GIL during each call."""
import ctypes
import os
import sys
import threading
from typing import Dict, Optional

_HERE = os.path.dirname(os.path.abspath(__file__))
_P, _I, _D = ctypes.c_void_p, ctypes.c_int, ctypes.c_double

OK, MEMORY, NONFINITE, CONFIG = 0, 2, 4, 9                    # of ICL_ERRORS in icl.h


class Report(ctypes.Structure):
    """icl_report: what went wrong with a file, and at which byte."""
    _fields_ = [('code', _I), ('offset', ctypes.c_size_t), ('text', ctypes.c_char * 96)]


def _open() -> ctypes.CDLL:
    lib = ctypes.CDLL(os.path.join(_HERE, 'icl.dll' if sys.platform == 'win32' else 'libicl.so'))
    for name, result, arguments in [
            ('icl_version', ctypes.c_char_p, []),
            ('icl_error_string', ctypes.c_char_p, [_I]),
            ('icl_load', _I, [_P, ctypes.c_char_p, _P]),
            ('icl_max_pairs', _I, [_P]),
            ('icl_py_dims', _I, [_P]),
            ('icl_py_quantiles', _I, [_P]),
            ('icl_py_ordered', _I, [_P]),
            ('icl_py_fit', _I, [_P, _P, _I, _I, _P, _P, _I]),
            ('icl_py_predict', _I, [_P, _I, _P, _D, _P, _P, _P]),
            ('icl_py_surprise', _I, [_P, _P]),
            ('icl_py_check', _I, [_P, _P]),
            ('icl_py_delete', None, [_P])]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


lib = _open()
fast_predict = lib.icl_py_predict


def error_text(code: int) -> str:
    return lib.icl_error_string(code).decode()


class Model:
    """A checkpoint: never changed, shared by all estimators and threads, and kept until the process ends."""

    def __init__(self, path: str) -> None:
        report, handle = Report(), _P()
        if lib.icl_load(ctypes.byref(handle), os.fsencode(path), ctypes.byref(report)):
            raise ValueError('%s: %s (byte %d)' % (path, report.text.decode(), report.offset))
        self.handle = handle
        self.n_dims = lib.icl_py_dims(handle)
        self.has_intervals = lib.icl_py_quantiles(handle) > 0
        self.ordered = bool(lib.icl_py_ordered(handle))
        self.max_pairs = lib.icl_max_pairs(handle)


_models: Dict[str, Model] = {}
_lock = threading.Lock()


def load(path: Optional[str], n_inputs: int) -> Model:
    """The model at path; for None the bundled one for so many inputs."""
    if path is None:
        path = os.path.join(_HERE, 'curves.safetensors' if n_inputs == 1 else 'table.safetensors')
    path = os.path.abspath(os.fspath(path))
    with _lock:
        if path not in _models:
            _models[path] = Model(path)
        return _models[path]


class Context:
    """Pairs in context.  One call at a time uses it: others wait."""

    def __init__(self, model: Model, X, y, refine: bool) -> None:
        handle = _P()
        self.handle = None
        self.model = model
        self.lock = threading.Lock()
        self.failure = lib.icl_py_fit(ctypes.byref(handle), model.handle, X.shape[0], X.shape[1], X.ctypes.data,
                                      y.ctypes.data, bool(refine))
        if not self.failure:
            self.handle = handle.value

    def __del__(self) -> None:
        if self.handle:
            lib.icl_py_delete(self.handle)
            self.handle = None

    def predict(self, X, level: float, out) -> int:
        """out[0] = y at X, out[1] and out[2] its interval where level > 0; the code of the error."""
        at, n = out.ctypes.data, X.shape[0]
        with self.lock:
            return fast_predict(self.handle, n, X.ctypes.data, level, at, at + 8 * n, at + 16 * n)

    def figure(self, function) -> Optional[float]:
        """What surprise or check tells; None where there is nothing to tell."""
        value = _D()
        with self.lock:
            return None if function(self.handle, ctypes.byref(value)) else value.value
