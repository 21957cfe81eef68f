#!/usr/bin/env bash
# Everything that needs a GPU, in one command of at most 8 minutes.
set -u

usage() {
  cat <<'TEXT'
Usage: tests/gpu_check.sh [--wheels DIR] [--out DIR] [--dry-run]
       tests/gpu_check.sh --collect DIR

Run what needs a GPU: the tests on cuda, two lessons, and a benchmark. The machine needs torch and
torchvision, and neither a network nor Jupyter. The exit code is 0 when all steps passed.

  --wheels DIR   install these wheels first, for this run only
  --out DIR      where the logs and summary.md go (build/gpu)
  --dry-run      the same steps on the CPU, as small as possible
  --collect DIR  with a network: put what a Linux machine with Python 3.12 lacks into DIR
  PYTHON=...     which Python to use (python3)
TEXT
}

python=${PYTHON:-python3}
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2

# What the tests and lessons below import, and what these packages import. fonttools comes by itself.
packages=(scipy scikit-learn joblib cloudpickle narwhals threadpoolctl scikit-image lazy-loader
  matplotlib contourpy cycler kiwisolver pyparsing python-dateutil six packaging safetensors tqdm
  pytest pytest-timeout iniconfig pluggy pygments rich markdown-it-py mdurl)

# collect DIR: download the wheels, make them small, and say whether they fit: at most 64 MiB
# together with the tree travel to the machine.
collect() {
  local dir=$1 wheels tree
  local from=(--quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp
    --constraint constraints.txt --dest "$dir")
  if compgen -G "$dir/*.whl" >/dev/null; then
    echo "$dir already holds wheels; expected an empty folder." >&2
    return 2
  fi
  "$python" -m pip download "${from[@]}" --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 "${packages[@]}" || return 1
  # For any platform, that is without compiled parts: a quarter of the size.
  "$python" -m pip download "${from[@]}" --platform any fonttools || return 1
  "$python" tests/gpu/shrink_wheels.py "$dir" || return 1
  wheels=$(cat "$dir"/*.whl | wc -c)
  tree=$(git ls-files -z --cached --others --exclude-standard | xargs -0 cat -- | wc -c)
  awk -v wheels="$wheels" -v tree="$tree" -v limit=64 'BEGIN {
    wheels /= 2^20; tree /= 2^20
    printf "wheels %.1f MiB and tree %.1f MiB, at most %d MiB\n", wheels, tree, limit
    exit wheels + tree > limit }'
}

# step NAME SECONDS COMMAND…: run the command with a time limit, keep its output, note how it ended.
step() {
  local name=$1 limit=$(($2 * patience)) began=$SECONDS result && shift 2
  echo "== $name (at most $limit s): $*"
  timeout --kill-after=2 "$limit" "$@" >"$out/$name.txt" 2>&1
  case $? in
    0) result=passed ;;
    124 | 137) result="FAILED: cut off" status=1 ;;
    *) result=FAILED status=1 ;;
  esac
  steps+=("$name")
  rows+=("| $name | $result | $((SECONDS - began)) | $limit |")
  tail -n 3 "$out/$name.txt"
  echo "== $name: $result after $((SECONDS - began)) s"
}

# The tests on the device alone. One that needs a GPU takes the fixture `each_device`, which puts
# `cuda` into its name, or says `gpu` in its name.
run_tests() {
  local files names="cuda or gpu"
  mapfile -t files < <(grep -rlE 'each_device|needs a GPU' tests --include='test_*.py' | sort)
  [ "$device" = cuda ] || names=cpu files=(tests/{test_metrics,test_device,data/test_dataset}.py)
  # Plugins of this machine might not suit the pytest of the wheels.
  step tests 140 env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$python" -m pytest -p pytest_timeout \
    -p no:cacheprovider --timeout=90 --durations=10 -v -k "$names" "${files[@]}"
}

run_lesson() {
  step "lesson_${1##*/}" 70 "$python" tests/gpu/run_cells.py "course/$1.ipynb" \
    --profile "$profile" --device "$device" --seed 0
}

# Compiling can fail or take long on a new machine; so it cannot take the other rows with it.
run_speed() {
  local speed=("$python" -W ignore tests/benchmarks/gpu.py --samples 1024 --rounds 2)
  if [ "$device" = cpu ]; then
    step speed 60 "${speed[@]}" --out "$out/speed.json" --no-compile --device cpu \
      --precision float32 --samples 8 --batch 4 --size 32 --rounds 1
    rows+=("| speed_compiled | not run: compiling is for GPUs | 0 | 0 |")
  else
    step speed 60 "${speed[@]}" --out "$out/speed.json" --no-compile
    step speed_compiled 65 "${speed[@]}" --out "$out/speed_compiled.json" --precision bfloat16
  fi
}

summary() {
  local name
  printf '# GPU check, %s\n\n' "$device"
  grep -hE '^(date|python|torch|card): ' "$out/facts.txt" | sed 's/^/- /'
  printf -- '- wall time: %s s\n\n' "$SECONDS"
  printf '%s\n' "| step | result | seconds | limit |" "| --- | --- | --- | --- |" "${rows[@]}"
  for name in "${steps[@]}"; do
    printf '\n## %s, the end of its log\n\n' "$name"
    tail -n 25 "$out/$name.txt" | sed 's/^/    /' # Markdown shows indented lines as they are
  done
}

check() {
  mkdir -p "$out" && site=$(mktemp -d) || exit 2
  trap 'rm -rf "$site"' EXIT
  # Not a virtual environment: made from one that holds torch, it would not see torch.
  export PYTHONPATH=$root:$site PYTHONUNBUFFERED=1 TRANSFERLAB_OFFLINE=1 TQDM_DISABLE=1
  unset TRANSFERLAB_PROFILE TRANSFERLAB_DEVICE # they would win over the lessons' parameters
  # Not with pip, which may be missing: unpacking is all that these wheels need.
  local unpack='for wheel in "$0"/*.whl; do "$1" -m zipfile -e "$wheel" "$2" || exit; done'
  [ -z "${folder[wheels]}" ] ||
    step packages 30 bash -c "$unpack" "${folder[wheels]}" "$python" "$site"
  step facts 40 "$python" tests/gpu/facts.py "$device"
  if grep -q '^There is no GPU' "$out/facts.txt"; then
    rows+=("| all others | not run: they would be skipped, and pass | 0 | 0 |")
  else
    run_tests
    run_lesson 01_background/01_why_pretrain
    run_lesson 04_code/07_bigger_machines
    run_speed
  fi
  summary >"$out/summary.md"
  echo "Written: $out/summary.md"
  return "$status"
}

declare -A folder=([wheels]="" [out]=$root/build/gpu [collect]="")
device=cuda profile=class patience=1 status=0 steps=() rows=()
while [ $# -gt 0 ]; do
  case $1 in
    --wheels | --out | --collect)
      [ $# -gt 1 ] || { echo "$1 needs a folder." >&2; exit 2; }
      folder[${1#--}]=$(realpath -m -- "$2") && shift ;;
    --dry-run) device=cpu profile=smoke patience=2 && export OMP_NUM_THREADS=1 ;; # it may be busy
    -h | --help) usage; exit 0 ;;
    *) echo "$1 is unknown; see tests/gpu_check.sh --help." >&2; exit 2 ;;
  esac
  shift
done
cd "$root" || exit 2
out=${folder[out]}
if [ -n "${folder[collect]}" ]; then collect "${folder[collect]}"; else check; fi
exit
