"""In-context learning for small data: a pretrained transformer sees pairs (x, y) and predicts y at new x.

>>> from icl import ICLRegressor
>>> y, low, high = ICLRegressor().fit(X, y).predict(X_new, return_interval=0.9)
"""
from ._engine import lib as _lib
from ._regressor import ICLRegressor

__version__ = _lib.icl_version().decode()
__all__ = ['ICLRegressor', '__version__']
