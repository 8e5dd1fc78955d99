#!/usr/bin/env bash
# examples/three-hospitals.sh as a newcomer runs it, only shorter: it prints every command, and its last line names the report.
#   three_hospitals_test.sh FOLDER      MANAKO=PROGRAM
set -euo pipefail
example=$(cd "$(dirname "${BASH_SOURCE[0]}")/../examples" && pwd)/three-hospitals.sh
folder=$1
"$example" --help | grep -q "PER_CLASS=900"
said=$(PORT=$((20000 + RANDOM % 10000)) PER_CLASS=120 ROUNDS=2 STEPS=1 "$example" "$folder" 2>&1) || { printf '%s\n' "$said"; exit 1; }
printf '%s\n' "$said"
for command in phantom "server init" "server start" "server invite" "site join" "site check" "site start" "run create" "run list" \
  "run show" "run export" "run report" "site ledger" "site status"; do
  grep -q "^\$ manako $command " <<< "$said" || { echo "The example does not print: manako $command"; exit 1; }
done
report=$(tail -n 1 <<< "$said" | sed 's/.*the report: //')
grep -q "<html" "$report" || { echo "No report at '$report'"; exit 1; }
[ -s "$folder/model.pt" ] || { echo "No model.pt"; exit 1; }
