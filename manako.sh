#!/usr/bin/env bash
# The only thing to type: installs what is missing, builds, runs.
#
#   ./manako.sh demo       the study on synthetic images; prints where the report is
#   ./manako.sh test       every test
#   ./manako.sh ARGS...    manako ARGS...
#
# For developers: build; sanitize (tests under the address, undefined and thread sanitizers);
# soak (the federation under crashes, hostile peers, bad lines and bad disks, all of it);
# fuzz [SECONDS [NAME...]] (each fuzz target, or these, for so long, 60 by default); format [--check] (clang-format).
set -euo pipefail
cd_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${MANAKO_BUILD:-$cd_here/build}

say() { printf '%s\n' "$*" >&2; }

# Debian packages that are not there yet are installed; when all are, this costs one dpkg-query.
need() {
  local missing=()
  local installed
  installed=$(dpkg-query -W -f '${Status} ${Package}\n' "$@" 2>/dev/null | awk '/^install ok installed/ {print $4}' || true)
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "Installing: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "manako.sh: these Debian packages are missing, and neither root nor sudo is here to install them: ${missing[*]}"; exit 2; }
    sudo=(sudo)
  fi
  local log
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "manako.sh: installing failed; the whole log is in $log"
    exit 1
  fi
  rm -f "$log"
}

build_packages=(
  build-essential cmake ninja-build ccache mold pkg-config
  libtorch-dev libdnnl-dev libopenblas0-openmp libopencv-dev libjpeg62-turbo-dev libpng-dev zlib1g-dev
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev libssl-dev libsodium-dev libsqlite3-dev libzstd-dev libboost-dev libcli11-dev libcpp-httplib-dev libtomlplusplus-dev nlohmann-json3-dev libspdlog-dev libfmt-dev
  libgtest-dev libgmock-dev)

# The pages are built by Node; a Node that is there already (18 or newer, with npm) is taken.
need_node() {
  if command -v node >/dev/null && command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]; then return; fi
  need nodejs npm
}

# web/dist/*.html, made again when something in web/ is newer. Versions are those of package-lock.json; `npm ci` would also
# want the packages that other systems need and this one cannot see.
build_web() {
  local web=$cd_here/web out=$cd_here/web/dist/site.html  # the last of them
  if [ -f "$out" ] && [ -f "$web/dist/report.html" ] && [ -f "$web/dist/dashboard.html" ] && [ -z "$(find "$web" -path "$web/node_modules" -prune -o -path "$web/dist" -prune -o -type f -newer "$out" -print -quit)" ]; then return; fi
  need_node
  say "Building the web pages"
  local log
  log=$(mktemp)
  if ! (cd "$web" && { [ -d node_modules ] && [ ! package-lock.json -nt node_modules ] || { npm install --no-save --no-audit --no-fund && touch node_modules; }; } && npm run build) >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    say "manako.sh: building the pages failed; the whole log is in $log"
    exit 1
  fi
  touch "$out"
  rm -f "$log"
}

configure_and_build() {  # folder targets-or-nothing -- cmake options
  local folder=$1
  shift
  local targets=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do targets+=("$1"); shift; done
  [ $# -gt 0 ] && shift
  need "${build_packages[@]}"
  build_web
  # Again where the options are others than the last time.
  if [ ! -f "$folder/build.ninja" ] || { [ $# -gt 0 ] && [ "$*" != "$(cat "$folder/manako-options" 2>/dev/null)" ]; }; then
    say "Configuring"
    cmake -S "$cd_here" -B "$folder" -G Ninja "$@" >"$folder.log" 2>&1 || { cat "$folder.log" >&2; exit 1; }
    rm -f "$folder.log"
    printf '%s' "$*" >"$folder/manako-options"
  fi
  if ! ninja -C "$folder" -n "${targets[@]}" | grep -q 'no work to do'; then
    say "Building (the first time takes some minutes)"
    local log=$folder/build.log
    if [ -t 2 ]; then
      ninja -C "$folder" "${targets[@]}" >&2
    elif ! ninja -C "$folder" "${targets[@]}" >"$log" 2>&1; then
      grep -E -A 12 'error|FAILED' "$log" | head -n 60 >&2
      say "manako.sh: building failed; the whole log is in $log"
      exit 1
    fi
  fi
}

program() { printf '%s/apps/manako/manako' "$build"; }

# Says a command of the program and runs it.
tell() {
  say "\$ manako $*"
  "$(program)" "$@"
}

# 973 images of each of two classes at three hospitals.
demo() {
  configure_and_build "$build" manako
  cd "$cd_here"
  mkdir -p runs
  tell phantom --out runs/demo-images --per-class 973 --seed 7
  if [ -f runs/demo/journal.jsonl ]; then
    tell study --resume runs/demo
  else
    tell study runs/demo-images/manifest.csv --group-column patient --sites 3 --epochs 40 --out runs/demo
  fi
}

run_tests() {
  # What tests look at the program with: a browser, another TLS, networks of their own, PyTorch, and what the package is
  # made and installed with.
  need chromium openssl iproute2 python3-torch file adduser
  configure_and_build "$build"
  (cd "$cd_here/web" && npm test --silent)
  ctest --test-dir "$build" --output-on-failure
}

# All tests that need no libtorch (which is not instrumented), under the sanitizers. The thread sanitizer has no say in
# OpenMP and OpenCV either, so it sees the parts with threads of our own: those of the server, of the site and of the web pages.
# src/wire is not among them. Debian's gRPC is not instrumented, so the sanitizer sees neither its atomics nor the locks that it
# takes through Abseil, and takes all that is handed from one of gRPC's threads to another for a race: over 3,000 reports from
# wire_test alone. A suppression could not be narrow: every call of ours has gRPC below it in the stack, so what hides gRPC's
# false alarms hides our own races with them.
sanitize() {
  local without_torch="src/base;src/identity;src/core;src/core/codec;src/data/phantom;src/data;src/learn/import;src/round;src/site;src/dashboard;src/report/stats;src/report/pooled;src/server;src/wire;src/report"
  local with_threads="src/base;src/identity;src/core;src/core/codec;src/round;src/site;src/dashboard;src/report/stats;src/report/pooled;src/server"
  configure_and_build "$build-address" -- -DMANAKO_SANITIZE=address,undefined -DMANAKO_PARTS="$without_torch"
  UBSAN_OPTIONS=halt_on_error=1 LSAN_OPTIONS=suppressions=$cd_here/cmake/lsan.supp ctest --test-dir "$build-address" --output-on-failure
  configure_and_build "$build-thread" -- -DMANAKO_SANITIZE=thread -DMANAKO_PARTS="$with_threads"
  ctest --test-dir "$build-thread" --output-on-failure
}

# What the tests of the federation have no time for in `test`: a crash of every process at every named step, 100 kills at random
# moments, 10,000 connections, a reset at some hundred bytes of a transfer, minutes of partition. Best as root: small disks and
# networks of one's own are skipped without, and said so. Ends with one line for each test program and its counts.
soak() {
  local programs=(federation_test hostile_test network_test storage_test) name failed=0 log began
  configure_and_build "$build" manako "${programs[@]}" site_test
  mkdir -p "$build/soak"
  local summary=()
  for name in "${programs[@]}" site_test; do
    log=$build/soak/$name.log
    say "Soaking: $name (log: $log)"
    began=$SECONDS
    if MANAKO_SOAK=1 "$(find "$build/tests" "$build/src/site" -maxdepth 1 -name "$name" -type f | head -n 1)" >"$log" 2>&1; then
      summary+=("passed  $name, $((SECONDS - began)) s")
    else
      failed=1
      grep -E -B 2 -A 12 'Failure|\[  FAILED  \]' "$log" | head -n 60 >&2 || true
      summary+=("FAILED  $name, $((SECONDS - began)) s")
    fi
    # Counts are whole lines of their own; skipped tests say why.
    mapfile -t -O "${#summary[@]}" summary < <(grep -E '^[0-9]+ (processes|kills|times|connections)|^\[  (PASSED|FAILED|SKIPPED) ' "$log" | sed 's/^/        /')
    mapfile -t -O "${#summary[@]}" summary < <(grep -B 1 -E '^\[  SKIPPED \] .*ms\)' "$log" | grep -v -E '^\[|^--' | sed 's/^/        skipped: /' || true)
  done
  # What strangers and sites send, for ten minutes each.
  local handlers=(server_call upload server_answer array_file)
  if (fuzz 600 "${handlers[@]}"); then
    for name in "${handlers[@]}"; do
      summary+=("passed  ${name}_fuzz, $(grep -o -E 'Done [0-9]+ runs in [0-9]+ second' "$build-fuzz/fuzz/$name.log")s")
    done
  else
    failed=1
    summary+=("FAILED  fuzzing (above)")
  fi
  printf '%s\n' "${summary[@]}"
  return "$failed"
}

# Every libFuzzer target for so many seconds, from the files beside its code (fuzz_corpus/NAME, or fuzz_corpus) and what
# earlier calls have found; with names, those targets alone. Ends with the first finding, whose input lies in the build folder.
fuzz() {
  local seconds=${1:-60}
  [ $# -gt 0 ] && shift
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || { say "manako.sh fuzz: SECONDS must be a whole number, but is $seconds"; exit 2; }
  need clang libclang-rt-dev
  local folder=$build-fuzz source name found seeds
  local sources=()
  if [ $# -gt 0 ]; then
    for name in "$@"; do
      source=$(cd "$cd_here" && find src -name "${name}_fuzz.cc")
      [ -n "$source" ] || { say "manako.sh fuzz: no src/**/${name}_fuzz.cc"; exit 2; }
      sources+=("$source")
    done
  else
    mapfile -t sources < <(cd "$cd_here" && find src -name '*_fuzz.cc' | sort)
  fi
  local targets=()
  for source in "${sources[@]}"; do targets+=("$(basename "$source" .cc)"); done
  CC=clang CXX=clang++ configure_and_build "$folder" "${targets[@]}" -- -DMANAKO_FUZZ=ON -DMANAKO_SANITIZE=address,undefined
  for source in "${sources[@]}"; do
    name=$(basename "$source" _fuzz.cc)
    found=$folder/fuzz/$name
    mkdir -p "$found"
    seeds=$cd_here/$(dirname "$source")/fuzz_corpus
    [ -d "$seeds/$name" ] && seeds=$seeds/$name
    [ -d "$seeds" ] || seeds=
    say "Fuzzing: $name, $seconds s"
    if ! "$folder/$(dirname "$source")/${name}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
      -artifact_prefix="$found." "$found" ${seeds:+"$seeds"} >"$found.log" 2>&1; then
      tail -n 40 "$found.log" >&2
      say "manako.sh: $name has a finding: the input is $found.*, the log $found.log"
      exit 1
    fi
    grep -E 'Done [0-9]+ runs' "$found.log" >&2 || true
  done
}

# clang-format on the C++ that git tracks; with --check it changes nothing and names what it would change.
format() {
  need clang-format
  local mode=-i
  case "${1:-}" in
    '') ;;
    --check) mode='--dry-run --Werror' ;;
    *) say "manako.sh format: unknown: $1 (format, or format --check)"; exit 2 ;;
  esac
  cd "$cd_here"
  # shellcheck disable=SC2086
  git ls-files -z '*.cc' '*.h' '*.inc' | xargs -0 clang-format $mode
}

case "${1:-}" in
  demo) demo ;;
  test) run_tests ;;
  build) configure_and_build "$build" ;;
  sanitize) sanitize ;;
  soak) soak ;;
  fuzz) fuzz "${@:2}" ;;
  format) format "${2:-}" ;;
  '')
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2 ;;
  *)
    configure_and_build "$build" manako
    exec "$(program)" "$@" ;;
esac
