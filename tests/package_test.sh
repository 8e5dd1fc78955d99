#!/usr/bin/env bash
# The Debian package: what is in it, its units, and that it installs, serves, upgrades, is removed and is purged as
# docs/operate.md says. It is installed into a view of this machine whose changes are kept in memory and thrown away (an
# overlay in a mount namespace), with no network but its own loopback: the machine's own packages are left alone.
#   package_test.sh BUILD_FOLDER FOLDER      makes the package of BUILD_FOLDER in FOLDER
# Ends with 77 when it cannot be tested here, and says why.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

step() { printf '%s\n' "- $*"; }
fail() { printf 'package_test.sh: %s\n' "$*" >&2; exit 1; }
skip() { printf 'skipped: %s\n' "$*"; exit 77; }

# --- within the overlay: / is this machine, and may be changed ----------------------------------------------------------

units=(manako-server manako-site)
state=/var/lib/manako

as_manako() { setpriv --reuid manako --regid manako --init-groups env -i PATH=/usr/bin:/bin HOME="$state" "$@"; }

# Runs a command and says nothing, unless it fails.
quietly() { "$@" >"$scratch/said.log" 2>&1 || { cat "$scratch/said.log" >&2; fail "failed: $*"; }; }

# Starts a unit's ExecStart line as the unit's user, with its umask, and waits until TEXT is said.
start_unit() {  # unit text
  local file=/lib/systemd/system/$1.service line condition
  line=$(sed -n 's/^ExecStart=//p' "$file")
  condition=$(sed -n 's/^ConditionPathExists=//p' "$file")
  [ -e "$condition" ] || fail "$1 would not start: there is no $condition"
  grep -qx 'User=manako' "$file" || fail "$1 does not say User=manako"
  # shellcheck disable=SC2086
  (umask "$(sed -n 's/^UMask=//p' "$file")"; exec setpriv --reuid manako --regid manako --init-groups env -i PATH=/usr/bin:/bin $line) >"$scratch/$1.log" 2>&1 &
  started=$!
  for _ in $(seq 100); do
    if grep -sqF -- "$2" "$scratch/$1.log"; then return; fi
    kill -0 "$started" 2>/dev/null || break
    sleep 0.1
  done
  cat "$scratch/$1.log" >&2
  fail "$1 did not say '$2'"
}

# Stops it as systemd would.
stop_unit() {  # pid unit
  kill -TERM "$1"
  for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || { wait "$1" || true; return; }; sleep 0.1; done
  fail "$2 did not end within 10 s of SIGTERM"
}

# What the package's scripts asked of systemd since the last call. There is none here: a recorder stands in for it, and
# says of every unit that it runs.
asked_of_systemd() { cat "$scratch/systemctl.log" 2>/dev/null || true; rm -f "$scratch/systemctl.log"; }

inside() {  # package, a newer one
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  umask 022
  scratch=$(mktemp -d)
  ip link set lo up
  dpkg --purge manako >/dev/null 2>&1 || true  # a machine of somebody who uses it
  ! getent passwd manako >/dev/null || fail "this machine has a user manako that is not the package's"
  rm -rf "$state"

  step "installs, on a machine without systemd"
  rm -rf /run/systemd/system
  quietly apt-get -y install "$1"
  [ "$(dpkg-query -W -f '${Status}' manako)" = 'install ok installed' ] || fail "dpkg says: $(dpkg-query -W -f '${Status}' manako)"
  getent passwd manako >/dev/null || fail "there is no user manako"
  [ "$(id -gn manako)" = manako ] || fail "the user's group is $(id -gn manako)"
  case "$(getent passwd manako)" in *:"$state":*nologin | *:"$state":*false) ;; *) fail "the user is $(getent passwd manako)" ;; esac
  [ "$(stat -c '%a %U:%G' "$state")" = '750 manako:manako' ] || fail "$state is $(stat -c '%a %U:%G' "$state")"
  [ "$(as_manako manako --version)" = "manako $(dpkg-query -W -f '${Version}' manako)" ] || fail "manako --version says: $(as_manako manako --version 2>&1)"

  for unit in "${units[@]}"; do
    [ -f "/lib/systemd/system/$unit.service" ] || fail "there is no unit $unit"
    if command -v systemd-analyze >/dev/null; then
      step "$unit.service is good, and well shut in"
      said=$(systemd-analyze verify "/lib/systemd/system/$unit.service" 2>&1) && [ -z "$said" ] || fail "systemd-analyze verify: $said"
      systemd-analyze security --offline=true --threshold=20 "/lib/systemd/system/$unit.service" >"$scratch/security.log" 2>&1 ||
        { tail -n 1 "$scratch/security.log" >&2; fail "$unit is exposed to more than 2.0 (systemd-analyze security --offline=true)"; }
    else
      step "$unit.service was not looked at: no systemd-analyze here"
    fi
  done

  step "a federation of two, as the units start them"
  quietly as_manako manako phantom --out "$state/images" --per-class 30 --width 64 --height 64
  mv "$state/images" /srv/manako-test-images
  quietly as_manako manako server init "$state/central" --name T --host localhost
  start_unit manako-server 'listens at'
  server=$started
  line=$(as_manako manako server invite "$state/central" --site east 2>"$scratch/said.log" | grep -o 'manako://[^ ]*') || { cat "$scratch/said.log" >&2; fail "server invite failed"; }
  quietly as_manako manako site join "$line" "$state/site" --data /srv/manako-test-images --group-column patient
  start_unit manako-site 'connected'
  stop_unit "$started" manako-site
  stop_unit "$server" manako-server
  for key in central/ca.key central/server.key site/site.key; do
    [ "$(stat -c '%a %U' "$state/$key")" = '600 manako' ] || fail "$key is $(stat -c '%a %U' "$state/$key")"
  done
  before=$(cd "$state" && find . -type f -exec sha256sum {} + | sort)

  # From here on with a systemd, as far as the package's scripts can tell.
  mkdir -p /run/systemd/system
  rm -f /usr/bin/systemctl
  cat >/usr/bin/systemctl <<RECORDER
#!/bin/sh
echo "\$*" >>"$scratch/systemctl.log"
RECORDER
  chmod 755 /usr/bin/systemctl

  step "upgrades: all stays, and what runs is started again"
  quietly apt-get -y install "$2"
  [ "$(dpkg-query -W -f '${Version}' manako)" = "$(dpkg-deb -f "$2" Version)" ] || fail "the newer one is not installed"
  [ "$(cd "$state" && find . -type f -exec sha256sum {} + | sort)" = "$before" ] || fail "the upgrade changed something in $state"
  asked=$(asked_of_systemd)
  for unit in "${units[@]}"; do grep -qx "restart $unit" <<<"$asked" || fail "the upgrade did not restart $unit, but: $asked"; done
  ! grep -qE 'stop|disable' <<<"$asked" || fail "the upgrade asked: $asked"
  step "the same again"
  quietly apt-get -y --reinstall install "$2"
  asked_of_systemd >/dev/null

  step "removing stops the services and keeps keys, models and ledgers"
  quietly dpkg --remove manako
  [ ! -e /usr/bin/manako ] && [ ! -e /lib/systemd/system/manako-server.service ] || fail "removing left the program or its units"
  [ "$(cd "$state" && find . -type f -exec sha256sum {} + | sort)" = "$before" ] || fail "removing changed something in $state"
  [ "$(stat -c '%a %U:%G' "$state")" = '750 manako:manako' ] || fail "after removing $state is $(stat -c '%a %U:%G' "$state")"
  asked=$(asked_of_systemd)
  grep -q -- 'disable --now manako-server manako-site' <<<"$asked" && grep -q 'daemon-reload' <<<"$asked" || fail "removing asked: $asked"

  step "installed again it goes on with them"
  quietly apt-get -y install "$2"
  start_unit manako-server 'listens at'
  stop_unit "$started" manako-server

  step "purging removes folder and user"
  quietly dpkg --purge manako
  [ ! -e "$state" ] || fail "purging left $state"
  ! getent passwd manako >/dev/null || fail "purging left the user"
  ! getent group manako >/dev/null || fail "purging left the group"
  ! dpkg-query -W manako >/dev/null 2>&1 || fail "dpkg still knows: $(dpkg-query -W -f '${Status}' manako)"
  [ -d /srv/manako-test-images ] || fail "purging removed images"
}

# --- outside: makes the package, looks into it, makes the overlay ---------------------------------------------------------

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit 0
fi

build=$(cd "$1" && pwd)
folder=$2
for tool in cpack dpkg-deb dpkg-shlibdeps file; do
  command -v "$tool" >/dev/null || skip "no $tool here (packages cmake, dpkg, dpkg-dev, file)"
done
[ -w "$build" ] || skip "$build is not ours to write to, as cpack does"
rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

step "cpack makes it, whatever the umask"
(umask 077; cd "$build" && cpack -G DEB -B "$folder") >"$folder/cpack.log" 2>&1 || { cat "$folder/cpack.log" >&2; fail "cpack failed"; }
rm -rf "$folder/_CPack_Packages"
packages=("$folder"/manako_*.deb)
[ ${#packages[@]} -eq 1 ] && [ -f "${packages[0]}" ] || fail "cpack made: ${packages[*]}"
package=${packages[0]}

step "what is in it"
dpkg-deb -c "$package" >"$folder/contents"
expect() {  # mode path
  grep -qE "^$1 root/root +[0-9]+ [^ ]+ [^ ]+ \./$2\$" "$folder/contents" || fail "$2 is not in the package as $1: $(grep -F "./$2" "$folder/contents")"
}
expect -rwxr-xr-x usr/bin/manako
for unit in "${units[@]}"; do expect -rw-r--r-- "usr/lib/systemd/system/$unit.service"; done
doc=usr/share/doc/manako
for file in README.md README.ja.md CHANGELOG.md LICENSE docs/operate.md docs/site-guide.md docs/site-guide.ja.md; do expect -rw-r--r-- "$doc/$file"; done
! grep -vE "^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) root/root " "$folder/contents" >&2 || fail "owners or modes of these"
dpkg-deb -R "$package" "$folder/tree"
# Documents that name others, and units that name documents, name what is there.
while read -r link; do [ -e "$folder/tree/$doc/$link" ] || fail "README.md names $link, which is not in the package"; done \
  < <(grep -ohE '\]\([^)#:]+' "$folder/tree/$doc/README.md" "$folder/tree/$doc/README.ja.md" | sed 's/^](//' | grep -vE '^https?$' | sort -u)
while read -r path; do [ -f "$folder/tree/$path" ] || fail "a unit names $path, which is not in the package"; done \
  < <(sed -n 's,^Documentation=file://,,p' "$folder"/tree/usr/lib/systemd/system/*.service)
for script in postinst prerm postrm; do [ -x "$folder/tree/DEBIAN/$script" ] || fail "no $script"; done
depends=$(dpkg-deb -f "$package" Depends)
for name in adduser libc6 libtorch1.13 'libgrpc\+\+1.51' libsodium23 libsqlite3-0; do
  grep -qE "(^|, )$name( |,|\$)" <<<"$depends" || fail "Depends does not name $name: $depends"
done
for field in Maintainer Description Section Installed-Size; do [ -n "$(dpkg-deb -f "$package" "$field")" ] || fail "no field $field"; done

[ "$(id -u)" -eq 0 ] || skip "the package is good to look at; installing it needs root"
for tool in unshare setpriv chroot ip apt-get adduser; do
  command -v "$tool" >/dev/null || skip "the package is good to look at; installing it needs $tool (packages util-linux, coreutils, iproute2, apt, adduser)"
done
unshare --mount --net --pid --fork true 2>/dev/null || skip "the package is good to look at; installing it needs namespaces, which this system does not allow"

# A newer one, by its version alone.
version=$(dpkg-deb -f "$package" Version)
sed -i "s/^Version: .*/Version: $version+newer/" "$folder/tree/DEBIAN/control"
newer=$folder/newer.deb
dpkg-deb -Zgzip -z1 --root-owner-group -b "$folder/tree" "$newer" >/dev/null
rm -rf "$folder/tree"

# The overlay lives in memory: neither it nor what is in it outlasts this namespace. 77: there can be none here.
export here package newer
unshare --mount --net --pid --fork --kill-child bash -c '
  set -e
  mount -t tmpfs -o mode=755 manako-package-test /mnt || exit 77
  mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root || exit 77
  cd /mnt/root
  mount -t proc proc proc
  for special in null zero full random urandom tty; do
    [ -e dev/$special ] || : >dev/$special
    mount --bind /dev/$special dev/$special
  done
  mkdir -p mnt tmp run dev/shm dev/pts
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
  ln -sfn pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=1777 tmp tmp
  mount -t tmpfs -o mode=755 run run
  cp "$here/package_test.sh" tmp/
  cp "$package" tmp/manako.deb
  cp "$newer" tmp/manako-newer.deb
  chmod 644 tmp/*.deb
  exec chroot . bash tmp/package_test.sh --inside ./tmp/manako.deb ./tmp/manako-newer.deb
' || { code=$?; [ "$code" -ne 77 ] || skip "the package is good to look at; installing it needs an overlay, which cannot be mounted here"; exit "$code"; }
rm -f "$newer"
