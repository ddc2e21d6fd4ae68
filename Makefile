# Each of demo, test and lab works on a fresh clone: the first one sets up .venv.
#   make demo    protected photos -> head, against the truth and a full-RGB run; about 5 minutes
#   make test    all tests but the slow ones, and the notebooks cell by cell
#   make test-slow    the rest, some minutes more; CI runs both
#   make lab     JupyterLab at the first notebook
#   make nbval   the notebooks cell by cell; PY=python of another environment that has the package
#   make site    the lessons as web pages, in out/site
#   make bench   the kernels beside their references
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
OUT ?= out/demo
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# a file's tests stay on one process, so that they share what they made
PARALLEL := -n auto --maxprocesses 8 --dist loadfile
# For its interpreter, beside a CPU build of torch; a GPU build brings its own.
TRITON := 3.6.0
# Jupyter refuses to run as root, as one is in most containers, unless told.
AS_ROOT := $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)

.PHONY: demo test test-slow test-fast bench lab lint format nbval notebooks samples site picture clean

demo: $(READY)
	$(BIN)/python -m privhead_nb demo $(OUT) --overwrite

test: $(READY)
	$(BIN)/python -m pytest --nbval -m "not slow" $(PARALLEL)
	@echo "left out: the slow tests, which CI runs too (make test-slow)"

test-slow: $(READY)
	$(BIN)/python -m pytest tests -m slow $(PARALLEL)

test-fast: $(READY)
	$(BIN)/python -m pytest tests -m "not slow" $(PARALLEL)

bench: $(READY)
	$(BIN)/python -m privhead_nb bench --json out/bench.json --picture out/roofline.png

lab: $(READY)
	$(BIN)/jupyter lab $(AS_ROOT) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

nbval: $(if $(PY),,$(READY))
	$(or $(PY),$(BIN)/python) -m pytest --nbval notebooks

site: $(READY)
	$(BIN)/python -m notebooks.tools.site out/site

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(READY)
	$(BIN)/python -m notebooks.tools.build

samples: $(READY)
	$(BIN)/python benchmarks/make_samples.py

# The README's picture: the demo's page, with 200 colours so that it stays small.
picture: demo
	$(BIN)/python -c "from PIL import Image; page = Image.open('$(OUT)/page.png').convert('RGB'); \
	page.quantize(200, dither=Image.Dither.NONE).save('docs/pictures/demo.png', optimize=True)"

# torch first and by its pin, so that an index that has a CPU build of it serves that, and not
# gigabytes of CUDA. facenet-pytorch last and alone, since it asks for an old torch. Runs again whenever the requirements or the pins change.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[all]'
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps facenet-pytorch
	$(BIN)/python -c "import triton" 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check triton==$(TRITON) || echo "no Triton for this system: its tests are skipped"
	touch $(READY)

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
