#!/bin/sh
# Everything that has to be measured on a GPU, in one command, under ten minutes on an H100:
#   benchmarks/gpu_performance.sh [OUTPUT_FOLDER [GOLDEN_FOLDER...]]
# Full size with random weights, 640 x 480 frames, windows of 8 + 48. With golden folders the
# parity of all tensors is checked first, in float32 and bfloat16. table.md has it all in one table.
set -eu
output=${1:-benchmarks/results/gpu}
[ $# -eq 0 ] || shift
mkdir -p "$output"
if [ $# -gt 0 ]; then
  janusvln parity "$@" --device cuda --dtype float32 | tee "$output/parity_float32.txt"
  janusvln parity "$@" --device cuda --dtype bfloat16 | tee "$output/parity_bfloat16.txt"
fi
for mode in windowed sampled; do
  janusvln benchmark full --device cuda --modes $mode --steps 80 --robots 4 --output "$output/$mode"
done
for weights in int8 fp8 int4; do
  janusvln benchmark full --device cuda --modes windowed sampled --steps 72 \
    --language-weights $weights --output "$output/$weights"
done
python benchmarks/gpu_table.py "$output"/windowed "$output"/sampled "$output"/int8 "$output"/fp8 \
  "$output"/int4 | tee "$output/table.md"
