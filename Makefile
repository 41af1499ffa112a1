# `make demo` and `make test` do all the set-up themselves; see README.md.
SHELL := /bin/bash
SHELL_WITH_ROS = if [ -n "$$ROS_DISTRO" ]; then source .venv/bin/activate && source install/setup.bash; else source .venv/bin/activate; fi

.PHONY: setup demo test lint
setup:
	@scripts/setup.sh

demo: setup
	@$(SHELL_WITH_ROS) && janusvln demo $(ARGS)

test: setup
	@$(SHELL_WITH_ROS) && python -m pytest $(ARGS)

lint: setup
	@$(SHELL_WITH_ROS) && python -m pip install --quiet -r requirements/lint.txt -c requirements/constraints.txt && ruff check . && ament_flake8 janusvln_ros test launch scripts && ament_pep257 janusvln_ros test launch scripts
