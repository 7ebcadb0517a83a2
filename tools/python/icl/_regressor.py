"""ICLRegressor: scikit-learn's manners, without scikit-learn."""
import math
import sys
import warnings
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np

from . import _engine

Answer = Union[np.ndarray, Tuple[np.ndarray, np.ndarray, np.ndarray]]


def _theirs(name: str, otherwise: type) -> type:
    """A class of sklearn.exceptions where the program uses scikit-learn, so that its tools know it."""
    module = sys.modules.get('sklearn.exceptions')
    return getattr(module, name, otherwise) if module else otherwise


class _NotFitted(ValueError, AttributeError):
    pass


def _refuse_sparse(a: Any, name: str) -> None:
    if hasattr(a, 'toarray') and hasattr(a, 'nnz'):
        raise TypeError('%s is a sparse matrix, which is not taken: use %s.toarray()' % (name, name))


def _numbers(a: Any, name: str) -> np.ndarray:
    """a as float64, C-contiguous, all finite."""
    _refuse_sparse(a, name)
    a = np.atleast_1d(np.asarray(a)) if name == 'X' else np.asarray(a)
    if np.iscomplexobj(a):
        raise ValueError('Complex data not supported\n%s' % (a,))
    if a.dtype.kind in 'US':
        raise ValueError('%s has text where numbers are wanted: dtype %s' % (name, a.dtype))
    try:
        a = np.ascontiguousarray(a, dtype=np.float64)
    except TypeError as error:
        raise TypeError('%s: %s: argument must be a string or a number' % (name, error)) from None
    if not np.isfinite(a).all():
        what = 'NaN' if np.isnan(a).any() else "infinity or a value too large for dtype('float64')"
        raise ValueError('Input %s contains %s.' % (name, what))
    return a


def _matrix(X: Any) -> np.ndarray:
    X = _numbers(X, 'X')
    if X.ndim == 1:
        raise ValueError('Expected 2D array, got 1D array instead. Reshape your data either using '
                         'array.reshape(-1, 1) if it has one input or array.reshape(1, -1) if it is one row.')
    if X.ndim != 2:
        raise ValueError('Expected 2D array, got %dD array instead' % X.ndim)
    if X.shape[1] == 0:
        raise ValueError('Found array with 0 feature(s) (shape=%s) while a minimum of 1 is required.' % (X.shape,))
    if X.shape[0] == 0:
        raise ValueError('Found array with 0 sample(s) (shape=%s) while a minimum of 1 is required.' % (X.shape,))
    return X


def _column(y: Any, n: int) -> np.ndarray:
    if y is None:
        raise ValueError('This ICLRegressor estimator requires y to be passed, but the target y is None.')
    y = _numbers(y, 'y')
    if y.ndim == 2 and y.shape[1] == 1:
        warnings.warn('A column-vector y was passed when a 1d array was expected. Please change the shape of y to '
                      '(n_samples,), for example using ravel().', _theirs('DataConversionWarning', UserWarning),
                      stacklevel=4)
        y = y.ravel()
    if y.ndim != 1:
        raise ValueError('y should be a 1d array, got an array of shape %s instead.' % (y.shape,))
    if y.shape[0] != n:
        raise ValueError('Found input variables with inconsistent numbers of samples: %r' % [n, y.shape[0]])
    return y


class ICLRegressor:
    """Regression on small data by a pretrained transformer; nothing is trained.

    Parameters
    ----------
    model : str or path, default None
        A checkpoint (.safetensors).  None takes a bundled one: ``curves`` for one input, ``table`` for 2 to 10.
    refine : bool, default True
        A second look at what the first answer misses at its own points, for twice the work; with one input
        mirror images of the rows as well, for eight times; with several inputs ridge regression mixed in.
    max_pairs : int, default 1000
        The most rows in context.  ``fit`` takes so many of the rows, spread evenly; ``partial_fit`` keeps the last.

    Attributes
    ----------
    surprise_ : float
        How unlike the model's training the pairs look: 0 is usual, above 1 fewer than one in a hundred
        of its training contexts were as odd.  NaN where the model does not tell, or all y are the same.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, where ``X`` was a data frame with names.
    X_fit_, y_fit_ : ndarray
        The pairs in context.

    Notes
    -----
    Inputs and outputs of any scale will do: they are standardised, in float64.  The order of rows hardly
    matters.  The GIL is released while the model computes; one estimator answers one thread at a time, and several
    estimators share one copy of the model.  Pickles hold the pairs, not the model.

    Examples
    --------
    >>> import numpy as np
    >>> from icl import ICLRegressor
    >>> x = np.array([[1], [2], [3], [4], [6], [8]])
    >>> y = [2.1, 3.4, 4.6, 5.1, 6.3, 6.8]
    >>> at, low, high = ICLRegressor().fit(x, y).predict([[5]], return_interval=0.9)
    """

    _estimator_type = 'regressor'

    def __init__(self, model: Optional[str] = None, refine: bool = True, max_pairs: int = 1000) -> None:
        self.model = model
        self.refine = refine
        self.max_pairs = max_pairs

    # ----- parameters --------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> Dict[str, Any]:
        """The parameters by name."""
        return {'model': self.model, 'refine': self.refine, 'max_pairs': self.max_pairs}

    def set_params(self, **params: Any) -> 'ICLRegressor':
        """Sets parameters by name; what was fitted stays until the next fit."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError('Invalid parameter %r for estimator %r. Valid parameters are: %r.'
                                 % (name, self, sorted(self.get_params())))
            setattr(self, name, value)
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        given = [('model', self.model, None), ('refine', self.refine, True), ('max_pairs', self.max_pairs, 1000)]
        return 'ICLRegressor(%s)' % ', '.join('%s=%r' % (name, v) for name, v, usual in given if v != usual)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags
        return Tags(estimator_type='regressor', target_tags=TargetTags(required=True), transformer_tags=None,
                    classifier_tags=None, regressor_tags=RegressorTags(), input_tags=InputTags())

    # ----- the work ----------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> 'ICLRegressor':
        """Makes the rows of X, of shape (n, d), and y, of shape (n,), the context."""
        names = self._names(X)
        X = _matrix(X)
        y = _column(y, X.shape[0])
        rows = np.arange(X.shape[0])
        limit = self._limit(_engine.load(self.model, X.shape[1]))
        if len(rows) > limit:
            warnings.warn('%d rows: %d of them, spread evenly, are the context (max_pairs)' % (len(rows), limit),
                          stacklevel=2)
            rows = np.round(np.linspace(0, len(rows) - 1, limit)).astype(int)
        if hasattr(self, 'feature_names_in_'):
            del self.feature_names_in_
        if names is not None:
            self.feature_names_in_ = names
        return self._take(X[rows], y[rows])

    def partial_fit(self, X: Any, y: Any) -> 'ICLRegressor':
        """Adds rows to the context, and drops the oldest above max_pairs: a sliding window.

        The scale follows the rows, and so all of them are read again: this costs as much as fit does with them.
        """
        if not self.__sklearn_is_fitted__():
            names = self._names(X)
            X = _matrix(X)
            y = _column(y, X.shape[0])
            if names is not None:
                self.feature_names_in_ = names
        else:
            X = self._checked(X)
            y = _column(y, X.shape[0])
            X, y = np.concatenate([self.X_fit_, X]), np.concatenate([self.y_fit_, y])
        last = self._limit(_engine.load(self.model, X.shape[1]))
        return self._take(X[-last:], y[-last:])

    def predict(self, X: Any, return_interval: Optional[float] = None) -> Answer:
        """y at the rows of X; with return_interval=p also low and high, between which y is with probability p.

        Far outside the context (by more than it reaches from end to end) intervals can fail: they come with a warning.
        """
        context = self.__dict__.get('_context')
        if context is None:
            raise _theirs('NotFittedError', _NotFitted)(
                "This ICLRegressor instance is not fitted yet. Call 'fit' before using this estimator.")
        if not (type(X) is np.ndarray and X.dtype == np.float64 and X.ndim == 2 and X.flags.c_contiguous
                and X.shape[1] == self.n_features_in_ and X.shape[0] and not hasattr(self, 'feature_names_in_')):
            X = self._checked(X)
        level = 0.0 if return_interval is None else float(return_interval)
        out = np.empty((3 if level else 1, X.shape[0]))
        if context.predict(X, level, out):
            self._refuse(context, X, level)
        if level and ((X < self._trusted[0]) | (X > self._trusted[1])).any():
            warnings.warn('rows of X lie beyond those in context by more than these reach from end to end: trust '
                          'neither answer nor interval there', stacklevel=2)
        return out[0] if return_interval is None else (out[0], out[1], out[2])

    def leave_one_out(self) -> float:
        """Root mean squared error of each pair in context, predicted from all others (without refinement).

        Costs about n / 2 times a fit.
        """
        self._checked(self.X_fit_)
        rmse = self._context.figure(_engine.lib.icl_py_check)
        if rmse is None:
            raise ValueError('leave_one_out needs 2 pairs or more')
        return rmse

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination R^2 of predict(X)."""
        y = _column(y, len(y))
        w = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        missed = float(np.sum(w * (y - self.predict(X)) ** 2))
        spread = float(np.sum(w * (y - np.average(y, weights=w)) ** 2))
        return 1 - missed / spread if spread else float(missed == 0)

    # ----- inside ------------------------------------------------------------------------------

    def _limit(self, model: '_engine.Model') -> int:
        if int(self.max_pairs) < 1:
            raise ValueError('max_pairs is 1 or more, not %r' % (self.max_pairs,))
        return min(int(self.max_pairs), model.max_pairs)

    def _take(self, X: np.ndarray, y: np.ndarray) -> 'ICLRegressor':
        model = _engine.load(self.model, X.shape[1])
        if X.shape[1] > model.n_dims:
            raise ValueError('X has %d inputs, and the model takes %d: choose columns, or combine them'
                             % (X.shape[1], model.n_dims))
        X, y = np.ascontiguousarray(X), np.ascontiguousarray(y)
        order = np.random.RandomState(0).permutation(len(y)) if model.ordered else slice(None)
        context = _engine.Context(model, np.ascontiguousarray(X[order]), np.ascontiguousarray(y[order]), self.refine)
        if context.failure:
            raise (MemoryError if context.failure == _engine.MEMORY else ValueError)(
                _engine.error_text(context.failure))
        low, high = X.min(0), X.max(0)
        with np.errstate(over='ignore'):
            reach = np.where(high > low, (high - low) * (1 + 1e-6), np.inf)   # an even grid is not too far
            self._trusted = low - reach, high + reach
        self._context = context
        self.X_fit_, self.y_fit_, self.n_features_in_ = X, y, X.shape[1]
        surprise = context.figure(_engine.lib.icl_py_surprise)
        self.surprise_ = math.nan if surprise is None else surprise
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return '_context' in self.__dict__

    @staticmethod
    def _names(X: Any) -> Optional[np.ndarray]:
        """Names of a data frame's columns; None where there are none, or not all are text."""
        names: List[Any] = list(getattr(X, 'columns', []))
        text = [isinstance(name, str) for name in names]
        if any(text) and not all(text):
            raise TypeError('Feature names are only supported if all input features have string names, but your '
                            'input has %s as feature name / column name types.'
                            % sorted({type(name).__name__ for name in names}))
        return np.array(names, dtype=object) if names and all(text) else None

    def _checked(self, X: Any) -> np.ndarray:
        """X as predict takes it."""
        if not self.__sklearn_is_fitted__():
            raise _theirs('NotFittedError', _NotFitted)(
                "This ICLRegressor instance is not fitted yet. Call 'fit' before using this estimator.")
        self._check_names(self._names(X))
        X = _matrix(X)
        if X.shape[1] != self.n_features_in_:
            raise ValueError('X has %d features, but ICLRegressor is expecting %d features as input.'
                             % (X.shape[1], self.n_features_in_))
        return X

    def _check_names(self, names: Optional[np.ndarray]) -> None:
        mine = getattr(self, 'feature_names_in_', None)
        if mine is not None and names is None:
            warnings.warn('X does not have valid feature names, but ICLRegressor was fitted with feature names',
                          stacklevel=4)
        if mine is None and names is not None:
            warnings.warn('X has feature names, but ICLRegressor was fitted without feature names', stacklevel=4)
        if mine is None or names is None or list(mine) == list(names):
            return
        said = 'The feature names should match those that were passed during fit.\n'
        unseen, missing = sorted(set(names) - set(mine)), sorted(set(mine) - set(names))
        for title, some in [('Feature names unseen at fit time', unseen),
                            ('Feature names seen at fit time, yet now missing', missing)]:
            if some:
                said += title + ':\n' + ''.join('- %s\n' % name for name in some[:5]) + '- ...\n' * (len(some) > 5)
        if not unseen and not missing:
            said += 'Feature names must be in the same order as they were in fit.\n'
        raise ValueError(said)

    def _refuse(self, context: '_engine.Context', X: np.ndarray, level: float) -> None:
        """Says why there is no answer."""
        _matrix(X)
        if level and not context.model.has_intervals:
            raise ValueError('this model gives no intervals: it has no quantiles of y')
        if level and not 0 < level <= 0.95:
            raise ValueError('return_interval is above 0 and, with this model, at most 0.95')
        raise ValueError('X is too far from the rows in context')

    # ----- pickles, copies ---------------------------------------------------------------------

    def __getstate__(self) -> Dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ('_context', '_trusted')}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        if 'X_fit_' in state:
            self._take(self.X_fit_, self.y_fit_)
