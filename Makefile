# make build    .venv with everything, compiled in place; quick when nothing has changed
# make test     the whole suite compiled, then the same without `system` and `slow` interpreted; side by side with -j2
# make lint     ruff, mypy, cython-lint          make annotate   what the compiler made of each line
# make checked  the suite on a build with bounds and overflow checks
# make kernel   scripts (SCRIPTS=tests/tcp) against the kernel of this computer, as root; some minutes
# make demo, make bench, make clean
#
# PYTHON is the interpreter that .venv is made with; PYTEST_ARGS goes to every pytest.

PYTHON ?= python3
PYTEST_ARGS ?=
BIN := .venv/bin
TOOLS := 'setuptools>=77' 'Cython>=3.1'
PYTEST = $(BIN)/pytest $(PYTEST_ARGS)
CHECKED := build/checked
export PIP_DISABLE_PIP_VERSION_CHECK := 1

SCRIPTS ?= tests/tcp

.PHONY: build test test-compiled test-interpreted kernel demo bench lint annotate checked clean

build: .venv/.installed
	@$(BIN)/python setup.py --quiet build_ext --inplace

# Compiled before pip sees it, so that a compiler error is seen on the terminal; pip then finds all done, and
# makes no .pyc of what nobody may import.
.venv/.installed: pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(TOOLS)
	$(BIN)/python setup.py --quiet build_ext --inplace
	$(BIN)/pip install --quiet --no-compile --no-build-isolation --editable '.[test,lint,dask]'
	touch $@

test: test-compiled test-interpreted

test-compiled: build
	PYSTACK_PURE= PYSTACK_EXPECT=compiled $(PYTEST)

test-interpreted: build
	PYSTACK_PURE=1 PYSTACK_EXPECT=interpreted $(PYTEST) -m 'not system and not slow'

kernel: build
	$(BIN)/python -m tests.kernel $(SCRIPTS)

demo: build
	$(BIN)/pystack run fin-wait-2-ipfw --report fin-wait-2-ipfw.html

bench: build
	$(BIN)/pystack bench
	$(BIN)/pytest bench --benchmark-columns=min,median,rounds --benchmark-sort=name

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(BIN):$$PATH" $(BIN)/cython-lint pystack/_fast/*.pxd

annotate: build
	$(BIN)/python tests/annotate.py

# A copy of the package in build/checked; the interpreted and the plain compiled files stay as they are. Programs that the
# tests start would find the plain ones in the working directory first: PYTHONSAFEPATH keeps it out.
checked: .venv/.installed
	PYSTACK_CHECKED=1 $(BIN)/python setup.py --quiet build --build-lib $(CHECKED) --build-temp $(CHECKED)-temp
	PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(CHECKED):$(CURDIR) PYSTACK_EXPECT=checked $(PYTEST)

clean:
	rm -rf .venv build dist *.egg-info pystack/_fast/*.so pystack/_fast/_build.json
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
