# Rapport: `make demo` to see it, `make test` to test it, `make help` for the rest.
PYTHON ?= $(or $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done),python3)
BIN := .venv/bin
EMBEDDED := $(BIN)/python -m apps.core.embedded
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
# What is skipped, ruff reports as S108 and S308, where each exception says its reason.
BANDIT := $(BIN)/bandit --quiet --recursive --severity-level medium --confidence-level medium \
	--skip B108,B308,B703
# Nothing goes out, nor into the home folder: neither figures about the run nor a question for a newer version.
SEMGREP := SEMGREP_SETTINGS_FILE=.venv/semgrep/SETTINGS SEMGREP_LOG_FILE=.venv/semgrep/LOG \
	.venv/semgrep/bin/semgrep scan --strict --error --disable-nosem --quiet --metrics=off \
	--disable-version-check --config tools/rules.yml
# Passwords of examples and of invented people are no secrets.
SECRETS := $(BIN)/detect-secrets-hook --no-verify --exclude-secrets '^(app|password|development|token|TOKEN|a long enough passphrase)$$'
PRODUCTION_LIKE = RAPPORT_ENVIRONMENT=production DEBUG=false ALLOWED_HOSTS=rapport.example.org \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
	ENCRYPTION_KEYS=$$($(BIN)/python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())') \
	BASE_URL=https://rapport.example.org DEFAULT_FROM_EMAIL=forms@example.org \
	DATABASE_URL=postgres://app:app@127.0.0.1:5432/rapport REDIS_URL=redis://127.0.0.1:6379/0 \
	EMAIL_URL=smtp+tls://user:password@127.0.0.1:587

.DEFAULT_GOAL := help
.PHONY: help setup demo run test bench faults access-report check fix lock client-css catalogues clean-data serving developing

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: developing ## Install everything into .venv; start nothing

demo: serving ## Start Rapport with an invented practice; Ctrl-C stops it (PORT=8001 to choose)
	@$(EMBEDDED) demo --follow-parent

run: serving ## Start Rapport without the invented practice; Ctrl-C stops it
	@$(EMBEDDED) run --follow-parent

test: developing ## Run all tests, with engines of their own
	@$(EMBEDDED) with-engines -- pytest -n 2 --dist loadgroup --cov=apps.ruptures.detection \
		--cov=apps.alliance.scoring --cov-branch --cov-fail-under=100 --cov-report=term:skip-covered

faults: developing ## Break senders, broker and mail server at full size (ONLY="f1 f7" to choose)
	@$(EMBEDDED) with-engines -- python -m tests.faults $(ONLY)

bench: developing ## Measure speed as ratios, each against its baseline in the same run
	@$(EMBEDDED) with-engines -- python -m benchmarks

access-report: developing ## Print who reaches which address; fails on a leak
	@$(EMBEDDED) with-engines -- python -m tests.architecture.matrix

check: developing ## Style, types, layers, security, migrations, settings, locks
	@$(BIN)/python -m pip --disable-pip-version-check check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --quiet --check --lint templates
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BANDIT) apps config deploy tools
	$(SEMGREP) apps config deploy tools templates
	@git ls-files -z ':!requirements/*.lock' ':!static/vendor' | xargs -0 $(SECRETS)
	@echo 'locks name no address'
	@! grep -nE 'https?://|file://|/opt/' requirements/*.lock
	bash -n .ci/run && bash -n deploy/backup.sh && bash -n deploy/postgres/make-roles.sh
	@$(EMBEDDED) with-engines -- python manage.py makemigrations --check --dry-run
	@$(PRODUCTION_LIKE) $(BIN)/python manage.py check --deploy --fail-level WARNING

fix: developing ## Mend style where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint --quiet --reformat templates

catalogues: developing ## Take new texts of the client's pages into locale/, and compile
	DJANGO_SETTINGS_MODULE=config.settings $(BIN)/python -m tools.catalogues

client-css: developing ## Make the small sheet of the client's pages anew
	$(BIN)/python -m tools.client_css

lock: ## Pin the packages anew from requirements/*.in (needs uv)
	@command -v uv >/dev/null || { echo "rapport: 'make lock' needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) --upgrade requirements/app.in -o requirements/app.lock
	$(LOCK) --upgrade requirements/embedded.in -c requirements/app.lock -o requirements/embedded.lock
	$(LOCK) --upgrade requirements/dev.in -c requirements/app.lock -o requirements/dev.lock
	$(LOCK) --upgrade requirements/semgrep.in -o requirements/semgrep.lock
	@! grep -nE 'https?://|file://|/opt/' requirements/*.lock

clean-data: serving ## Delete this clone's database and messages; asks first
	@$(EMBEDDED) clean-data

serving:
	@$(PYTHON) tools/bootstrap.py

developing:
	@$(PYTHON) tools/bootstrap.py --dev
