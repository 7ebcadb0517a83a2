#!/usr/bin/env python3
"""Makes examples/data/*.csv from the packages that distribute the data. See examples/data/README.md.

    pip install scikit-learn        # diabetes.csv
    apt-get install r-base-core     # nottem.csv, co2.csv
    python3 tools/make_data.py      # the same bytes every time

Each file has a header line and then rows x1,...,xd,y of plain numbers, as `icl predict` reads them.
"""
import subprocess
from pathlib import Path

from sklearn.datasets import load_diabetes

OUT = Path(__file__).resolve().parent.parent / "examples" / "data"


def write(name, header, rows, n_rows, first_y):
    """Writes one file, if it has the known number of rows and the known first value of y."""
    rows = [[float(value) for value in row] for row in rows]
    assert len(rows) == n_rows and rows[0][-1] == first_y, f"{name} is not the data set it should be"
    lines = [",".join(header)] + [",".join(f"{value:.10g}" for value in row) for row in rows]
    (OUT / name).write_bytes(("\n".join(lines) + "\n").encode())
    print(f"{name}: {n_rows} rows of {len(header) - 1} inputs")


def diabetes():
    data = load_diabetes(scaled=False)
    rows = [[*x, y] for x, y in zip(data.data, data.target)]
    write("diabetes.csv", [*data.feature_names, "progression"], rows, 442, 151)


def r_series(name, header, n_rows, first_y):
    """A monthly series of R's package datasets: the month, counted from 1, and the value."""
    code = f"cat(format(as.numeric(datasets::{name}), digits = 10, trim = TRUE), sep = '\\n')"
    out = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True).stdout
    write(f"{name}.csv", header, list(enumerate(out.split(), start=1)), n_rows, first_y)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    diabetes()
    r_series("nottem", ["month", "degrees_f"], 240, 40.6)
    r_series("co2", ["month", "ppm"], 468, 315.42)
