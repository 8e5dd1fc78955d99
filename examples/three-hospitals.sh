#!/usr/bin/env bash
# A central hospital and three branch hospitals on this machine, with synthetic images: everything that `docs/operate.md` tells,
# from the invitation to the model and its report. Each hospital is a process of its own and knows the others by the network
# (127.0.0.1) only.
#
#   examples/three-hospitals.sh [FOLDER]      MANAKO=build/apps/manako/manako  PORT=8443  PER_CLASS=300  ROUNDS=40  STEPS=8
#
# With WEB=1 the hospitals' web pages are served, too (user admin, password "three hospitals"), and all stays up at the end
# until Ctrl-C.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
manako=${MANAKO:-$here/build/apps/manako/manako}
work=${1:-$here/runs/three-hospitals}
port=${PORT:-8443}
per_class=${PER_CLASS:-300}
rounds=${ROUNDS:-40}
steps=${STEPS:-8}
web=${WEB:-}

say() { printf '\n== %s\n' "$*"; }
tell() { printf '$ manako %s\n' "$*"; "$manako" "$@"; }

pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap finish EXIT

rm -rf "$work"
mkdir -p "$work"

say "Synthetic photographs, dealt to three hospitals by patient"
tell phantom --out "$work/images" --per-class "$per_class" --seed 7
hospitals=(east-clinic north-hospital west-clinic)
# The manifest has a patient for each photograph; every third patient goes to the same hospital.
for i in 0 1 2; do
  awk -F, -v OFS=, -v i="$i" -v images="$work/images/" '
    NR == 1 { for (c = 1; c <= NF; ++c) { if ($c == "file") file = c; if ($c == "patient") patient = c }; print; next }
    { if (!($patient in number)) number[$patient] = n++; if (number[$patient] % 3 == i) { $file = images $file; print } }
  ' "$work/images/manifest.csv" > "$work/${hospitals[$i]}.csv"
done

say "The central hospital makes the federation and starts its server"
tell server init "$work/central" --name "Three Hospitals" --host 127.0.0.1 --port "$port"
# A page for each of them, on ports from 8480 on.
page() {
  [ -n "$web" ] || return 0
  printf 'three hospitals\n' | "$manako" "$1" password "$2" --user admin
  printf '[web]\nlisten = "127.0.0.1:%s"\n' "$3" > "$2/web.toml"
}
page server "$work/central" 8480
"$manako" server start "$work/central" --listen "127.0.0.1:$port" 2> "$work/server.log" &
pids+=($!)
for _ in $(seq 200); do grep -q "listens at" "$work/server.log" 2>/dev/null && break; sleep 0.1; done

say "Each hospital is invited, joins, checks and starts"
web_port=8481
for hospital in "${hospitals[@]}"; do
  invitation=$("$manako" server invite "$work/central" --site "$hospital" 2> /dev/null)
  tell site join "$invitation" "$work/$hospital" --data "$work/$hospital.csv" --group-column patient
  # What every hospital decides for itself: here nobody needs to be asked, and small counts are fine.
  sed -i -e 's/^approval = .*/approval = "none"/' -e 's/^threads = .*/threads = 1/' "$work/$hospital/site.toml"
  page site "$work/$hospital" $((web_port++))
  "$manako" site start "$work/$hospital" 2> "$work/$hospital.log" &
  pids+=($!)
done

say "A run: three sites, $rounds rounds"
cat > "$work/run.toml" <<TOML
[run]
name = "Retinal detachment, first run"
classes = ["detachment", "normal"]

[train]
local_steps = $steps

[federation]
rounds = $rounds
TOML
run=$("$manako" run create "$work/central" "$work/run.toml" --start)
echo "Run $run"
while true; do
  state=$("$manako" run list "$work/central" --json | sed -n 's/.*"state": "\([a-z]*\)".*/\1/p')
  case "$state" in
    finished) break ;;
    failed | cancelled) "$manako" run show "$work/central" "$run"; exit 1 ;;
  esac
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || { echo "A process ended early: see the logs in $work"; exit 1; }; done
  sleep 0.5
done
tell run show "$work/central" "$run"

say "The model and its report, and what left the hospitals"
tell run export "$work/central" "$run" --out "$work/model.pt"
tell run report "$work/central" "$run" --out "$work/report.html"
for hospital in "${hospitals[@]}"; do
  for _ in $(seq 100); do grep -q '"stage": *"ended"' "$work/$hospital/status.json" 2>/dev/null && break; sleep 0.1; done
  tell site ledger "$work/$hospital" --verify
done
tell site ledger "$work/east-clinic" --lines 6
say "Done: everything is in $work"
if [ -n "$web" ]; then
  say "Pages (user admin, password \"three hospitals\"), until Ctrl-C"
  grep -h "The web page is at" "$work"/*.log
  sleep infinity
fi
