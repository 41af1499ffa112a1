#!/bin/sh
# Everything that has to be measured on a GPU, in one command, about ten minutes on an H200:
#   benchmarks/gpu_performance.sh [OUTPUT_FOLDER [GOLDEN_FOLDER...]]
# Full size with random weights, 640 x 480 frames, windows of 8 + 48. With golden folders the
# parity of all tensors is checked first, in float32 and bfloat16.
set -eu
output=${1:-benchmarks/results/gpu}
[ $# -eq 0 ] || shift
mkdir -p "$output"
if [ $# -gt 0 ]; then
  janusvln parity "$@" --device cuda --dtype float32 | tee "$output/parity_float32.txt"
  janusvln parity "$@" --device cuda --dtype bfloat16 | tee "$output/parity_bfloat16.txt"
  python benchmarks/quantization_agreement.py "$@" --device cuda | tee "$output/agreement.txt"
fi
janusvln benchmark full --device cuda --steps 300 --recompute-steps 32 --output "$output/bfloat16"
for weights in int8 fp8 int4; do
  janusvln benchmark full --device cuda --modes sampled windowed --steps 120 \
    --language-weights "$weights" --output "$output/$weights"
done
janusvln benchmark full --device cuda --modes windowed --steps 120 --kept-fraction 0.25 \
  --output "$output/pruned"
janusvln benchmark --estimate config/computers/server_h200.yaml | tee "$output/estimate.txt"
