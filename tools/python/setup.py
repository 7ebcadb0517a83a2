"""Builds the wheel: the engine as a shared library, by the system's C compiler (or $CC), and the bundled models."""
import os
import re
import shlex
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, '..', '..'))
MODELS = ['curves', 'table']


def compile_engine(target):
    """The shared library target, of icl/engine.c and ../../icl.h."""
    command = shlex.split(os.environ.get('CC', 'gcc' if sys.platform == 'win32' else 'cc'))
    command += ['-std=c99', '-O2', '-shared', '-I', TOP, os.path.join(HERE, 'icl', 'engine.c'), '-o', target]
    command += [] if sys.platform == 'win32' else ['-fPIC', '-fvisibility=hidden', '-lm']
    print('+', ' '.join(command))
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit('icl: cannot compile the engine (CC names the C compiler): %s' % error)


def check_version(distribution):
    with open(os.path.join(TOP, 'icl.h'), encoding='ascii') as header:
        version = re.search(r'#define ICL_VERSION "(.*)"', header.read()).group(1)
    if distribution.get_version() != version:
        raise SystemExit('icl: pyproject.toml says %s, icl.h %s' % (distribution.get_version(), version))


class Build(build_py):
    """Python files, and beside them the library and the models."""

    def run(self):
        check_version(self.distribution)
        super().run()
        folder = os.path.join(self.build_lib, 'icl')
        os.makedirs(folder, exist_ok=True)
        compile_engine(os.path.join(folder, 'icl.dll' if sys.platform == 'win32' else 'libicl.so'))
        for name in MODELS:
            shutil.copy(os.path.join(TOP, 'examples', 'models', name + '.safetensors'), folder)


class Wheel(bdist_wheel):
    """For this system, and any Python 3: the library does not know of Python."""

    def get_tag(self):
        return ('py3', 'none', super().get_tag()[2])


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(cmdclass={'build_py': Build, 'bdist_wheel': Wheel}, distclass=Binary)
