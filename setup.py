"""Install ``src/probes``, and ``fixtures/`` as the package ``probes_fixtures``."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages("src"),
        *(f"probes_{name}" for name in find_packages(include=["fixtures*"])),
    ],
    package_dir={"": "src", "probes_fixtures": "fixtures"},
)
