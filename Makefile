# make setup | test | faults | demo | bench | lint | clean
#
# Everything lives in .venv: ROS 2 from PyPI, no ROS installation needed (and none used: docs/installation.md).
# Each finished step leaves a file in .venv/stamps, so that a second run is quick.

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PYTEST_ARGS ?=
DEMO_ARGS ?=

# The environment is complete by itself; nothing of a sourced ROS installation may leak into it.
unexport AMENT_PREFIX_PATH COLCON_PREFIX_PATH CMAKE_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION FASTDDS_DEFAULT_PROFILES_FILE
# On few, shared cores OpenMP's spinning threads slow each other down tenfold.
export OMP_NUM_THREADS ?= 1

.PHONY: setup test faults demo bench lint clean

setup: $(STAMPS)/pip $(STAMPS)/gl

test: setup $(STAMPS)/sdf $(STAMPS)/browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Kills, freezes and corrupts what moves the arm, in real time: for a quiet machine (docs/safety.md).
faults: setup
	$(BIN)/python -m pytest test/faults --faults $(PYTEST_ARGS)

demo: setup
	$(BIN)/qtopt demo $(DEMO_ARGS)

bench: setup $(STAMPS)/bench
	set -e; for script in bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

# `make test` runs the same as tests.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src test bench launch tools examples

clean:
	rm -rf $(VENV) build install log dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMPS)/venv:
	tools/find_python.sh >/dev/null || tools/apt_install.sh python3 python3-venv
	"$${PYTHON:-$$(tools/find_python.sh)}" -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/pip: $(STAMPS)/venv setup.py package.xml requirements.txt constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[wheels,dev]'
	touch $@

# What the benches measure beside: mbrl-lib in a folder of its own, without the libraries that it does not need here.
$(STAMPS)/bench: $(STAMPS)/pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target build/peers mbrl==0.2.0 hydra-core==1.3.2 \
		omegaconf==2.3.0 antlr4-python3-runtime==4.9.3 termcolor tqdm
	touch $@

$(STAMPS)/gl: $(STAMPS)/venv
	tools/install_gl.sh $(BIN)/python
	touch $@

$(STAMPS)/sdf: $(STAMPS)/venv
	tools/install_sdf.sh
	touch $@

$(STAMPS)/browser: $(STAMPS)/venv
	tools/install_browser.sh
	touch $@
