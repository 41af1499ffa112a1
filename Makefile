# `make demo`, `make test` and `make lint` do all the set-up themselves; see README.md.
SHELL := /bin/bash
SHELL_WITH_ROS = if [ -n "$$ROS_DISTRO" ]; then source .venv/bin/activate && source install/setup.bash; else source .venv/bin/activate; fi

.PHONY: setup demo test test-fast lint
setup:
	@scripts/setup.sh

demo: setup
	@$(SHELL_WITH_ROS) && janusvln demo $(ARGS)

test: setup
	@$(SHELL_WITH_ROS) && OMP_NUM_THREADS=1 python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: setup
	@$(SHELL_WITH_ROS) && OMP_NUM_THREADS=1 python -m pytest -m 'not ros and not slow' -n auto $(ARGS)

CHECKED = janusvln_ros test launch scripts examples
lint: setup
	@$(SHELL_WITH_ROS) && python -m pip install --quiet -r requirements/lint.txt -c requirements/constraints.txt && \
	  ruff check . && ruff format --check . && ament_flake8 --config .flake8 $(CHECKED) && ament_pep257 $(CHECKED) && mypy
