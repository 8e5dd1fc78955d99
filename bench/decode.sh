#!/bin/sh
# Builds bench_decode in a build folder and times it against torchvision; further options go to decode.py.
#   bench/decode.sh BUILD [--images 16] [--image-size 224] [--threads 2] [--repeats 3]
set -eu
if [ $# -lt 1 ] || [ ! -f "$1/CMakeCache.txt" ]; then
  echo "usage: decode.sh BUILD_FOLDER [options of decode.py]: the folder that cmake -B made" >&2
  exit 2
fi
build=$1
shift
cmake --build "$build" --target bench_decode >&2
exec "${PYTHON:-/usr/bin/python3}" "$(dirname "$0")/decode.py" \
  --manako "${MANAKO:-$build/apps/manako/manako}" --bench-decode "$build/bench/bench_decode" "$@"
