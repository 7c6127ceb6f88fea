# Python 3.11 or newer and make are all that must be there; the environment is made in .venv.

# The first Python on the path that is new enough; empty where there is none.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# FOCUS's validator has no packages for other versions; 3.13 compiles one of them for ten minutes.
PYTHON_FOCUS ?= $(shell for python in python3.12 "$$(pyenv root 2>/dev/null)"/versions/3.12.*/bin/python3.12 python3 \
	python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 13)))' 2>/dev/null \
	&& echo "$$python" && break; done)
# Where it is set, as on many machines of CI, each process of the tests rewrites every assertion anew: half of collecting them.
unexport PYTHONDONTWRITEBYTECODE
UI ?= 1
DAYS ?= 90
PORT ?= 3000
FOCUS_FILE ?=
EXTENSION ?= core
AUDIT_DAYS ?= 400
KILLS ?= 20
FAULTS ?= 200
WAREHOUSE ?= file
PART ?=

# One more than there are cores: tests wait for processes that they start and kill. A third of them has the core's tests.
WORKERS = $(shell "$(PYTHON)" -c 'import os; print(min((os.cpu_count() or 1) + 1, 6))')
OF_CORE = $(shell expr $(WORKERS) / 3 \| 1)

# Packages of ours beside this one.
EXTENSIONS := $(patsubst %/pyproject.toml,%,$(wildcard extensions/*/pyproject.toml))
# A lake brings extensions of DuckDB, which the demo does without.
LIGHT := $(filter-out extensions/lake,$(EXTENSIONS))

# What is installed: for make demo, for make run, and for everything else.
READY_DEMO := .venv/.ready-assistant,finance,insights,mapping,vendors
READY_RUN := .venv/.ready-all
READY := .venv/.ready-dev
BIN := .venv/bin
READY_FOCUS := .venv-focus/.ready
READY_LITELLM := .venv-litellm/.ready
DRIFT := .venv-drift
NEWEST := .venv-newest
ALONE := .venv-alone
OF_LAKE = PYTHONPATH=$(CURDIR)/extensions/lake
OF_DAGSTER = usage_assets_tests/guest usage_assets_tests/test_dagster_internals.py usage_assets_tests/test_definitions.py \
	usage_assets_tests/warehouse/test_io_manager.py

, := ,

.DEFAULT_GOAL := help
.PHONY: help demo run test alone test-browser nightly release-check audit drill drill-lake drill-postgres distributed check docs snapshot pictures bench focus litellm drift newest wheel image

help:
	@echo "make demo    everything against emulated providers and Port; UI=0 ends after the summary, DAYS=$(DAYS) PORT=$(PORT)"
	@echo "make run     Dagster with the accounts in .env; PORT=$(PORT)"
	@echo "make test    every test but those of make test-browser and make litellm; WAREHOUSE=lake: those that open a lake"
	@echo "make alone   the tests of EXTENSION=$(EXTENSION) in an empty environment, with it alone and what it needs; PYTHON=python3.13"
	@echo "make test-browser  the pages in Chromium: apt-get install chromium"
	@echo "make nightly  a seventh of all that takes long, by weekday, within an hour; PART=1 to 7"
	@echo "make release-check  everything, about five hours; ends with a table"
	@echo "make audit   400 days of two organizations: every number beside the sandbox's books; AUDIT_DAYS=$(AUDIT_DAYS) WAREHOUSE=lake"
	@echo "make drill   make run is killed KILLS=$(KILLS) times at random moments and must end equal to an undisturbed run; SEED=n"
	@echo "make drill-postgres  PostgreSQL goes away FAULTS=$(FAULTS) times in the middle of something: no process aborts, no row is lost; SEED=n"
	@echo "make drill-lake  8 processes write one lake side by side, and writers are killed KILLS=$(KILLS) times: nothing is lost"
	@echo "make distributed  three hosts in namespaces of this machine: one is cut off, PostgreSQL stops, nothing may differ; needs root"
	@echo "make check   lint, format, types, and that Dagster can load the definitions"
	@echo "make wheel   build the wheels of the product and of the sandbox, and use each in an empty folder and environment of its own"
	@echo "make image   build deploy/Dockerfile and start from it what compose.yaml starts, without Docker; root on Debian only"
	@echo "make bench   the benchmarks, or BENCHMARKS=\"due report\"; exit 1 where a demand is missed"
	@echo "make focus   FOCUS's own validator over a year of the sandbox in each version, or over FOCUS_FILE=x.csv; needs Python 3.12"
	@echo "make litellm  the provider litellm against LiteLLM's own proxy, with a fake model behind it"
	@echo "make drift   what the newest packages openai, anthropic and litellm have and our declarations lack; exit 1 where nobody has reviewed it"
	@echo "make newest  hosts, definitions and the IO manager with the newest packages of Dagster that go together, and with the newest Dagster"
	@echo "make docs    the documentation as a site, .site/html/index.html; fails on a warning or a broken link"
	@echo "make snapshot  write usage_assets_tests/snapshot.txt: every provider, endpoint and asset"
	@echo "make pictures  take the README's pictures of a demo; needs Chromium"

# Runs a command that prints nothing, and prints a line every four seconds until it ends: $(call patiently,what,command).
# The lines end with the shell, also where Ctrl-C or a kill ends it.
define patiently
@began=$$(date +%s); echo "$(1)"; \
	(while sleep 4 && kill -0 $$$$ 2>/dev/null; do echo "$$(($$(date +%s) - began)) s: $(1)"; done) & lines=$$!; \
	$(2); status=$$?; kill $$lines; exit $$status
endef
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

# uv takes a tenth of pip's time, but does not read pip's settings and wants each pinned version in the first index that has
# the package. Where it fails, pip installs the same. Nothing else calls uv, which takes 39 MB.
INSTALL = { { $(BIN)/python $(PIP_INSTALL) -c constraints.txt uv && $(BIN)/uv pip install --quiet --python $(BIN)/python \
	-c constraints.txt $(1); } 2>$(BIN)/../uv.log || { echo "pip installs, because uv failed: $(BIN)/../uv.log says why" >&2; \
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt $(1); }; } && $(BIN)/python -m pip uninstall --quiet --yes uv 2>>$(BIN)/../uv.log

# With these extras. Made again only when what is installed has changed.
.venv/.ready-%: pyproject.toml usage_assets_sandbox/pyproject.toml $(EXTENSIONS:%=%/pyproject.toml) constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or newer is needed and was not found: install it, or make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is older or missing: make PYTHON=/path/to/python" >&2; exit 2; }
	$(call patiently,preparing .venv,$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "the Python of .venv is older than 3.11: remove the folder .venv and start again" >&2; exit 2; }
	$(call patiently,installing the pinned packages into .venv,$(call INSTALL,-e '.[$*]' -e ./usage_assets_sandbox $(patsubst %,-e ./%,$(if $(filter all dev,$*),$(EXTENSIONS),$(LIGHT)))))
	@touch $@

demo: $(READY_DEMO)
	@echo "fetching $(DAYS) days of emulated accounts: 90 take about two minutes"
	@$(BIN)/python -m demo --days $(DAYS) --port $(PORT) $(if $(filter 0,$(UI)),--no-ui)

run: $(READY_RUN)
	@$(BIN)/usage-assets dev --port $(PORT)

# A worker runs whole files: their tests share what they have made.
PYTEST = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder -m "not browser and not litellm"

# The core's tests run with the core alone, and beside them all others with everything.
test: $(READY)
ifeq ($(WAREHOUSE),lake)
	@USAGE_TEST_WAREHOUSE=lake $(PYTEST) -n $(WORKERS) -o timeout=1800
else
	@said=$$(mktemp); failed=0; \
	USAGE_PLUGINS=core $(PYTEST) -n $(OF_CORE) --half core usage_assets_tests >"$$said" 2>&1 & core=$$!; \
	$(PYTEST) -n $$(($(WORKERS) - $(OF_CORE))) --half others || failed=$$?; \
	wait $$core || failed=$$?; cat "$$said"; rm "$$said"; exit $$failed
endif

# What is installed is the core, an extension and what that needs, and no more than their tests import besides. The tests have
# the folders of all extensions on their path: what an installation has left there would be found.
NEEDS = $(shell sed -n 's/.*"usage-assets-\([a-z]*\)==.*/\1/p' extensions/$(EXTENSION)/pyproject.toml 2>/dev/null)
alone: BIN := $(ALONE)/bin
alone:
	@rm -rf extensions/*/*.egg-info
	@"$(PYTHON)" -m venv --clear $(ALONE)
	$(call patiently,installing $(EXTENSION) alone into $(ALONE),$(call INSTALL,-e '.[tests]' -e ./usage_assets_sandbox \
		$(patsubst %,-e './extensions/%[forecasts$(,)mcp]',$(filter-out core,$(NEEDS) $(EXTENSION)))))
	@$(PYTEST) -n $(WORKERS) $(if $(filter core,$(EXTENSION)),--half core usage_assets_tests,extensions/$(EXTENSION))

# To collect all tests takes 15 s of CPU time.
test-browser: $(READY)
	@$(BIN)/python -m pytest -m browser $$(grep -rl --include='test_*.py' mark.browser usage_assets_tests extensions)

nightly: $(READY)
	@$(BIN)/python -m usage_assets_tests.long nightly $(if $(PART),--part $(PART))

release-check: $(READY)
	@$(BIN)/python -m usage_assets_tests.long release

audit: $(READY)
	@USAGE_AUDIT_DAYS=$(AUDIT_DAYS) USAGE_TEST_WAREHOUSE=$(WAREHOUSE) $(BIN)/python -m pytest extensions/report/usage_assets_report_tests/end_to_end

drill: $(READY)
	@$(BIN)/python -m usage_assets_tests.end_to_end.kill_drill --kills $(KILLS) $(if $(SEED),--seed $(SEED))

drill-postgres: $(READY)
	@$(OF_LAKE) $(BIN)/python -m usage_assets_lake_tests.postgres_drill --faults $(FAULTS) $(if $(SEED),--seed $(SEED))
	@if command -v pgbouncer >/dev/null; then $(OF_LAKE) $(BIN)/python -m usage_assets_lake_tests.postgres_drill --pooler \
	  --faults $(shell expr $(FAULTS) / 5) $(if $(SEED),--seed $(SEED)); else echo "no pooler in between: needs apt-get install pgbouncer"; fi

drill-lake: $(READY)
	@$(OF_LAKE) $(BIN)/python -m usage_assets_lake_tests.lake_drill --kills $(KILLS) $(if $(SEED),--seed $(SEED))

# The wheel of PostgreSQL warns where nobody is logged in.
distributed: $(READY)
	@PYTHONWARNINGS="ignore:XDG_RUNTIME_DIR" $(OF_LAKE) $(BIN)/python -m usage_assets_lake_tests.distributed

bench: $(READY)
	@PYTHONPATH=$(CURDIR)/extensions/report $(BIN)/python -m benchmarks $(BENCHMARKS)

snapshot: $(READY)
	@$(BIN)/python -m usage_assets_tests.snapshot
	@PYTHONPATH=extensions/assistant $(BIN)/python -m usage_assets_assistant_tests.money_columns
	@PYTHONPATH=extensions/report $(BIN)/python -m usage_assets_report_tests.snapshot

docs: $(READY)
	@$(BIN)/python -m website

pictures: $(READY)
	$(call patiently,installing Playwright,$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[pictures]')
	@$(BIN)/python docs/make_pictures.py

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@DAGSTER_HOME=$(CURDIR) $(BIN)/dg check defs

# Builds the wheels, installs each into an environment of its own and uses it in an empty folder.
wheel: $(READY)
	@rm -rf .wheel build usage_assets_sandbox/build $(EXTENSIONS:%=%/build) && mkdir -p .wheel/empty
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir .wheel .
	@$(BIN)/python -m venv .wheel/venv
	@.wheel/venv/bin/python $(PIP_INSTALL) -c constraints.txt .wheel/*.whl
	@cd .wheel/empty && $(CURDIR)/$(BIN)/mypy --config-file= --strict --follow-imports silent --python-executable ../venv/bin/python \
		-c 'import usage_assets.core.days' >/dev/null
	@cd .wheel/empty && ../venv/bin/usage-assets --help >/dev/null && \
		../venv/bin/python -c 'import dagster as dg; from usage_assets.definitions import defs; dg.Definitions.validate_loadable(defs())' && \
		DAGSTER_HOME= ../venv/bin/python "$(CURDIR)/usage_assets_tests/end_to_end/start_dev.py"
	@for extension in $(EXTENSIONS); do \
		$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir .wheel/extensions ./$$extension || exit; \
		rm -rf $$extension/build; done
	@.wheel/venv/bin/python $(PIP_INSTALL) -c constraints.txt --find-links .wheel/extensions $$(echo .wheel/usage_assets-*.whl)'[$(subst $() ,$(,),$(EXTENSIONS:extensions/%=%))]'
	@cd .wheel/empty && ../venv/bin/usage-assets port mapping check --help >/dev/null && ../venv/bin/usage-assets query --help >/dev/null && ../venv/bin/usage-assets report --help >/dev/null && \
		../venv/bin/python -c 'from usage_assets.models.model import sql_files; assert sql_files("warnings/mapping_entities.*")' && \
		../venv/bin/python -c 'from usage_assets.providers import LOADED; assert not LOADED.missing and not LOADED.not_loaded'
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir .wheel/sandbox ./usage_assets_sandbox
	@rm -rf usage_assets_sandbox/build
	@$(BIN)/python -m venv .wheel/sandbox/venv
	@.wheel/sandbox/venv/bin/python $(PIP_INSTALL) -c constraints.txt .wheel/sandbox/*.whl
	@cd .wheel/empty && ../sandbox/venv/bin/python "$(CURDIR)/usage_assets_sandbox/tests/start_alone.py"

# Needs what `apt-get install buildah debootstrap` installs.
image: $(READY)
	@$(BIN)/python -m usage_assets_tests.deploy.image

# Its environment is its own: it needs another Python, and numpy 1.
$(READY_FOCUS): constraints-focus.txt
	@test -n "$(PYTHON_FOCUS)" || { \
		echo "FOCUS's validator needs Python 3.12 (or 3.13) and neither was found: make focus PYTHON_FOCUS=/path/to/python" >&2; exit 2; }
	@"$(PYTHON_FOCUS)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 13)))' || { \
		echo "FOCUS's validator needs Python 3.12 (or 3.13), and $(PYTHON_FOCUS) is not: make focus PYTHON_FOCUS=/path/to/python" >&2; \
		exit 2; }
	@"$(PYTHON_FOCUS)" -m venv --clear .venv-focus
	$(call patiently,installing FOCUS's validator into .venv-focus,.venv-focus/bin/python $(PIP_INSTALL) -c constraints-focus.txt focus-validator focus-data-toolkit)
	@touch $@

$(READY_LITELLM): constraints-litellm.txt
	@"$(PYTHON)" -m venv --clear .venv-litellm
	$(call patiently,installing LiteLLM's proxy into .venv-litellm,.venv-litellm/bin/python $(PIP_INSTALL) -c constraints-litellm.txt 'litellm[proxy]' prisma 'psycopg[binary]')
	@touch $@

litellm: $(READY_LITELLM) $(READY)
	@$(BIN)/python -m pytest -m litellm extensions/vendors/usage_assets_vendors_tests/litellm_proxy

# The packages are read and never run, so what they depend on is left out.
drift: $(READY)
	@test -x $(DRIFT)/bin/python || "$(PYTHON)" -m venv $(DRIFT)
	$(call patiently,installing the newest packages into $(DRIFT),$(DRIFT)/bin/python $(PIP_INSTALL) --upgrade --no-deps openai anthropic litellm)
	@$(BIN)/python -m usage_assets_tests.drift "$$($(DRIFT)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# Twice: the newest packages of Dagster that go together, and the newest Dagster, which dagster-duckdb may not yet allow.
# Dagster then warns of it, and one test says that the graph loads without a word.
newest: $(READY)
	@test -x $(NEWEST)/bin/python || "$(PYTHON)" -m venv $(NEWEST)
	$(call patiently,installing the pinned packages into $(NEWEST),$(NEWEST)/bin/python $(PIP_INSTALL) -c constraints.txt -e '.[dev]' -e ./usage_assets_sandbox $(EXTENSIONS:%=-e ./%))
	$(call patiently,upgrading Dagster's packages,$(NEWEST)/bin/python $(PIP_INSTALL) --upgrade dagster-aws dagster-dg-cli dagster-duckdb dagster-k8s dagster-postgres dagster-webserver)
	@$(NEWEST)/bin/python -m pytest $(OF_DAGSTER)
	$(call patiently,installing the newest Dagster,$(NEWEST)/bin/python $(PIP_INSTALL) --upgrade --no-deps dagster dagster-pipes dagster-shared)
	@$(NEWEST)/bin/python -m pytest -W "ignore:Found version mismatch:UserWarning" $(OF_DAGSTER) \
		--deselect usage_assets_tests/test_definitions.py::test_the_graph_loads_in_a_fresh_interpreter_with_an_empty_environment

focus: $(READY_FOCUS) $(READY)
	@$(if $(FOCUS_FILE),,$(BIN)/python -m demo.focus_year)
	@.venv-focus/bin/python -m demo.validate_focus $(or $(FOCUS_FILE),.focus/year-*.csv)
