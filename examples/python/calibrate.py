"""A tour of ICLRegressor on real data: calibrate with an interval, ask how good it is, follow a drift, compare.

    pip install tools/python matplotlib
    python examples/python/calibrate.py              # prints; calibrate.png where there is matplotlib
"""
import csv
import os
import sys

import numpy as np
from icl import ICLRegressor

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'real', 'data', '1d')


def load(name):
    with open(os.path.join(DATA, name + '.csv')) as f:
        rows = [row for row in csv.reader(f) if row and not row[0].startswith('#')]
    numbers = np.array(rows[1:], dtype=float)
    return numbers[:, :1], numbers[:, 1]


# ----- 1. a curve from noisy points, with its interval ------------------------------------------------

x, y = load('ethanol_nox')                       # nitrogen oxides of an engine against its equivalence ratio
held = np.arange(len(y)) % 4 == 3                # every fourth row is held out
model = ICLRegressor().fit(x[~held], y[~held])
at, low, high = model.predict(x[held], return_interval=0.9)
line = np.polyval(np.polyfit(x[~held, 0], y[~held], 3), x[held, 0])


def rmse(a):
    return np.sqrt(np.mean((a - y[held]) ** 2))


print('held-out error %.2f, a cubic %.2f, the mean %.2f' % (rmse(at), rmse(line), rmse(y[~held].mean())))
print('inside of the 90 %% interval: %d of %d' % (np.sum((y[held] >= low) & (y[held] <= high)), held.sum()))

# ----- 2. is it to be trusted? -------------------------------------------------------------------------

print('surprise %.2f; each row predicted from the others: error %.2f' % (model.surprise_, model.leave_one_out()))

# ----- 3. a drifting sensor: a window of the last 24 readings --------------------------------------------

t = np.arange(200.0)
random = np.random.RandomState(0)
drift = 0.02 * t + np.sin(t / 15) + 0.1 * random.normal(size=200)
window, missed = ICLRegressor(max_pairs=24), []
for i in range(199):
    window.partial_fit(t[i:i + 1, None], drift[i:i + 1])
    if i >= 24:
        missed.append(window.predict(t[i + 1:i + 2, None])[0] - drift[i + 1])
print('next reading of a drifting sensor: error %.2f, the last reading %.2f'
      % (np.sqrt(np.mean(np.square(missed))), np.sqrt(np.mean(np.diff(drift[25:]) ** 2))))

# ----- 4. the picture -----------------------------------------------------------------------------------

try:
    import matplotlib
except ImportError:
    sys.exit(0)
matplotlib.use('Agg')
import matplotlib.pyplot as plt                  # noqa: E402

grid = np.linspace(x.min() - 0.05, x.max() + 0.05, 300)[:, None]
curve, low, high = model.predict(grid, return_interval=0.9)
plt.fill_between(grid[:, 0], low, high, alpha=0.2, label='90 % interval')
plt.plot(grid[:, 0], curve, label='icl')
plt.plot(x[~held], y[~held], 'k.', label='in context')
plt.plot(x[held], y[held], 'kx', label='held out')
plt.xlabel('equivalence ratio')
plt.ylabel('nitrogen oxides')
plt.legend()
plt.savefig('calibrate.png', dpi=120)
print('calibrate.png')
