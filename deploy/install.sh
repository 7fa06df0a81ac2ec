#!/bin/sh
# Installs the relay as a service of systemd, or a newer one over it, on Debian or Ubuntu with Node.js 20.19 or newer. In a checkout:
#
#     npm install && npm pack          as yourself: makes deaddrop-<version>.tgz
#     sudo deploy/install.sh           as root: what is below, and nothing else; each command is shown before it is run
#     deploy/install.sh --show         shows the commands and runs none
#
# To undo it: systemctl disable --now deaddrop.socket deaddrop.service, then remove both from /etc/systemd/system, /opt/deaddrop and, with what is
# held, /var/lib/deaddrop, /etc/deaddrop.env and the user deaddrop.
set -eu
umask 022
cd "$(dirname "$0")/.."

refuse() { echo "install.sh: $1" >&2 && exit 1; }
run() {
  echo "+ $*"
  [ "$show" = yes ] || "$@"
}

show=no
case "${1-}" in
  -h | --help) sed -n 's/^# \{0,1\}//; 2,9p' "$0" && exit 0 ;;
  --show) show=yes ;;
  ?*) refuse "it takes --help, --show or nothing, not $1" ;;
esac

# The Node.js that a service finds, which is not one in somebody's home.
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
node=$(PATH=$path command -v node) || refuse "there is no node in $path, where services look for it: install Node.js 20.19 or newer for the whole machine"
"$node" -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
  refuse "$node is Node.js $("$node" --version), the relay needs 20.19 or newer"
command -v npm > /dev/null || refuse "there is no npm"
package=$PWD/deaddrop-$("$node" -p 'require("./package.json").version').tgz
[ -f "$package" ] || refuse "there is no $package: run npm install && npm pack first, as yourself"
[ "$show" = yes ] || [ "$(id -u)" = 0 ] || refuse "it writes to /opt and /etc and makes a user, so it needs root: sudo deploy/install.sh"

# The program, with what it depends on; no package's scripts are run. It belongs to root: the relay cannot change itself.
run install -d -m 0755 /opt/deaddrop
run npm install --prefix /opt/deaddrop --ignore-scripts --no-audit --no-fund "$package"

# Who it runs as: nobody who can log in.
id deaddrop > /dev/null 2>&1 || run useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin deaddrop

# Its settings, and where systemd listens for it, which an upgrade leaves as they are.
[ -e /etc/deaddrop.env ] || run install -m 0600 .env.example /etc/deaddrop.env
sockets=
[ -e /etc/systemd/system/deaddrop.socket ] || sockets=deaddrop.socket
[ -z "$sockets" ] || run install -m 0644 deploy/deaddrop.socket /etc/systemd/system/deaddrop.socket
run install -m 0644 deploy/deaddrop.service /etc/systemd/system/deaddrop.service

if [ "$show" = no ] && [ ! -d /run/systemd/system ]; then
  echo "systemd does not run here, so nothing is started: systemctl enable --now deaddrop.socket deaddrop.service does it where it runs"
  exit 0
fi
run systemctl daemon-reload
[ -z "$sockets" ] || run systemctl enable --now "$sockets"
run systemctl enable deaddrop.service
run systemctl restart deaddrop.service
echo "The relay listens on 127.0.0.1:7777 if /etc/deaddrop.env says nothing else; systemctl restart deaddrop takes up what is changed there."
echo "What it says: journalctl --unit deaddrop"
