"""The Python binding, installed by pip: test_icl.py ICL LOOP FOLDER.  ICL is the command, LOOP tests/python/loop.c
as a library, FOLDER the project.  Closing line "python: N passed, N failed, N skipped"."""
import ctypes
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import traceback
import warnings

import numpy as np
import icl
from icl import ICLRegressor, _engine

COMMAND, LOOP, TOP = sys.argv[1:4]
counts = {'passed': 0, 'failed': 0, 'skipped': 0}


def test(function):
    try:
        counts['skipped' if function() == 'skip' else 'passed'] += 1
    except Exception:
        counts['failed'] += 1
        print('FAILED   ' + function.__doc__)
        traceback.print_exc()


def near(a, b, within):
    assert np.max(np.abs(np.asarray(a) - np.asarray(b))) <= within, (a, b)


def predicted(rows, asked, *options):
    """What build/icl predict answers."""
    text = ''.join(','.join('%.17g' % v for v in row) + '\n' for row in rows)
    text += ''.join(','.join('%.17g' % v for v in row) + ',?\n' for row in asked)
    out = subprocess.run([COMMAND, 'predict', '--digits', '9', *options], input=text, text=True, check=True,
                         capture_output=True).stdout
    return np.array([[float(v) for v in line.split(',')] for line in out.split()])


def curve(n=24, seed=1):
    random = np.random.RandomState(seed)
    x = np.sort(random.uniform(0, 10, n))[:, None]
    return x, np.sin(x[:, 0]) + 0.1 * random.normal(size=n)


@test
def no_sklearn():
    """it needs numpy only"""
    code = 'import sys, icl; assert not [m for m in sys.modules if m.split(".")[0] in ("sklearn", "scipy", "pandas")]'
    subprocess.run([sys.executable, '-c', code], check=True)


@test
def versions():
    """the version is that of the library"""
    with open(os.path.join(TOP, 'icl.h')) as f:
        assert '#define ICL_VERSION "%s"' % icl.__version__ in f.read()


@test
def same_as_command():
    """one input: the answers of icl predict, with intervals, refined and not, and the surprise"""
    x, y = curve()
    asked = np.linspace(0, 10, 80)[:, None]
    for refine, option in [(True, '--refine'), (False, '--no-refine')]:
        theirs = predicted(np.column_stack([x, y]), asked, '--interval', '0.8', '--surprise', option)
        mine = ICLRegressor(refine=refine).fit(x, y)
        at, low, high = mine.predict(asked, return_interval=0.8)
        near(np.column_stack([at, low, high]), theirs[:, 1:4], 1e-6)
        near(mine.surprise_, theirs[0, 4], 1e-6)
        near(mine.predict(asked), at, 0)


@test
def table():
    """several inputs: the answers of icl predict"""
    random = np.random.RandomState(2)
    X = random.normal(size=(40, 3)) * [1, 1000, 0.01] + [5, 0, 0]
    y = X @ [1, 0.001, 30] + 0.2 * random.normal(size=40)
    near(ICLRegressor().fit(X[:32], y[:32]).predict(X[32:]), predicted(np.column_stack([X, y])[:32], X[32:])[:, 3], 1e-5)


@test
def time_stamps():
    """far from zero nothing is lost"""
    x, y = curve()
    a = ICLRegressor().fit(x, y).predict(x + 0.1)
    b = ICLRegressor().fit(1.7e9 + x, 1e7 + y).predict(1.7e9 + x + 0.1)
    near(a + 1e7, b, 1e-4)


@test
def constants():
    """constant columns, constant y, one row"""
    x, y = curve()
    near(ICLRegressor().fit(x, np.full(len(y), 5.5)).predict(x), 5.5, 0)
    near(ICLRegressor().fit(x[:1], y[:1]).predict(x), y[0], 1e-9)
    assert np.isnan(ICLRegressor().fit(x[:1], y[:1]).surprise_)
    X = np.column_stack([x, np.full(len(y), 3.0)])
    assert np.isfinite(ICLRegressor().fit(X, y).predict(X)).all()


@test
def window():
    """partial_fit keeps the last rows; fit takes them evenly"""
    x, y = curve(50)
    streamed = ICLRegressor(max_pairs=20)
    for at in range(0, 50, 5):
        assert streamed.partial_fit(x[at:at + 5], y[at:at + 5]) is streamed
    near(streamed.predict(x), ICLRegressor().fit(x[-20:], y[-20:]).predict(x), 0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        spread = ICLRegressor(max_pairs=20).fit(x, y)
    assert len(said) == 1 and '50 rows: 20' in str(said[0].message)
    assert len(spread.y_fit_) == 20 and spread.y_fit_[0] == y[0] and spread.y_fit_[-1] == y[-1]


@test
def distance():
    """intervals beyond the context by more than it reaches come with a warning"""
    x, y = curve()
    model, reach = ICLRegressor().fit(x, y), x.max() - x.min()
    for far, interval, warned in [(0.99, 0.9, 0), (1.01, 0.9, 1), (1.01, None, 0)]:
        for at in (x.max() + far * reach, x.min() - far * reach):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter('always')
                model.predict([[at]], return_interval=interval)
            assert len(said) == warned, (far, interval, said)


@test
def error():
    """leave_one_out is each row predicted from the others"""
    x, y = curve(12)
    mine = ICLRegressor(refine=False).fit(x, y)
    before, rmse = mine.predict(x), mine.leave_one_out()
    missed = [ICLRegressor(refine=False).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[i:i + 1])[0] - y[i]
              for i in range(12)]
    assert 0.7 < rmse / np.sqrt(np.mean(np.square(missed))) < 1.4        # its scale has seen the row
    near(mine.predict(x), before, 0)


@test
def pickles():
    """pickles and copies answer the same"""
    x, y = curve()
    mine = ICLRegressor().fit(x, y)
    near(pickle.loads(pickle.dumps(mine)).predict(x), mine.predict(x), 0)
    assert pickle.loads(pickle.dumps(ICLRegressor(refine=False))).refine is False


@test
def own_model():
    """a checkpoint by its path, with learned positions and without quantiles"""
    x, y = curve()
    mine = ICLRegressor(model=os.path.join(TOP, 'examples/mcu/sensors.safetensors')).fit(x, y)
    assert np.isfinite(mine.predict(x)).all()
    for ask in [lambda: mine.predict(x, return_interval=0.9), lambda: ICLRegressor(model='none').fit(x, y),
                lambda: ICLRegressor().fit(np.ones((5, 11)), y[:5]), lambda: mine.predict(x * 1e300),
                lambda: ICLRegressor().fit(x, y).predict(x, return_interval=0.999)]:
        try:
            ask()
        except ValueError as e:
            assert len(str(e)) > 10
        else:
            raise AssertionError('no error')


@test
def gil():
    """another thread runs while the model computes"""
    x, y = curve(64)
    mine, ticks, stop = ICLRegressor().fit(x, y), [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)
    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.perf_counter()
    mine._context.predict(np.zeros((4000, 1)), 0.0, np.empty((1, 4000)))
    ended = time.perf_counter()
    stop.set()
    ticker.join()
    inside = sum(began < t < ended for t in ticks)
    assert inside > 5, '%d ticks in %.3f s' % (inside, ended - began)


@test
def threads():
    """threads that share one estimator get the answers of one thread"""
    x, y = curve()
    mine = ICLRegressor().fit(x, y)
    expected, wrong = mine.predict(x), []

    def ask():
        for _ in range(20):
            if not np.array_equal(mine.predict(x), expected):
                wrong.append(1)
    workers = [threading.Thread(target=ask) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong


@test
def overhead():
    """a query of one row, in Python and by a loop in C: prints both times"""
    x = 0.1 * np.arange(16.0)[:, None]
    mine, q = ICLRegressor(refine=False).fit(x, x[:, 0] ** 2), np.array([[0.3]])
    loop = ctypes.CDLL(os.path.abspath(LOOP)).loop
    loop.restype, loop.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    function, python, c = ctypes.cast(_engine.fast_predict, ctypes.c_void_p), [], []
    for _ in range(400):                    # in turn, so that both meet the same quiet moments
        began = time.perf_counter()
        for _ in range(5):
            mine.predict(q)
        python.append((time.perf_counter() - began) / 5 * 1e6)
        c.append(loop(function, mine._context.handle, 5))
    print('a query of one row behind 16 pairs: %.1f us, in C %.1f us' % (min(python), min(c)))
    assert 0 < min(c)                    # the figure is for a reader: a loaded machine is no fault


@test
def sklearn():
    """scikit-learn's check_estimator; clone, cross-validation, grid search, pipeline"""
    if not importlib.util.find_spec('sklearn'):
        print('skipped  scikit-learn is not installed')
        return 'skip'
    import sklearn
    from sklearn.base import clone, is_regressor
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.estimator_checks import check_estimator
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        checks = check_estimator(ICLRegressor())
    done = [c['status'] for c in checks] if checks else []
    print('check_estimator of scikit-learn %s: %d checks, %d skipped' %
          (sklearn.__version__, len(done), done.count('skipped')))
    x, y = curve(40)
    assert is_regressor(ICLRegressor()) and clone(ICLRegressor(refine=False)).refine is False
    shuffled = np.random.RandomState(0).permutation(40)
    assert np.mean(cross_val_score(ICLRegressor(), x[shuffled], y[shuffled], cv=5)) > 0.8
    assert GridSearchCV(ICLRegressor(), {'refine': [True, False]}, cv=2).fit(x, y).best_params_
    assert make_pipeline(StandardScaler(), ICLRegressor()).fit(x, y).score(x, y) > 0.9


@test
def example():
    """examples/python/calibrate.py: better than a cubic, and than the last reading"""
    out = subprocess.run([sys.executable, os.path.abspath(os.path.join(TOP, 'examples/python/calibrate.py'))],
                         check=True, capture_output=True, text=True, cwd=os.path.dirname(os.path.abspath(LOOP))).stdout
    icl_error, cubic, mean = [float(v) for v in re.findall(r'error ([0-9.]+), a cubic ([0-9.]+), the mean ([0-9.]+)', out)[0]]
    drift, last = [float(v) for v in re.findall(r'sensor: error ([0-9.]+), the last reading ([0-9.]+)', out)[0]]
    assert icl_error < cubic < mean and drift < last, out


print('python: %(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
sys.exit(counts['failed'] > 0)
