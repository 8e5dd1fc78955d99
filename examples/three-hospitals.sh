#!/usr/bin/env bash
# A central hospital and three branch hospitals on this machine, with synthetic images: everything that `docs/operate.md` tells,
# from the invitation to the model and its report. Each hospital is a process of its own and knows the others by the network
# (127.0.0.1) only.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage() {
  cat <<TEXT
Usage: examples/three-hospitals.sh [FOLDER]        (default: runs/three-hospitals, made anew)

Plays a whole federation on this machine, in about a minute and a half on two cores: draws 1,800 synthetic fundus photographs,
deals them to three hospitals by patient, makes the federation, invites, joins, trains for 130 rounds of 8 steps each (the AUC on
validation images comes to about 0.90), and writes the model and its report. Every command is printed before it runs, so that it
can be typed by hand; the last line names the report.

In the environment:
  PER_CLASS=900   photographs of each of the two classes, all hospitals together
  ROUNDS=130      rounds; in each every hospital trains STEPS steps, then the models are averaged
  STEPS=8
  PORT=8443       of the server
  WEB=1           serve the hospitals' web pages, too (user admin, password "three hospitals"), and stay up until Ctrl-C
  MANAKO=build/apps/manako/manako
TEXT
}
case "${1:-}" in -h | --help) usage; exit 0 ;; -*) usage >&2; exit 64 ;; esac
manako=${MANAKO:-$here/build/apps/manako/manako}
work=${1:-$here/runs/three-hospitals}
port=${PORT:-8443}
per_class=${PER_CLASS:-900}
rounds=${ROUNDS:-130}
steps=${STEPS:-8}
web=${WEB:-}
[ -x "$manako" ] || { echo "$manako is not there: build it first (./manako.sh build)" >&2; exit 66; }

say() { printf '\n== %s\n' "$*"; }
# A command as one would type it.
show() {
  local line='$' word
  for word in "$@"; do
    case "$word" in
      "$manako") line+=" manako" ;;
      "" | *[!A-Za-z0-9_./:=,@%+-]*) line+=" ${word@Q}" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s\n' "$line"
}
# Shows and runs; `manako` where the program is meant.
tell() { show "$@"; "$@"; }
# The same for a process that stays: its words go to $log.
begin() {
  show "$@" "2>" "$log" "&" | sed "s/'2>'/2>/; s/'&'/\&/"
  "$@" 2> "$log" &
  pids+=($!)
}

pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap finish EXIT

printf 'manako is %s\n' "$manako"
tell rm -rf "$work"
tell mkdir -p "$work"

say "Synthetic photographs, dealt to three hospitals by patient"
tell "$manako" phantom --out "$work/images" --per-class "$per_class" --seed 7
hospitals=(east-clinic north-hospital west-clinic)
# The manifest has a patient for each photograph; every third patient goes to the same hospital.
cat > "$work/deal.awk" <<'AWK'
NR == 1 { for (c = 1; c <= NF; ++c) { if ($c == "file") file = c; if ($c == "patient") patient = c }; print > to; next }
{ if (!($patient in number)) number[$patient] = n++; if (number[$patient] % 3 == i) { $file = images $file; print > to } }
AWK
for i in 0 1 2; do
  tell awk -F, -v OFS=, -v i="$i" -v images="$work/images/" -v to="$work/${hospitals[$i]}.csv" -f "$work/deal.awk" \
    "$work/images/manifest.csv"
done

say "The central hospital makes the federation and starts its server"
tell "$manako" server init "$work/central" --name "Three Hospitals" --host 127.0.0.1 --port "$port"
# A page for each of them, on ports from 8480 on.
page() {
  [ -n "$web" ] || return 0
  show "$manako" "$1" password "$2" --user admin
  printf 'three hospitals\n' | "$manako" "$1" password "$2" --user admin
  printf '[web]\nlisten = "127.0.0.1:%s"\n' "$3" > "$2/web.toml"
}
page server "$work/central" 8480
log="$work/server.log"
begin "$manako" server start "$work/central" --listen "127.0.0.1:$port"
for _ in $(seq 200); do grep -q "listens at" "$work/server.log" 2>/dev/null && break; sleep 0.1; done

say "Each hospital is invited, joins, checks and starts"
web_port=8481
for hospital in "${hospitals[@]}"; do
  show "$manako" server invite "$work/central" --site "$hospital"
  invitation=$("$manako" server invite "$work/central" --site "$hospital" 2> /dev/null)
  printf '%s\n' "$invitation"
  tell "$manako" site join "$invitation" "$work/$hospital" --data "$work/$hospital.csv" --group-column patient
  # What every hospital decides for itself: here nobody needs to be asked, and one thread each will do.
  tell sed -i -e 's/^approval = .*/approval = "none"/' -e 's/^threads = .*/threads = 1/' "$work/$hospital/site.toml"
  tell "$manako" site check "$work/$hospital"
  page site "$work/$hospital" $((web_port++))
  log="$work/$hospital.log"
  begin "$manako" site start "$work/$hospital"
done

say "A run: three sites, $rounds rounds of $steps steps each"
cat > "$work/run.toml" <<TOML
[run]
name = "Retinal detachment, first run"
classes = ["detachment", "normal"]

[train]
local_steps = $steps

[federation]
rounds = $rounds
TOML
tell cat "$work/run.toml"
show "$manako" run create "$work/central" "$work/run.toml" --start
run=$("$manako" run create "$work/central" "$work/run.toml" --start)
printf '%s\n' "$run"
show "$manako" run list "$work/central"
told=-1
while true; do
  list=$("$manako" run list "$work/central" --json)
  state=$(sed -n 's/.*"state": "\([a-z]*\)".*/\1/p' <<< "$list")
  round=$(sed -n 's/.*"round": \([0-9]*\).*/\1/p' <<< "$list")
  case "$state" in
    finished) break ;;
    failed | cancelled) tell "$manako" run show "$work/central" "$run"; exit 1 ;;
  esac
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || { echo "A process ended early: see the logs in $work"; exit 1; }; done
  if [ $((round / 10)) -gt "$told" ]; then
    told=$((round / 10))
    "$manako" run list "$work/central" | tail -n 1
  fi
  sleep 0.5
done
tell "$manako" run show "$work/central" "$run"

say "What left the hospitals, and the model with its report"
for hospital in "${hospitals[@]}"; do
  for _ in $(seq 100); do grep -q '"stage": *"ended"' "$work/$hospital/status.json" 2>/dev/null && break; sleep 0.1; done
  tell "$manako" site ledger "$work/$hospital" --verify
done
tell "$manako" site ledger "$work/east-clinic" --lines 6
tell "$manako" site status "$work/east-clinic"
tell "$manako" run export "$work/central" "$run" --out "$work/model.pt"
tell "$manako" run report "$work/central" "$run" --out "$work/report.html"
if [ -n "$web" ]; then
  say "Pages (user admin, password \"three hospitals\"), until Ctrl-C"
  grep -h "The web page is at" "$work"/*.log
fi
say "Done. Everything is in $work; the report: $work/report.html"
if [ -n "$web" ]; then sleep infinity; fi
