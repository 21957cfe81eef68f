# TransferLab on Linux and macOS. Type `make help`. (Windows: see README.md.)

# smoke, class or full
PROFILE ?= class
# auto, cpu or cuda
DEVICE ?= auto
# such as '04_code/*'; nothing means all
LESSONS ?=
# more for JupyterLab, such as --allow-root in a container; --originals opens course/ itself
LAB_FLAGS ?=

VENV  ?= .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.set-up
STAMP_BENCH := $(VENV)/.set-up-bench

# The first that is Python 3.11 or newer makes .venv; PYTHON=/path/to/python comes before all.
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11

# Real weights and data, 250 MB; REAL= leaves them out. `solar` is CC BY-NC-SA 4.0.
REAL ?= ,real,solar
# A student bundle has no tests: there only the notebooks are to be opened.
comma  := ,
EXTRAS ?= $(if $(wildcard tests),notebook$(comma)teach$(comma)test$(comma)site,notebook)$(REAL)

# TORCH_INDEX=https://download.pytorch.org/whl/cpu gets torch without its 3 GB of CUDA libraries.
TORCH_INDEX ?=
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# With a folder of wheels (see `make wheelhouse`), set-up needs no network.
WHEELHOUSE ?= $(wildcard wheelhouse)
WHEELS := --no-index --find-links $(WHEELHOUSE)

LESSON_FILES = $(sort $(wildcard course/[0-9]*/0[1-9]_*.ipynb solutions/*/exercises.ipynb))
# Without bars. The others are those of transferlab/kit/kernel.py, for pytest itself and for the
# kernels of nbval, which has a kernelspec of its own.
FOR_TESTS = TQDM_DISABLE=1 OMP_WAIT_POLICY=PASSIVE OPENBLAS_NUM_THREADS=1 \
	MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824
PYTEST = $(FOR_TESTS) $(BIN)/python -m pytest -n 2 --dist loadscope

# The tables of objectives, ranking and real take ten minutes or more each; ask for them by name.
BENCH ?= overhead penalty growth streaming gpu frozen training

# The branch that will hold the site, for buttons that open lessons elsewhere (see `site`).
LAUNCH ?=

# Fresh runs of each lesson for `make claims`.
RUNS ?= 10

.PHONY: help course test lab taste site slides handouts lint bench claims ledger classroom-check \
	exercises doctor wheelhouse clean
.DELETE_ON_ERROR:

help: ## show this list
	@echo "Usage: make TARGET [PROFILE=class|smoke|full] [DEVICE=auto|cpu|cuda|mps] [LESSONS='04_code/*']"
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'

course: $(STAMP) ## run the lessons and write build/<profile>/report.html
	@$(BIN)/transferlab run --profile '$(PROFILE)' --device '$(DEVICE)' \
		$(foreach lesson,$(LESSONS),'$(lesson)')

# Both stages run, and each of them can make the target fail.
test: $(STAMP) ## run all tests: the package, then every lesson and every solved exercise
	@status=0; \
	$(PYTEST) tests --ignore=tests/benchmarks || status=1; \
	if [ -n "$(LESSON_FILES)" ]; then \
		TRANSFERLAB_PROFILE=smoke TRANSFERLAB_OFFLINE=1 OMP_NUM_THREADS=1 \
			$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout=120 $(LESSON_FILES) \
			|| status=1; \
	fi; \
	exit $$status

lab: $(STAMP) ## open your copy of the course, my_course/, in JupyterLab, for this machine only
	@$(BIN)/python -m transferlab.kit.classroom.lab \
		$(foreach lesson,$(firstword $(LESSONS)),'$(lesson)') $(LAB_FLAGS)

# In an environment of its own, .taste, so that .venv stays whole; torch without CUDA, on Linux.
CPU_TORCH := $(if $(filter Linux,$(shell uname -s)),https://download.pytorch.org/whl/cpu)
taste: ## try the first lesson with as little as possible
	@$(MAKE) --no-print-directory lab VENV=.taste EXTRAS=lab TORCH_INDEX='$(CPU_TORCH)'

# LAUNCH=https://github.com/owner/name/tree/gh-pages, the branch that will hold the site, makes the
# buttons that open lessons in Colab and on Binder.
site: $(STAMP) ## build the course as a static site in build/site
	@$(BIN)/transferlab site $(if $(LAUNCH),--launch '$(LAUNCH)')

slides: $(STAMP) ## make a deck of slides for each lesson in build/slides
	@$(BIN)/transferlab slides $(foreach lesson,$(LESSONS),'$(lesson)')

handouts: site ## print lessons and exercises as PDF files in build/handouts (needs Chromium)
	@$(BIN)/transferlab handouts $(foreach lesson,$(LESSONS),'$(lesson)')

lint: $(STAMP) ## check style and formatting of code and notebooks
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Each part is a script of its own with options: python tests/benchmarks/training.py --help
bench: $(STAMP_BENCH) ## time the package beside others; BENCH=training runs one part
	@for part in $(BENCH); do \
		echo "==== $$part ===="; $(BIN)/python -W ignore tests/benchmarks/$$part.py || exit 1; \
	done

claims: $(STAMP) ## repeat lessons with seeds that nobody chose; write course/claims.json (hours)
	@$(BIN)/python tests/claims.py --runs $(RUNS) $(foreach lesson,$(LESSONS),'$(lesson)')

ledger: $(STAMP) ## measure the lessons alone; rewrite ledger, headers and kept outputs
	@$(BIN)/transferlab ledger $(foreach lesson,$(LESSONS),'$(lesson)')

classroom-check: $(STAMP) ## hand in 300 simulated submissions, mark them, try every attack
	@$(BIN)/python tests/classroom/check.py $(CHECK_FLAGS)

exercises: $(STAMP) ## make the student editions from solutions/
	@$(BIN)/transferlab exercises

doctor: $(STAMP) ## look at this machine and say what to do
	@$(BIN)/transferlab doctor

# The wheels fit one kind of machine and one Python: those of the machine that collects them.
wheelhouse: $(VENV)/bin/python ## collect all wheels in wheelhouse/ for set-up without a network
	$(BIN)/python -m pip wheel --wheel-dir build/wheelhouse $(INDEX) -c constraints.txt \
		'.[notebook,teach,test,site$(REAL)]' setuptools
	rm -rf wheelhouse build/wheelhouse/transferlab-*.whl
	mv build/wheelhouse wheelhouse

clean: ## remove build/ and caches; .venv, wheelhouse and my_course stay
	rm -rf build .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './my_course/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment; install its venv package." >&2; \
			exit 1; \
		fi; \
		if [ "$$python" = "$(PYTHON)" ]; then \
			echo "PYTHON=$(PYTHON) is not Python 3.11 or newer." >&2; exit 1; \
		fi; \
	done; \
	echo "No Python 3.11 or newer was found; install one, or say where: make PYTHON=/path/to/python" >&2; \
	exit 1

# The stamp comes last: a set-up that was cut short is begun again. The kernel gets the variables
# that make small networks fast; so notebooks have them wherever they are opened.
$(STAMP): pyproject.toml constraints.txt transferlab/kit/kernel.py | $(VENV)/bin/python
	@rm -f $@
	@case '$(EXTRAS)' in *solar*) \
		echo 'Photos of solar cells (elpv-dataset): CC BY-NC-SA 4.0, not for commercial use.'; \
		echo 'To leave them and the real weights out: make REAL=';; \
	esac
ifneq ($(WHEELHOUSE),)
	$(BIN)/python -m pip install $(WHEELS) -c constraints.txt setuptools
	$(BIN)/python -m pip install $(WHEELS) --no-build-isolation -c constraints.txt -e '.[$(EXTRAS)]'
else
	$(BIN)/python -m pip install $(INDEX) -c constraints.txt -e '.[$(EXTRAS)]'
endif
	$(BIN)/python -m transferlab.kit.kernel
	@touch $@

$(STAMP_BENCH): $(STAMP)
	$(BIN)/python -m pip install $(INDEX) -c constraints.txt -e '.[bench]'
	@touch $@
