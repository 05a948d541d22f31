# shellcheck shell=bash
# lib.sh: what the scripts in ops/ share. Sourced, never run.
#
# A script sets ME (its name for messages) before it sources this, and calls
# `help_if_asked "$@"`: the comment at the head of a script is its --help.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ME=${ME:-$(basename "$0")}

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
die() {
	say "$*"
	exit 1
}
# A wrong call: what is wrong, and where the help is.
usage() { die "$* (see $ME --help)"; }

# The comment that opens the calling script is its help text.
print_help() {
	awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"
}
help_if_asked() {
	local a
	for a in "$@"; do
		case $a in
		-h | --help)
			print_help
			exit 0
			;;
		esac
	done
}

# need_value OPTION ARGS-LEFT: an option that takes a value has one.
need_value() { [ "$2" -ge 2 ] || usage "$1 needs a value"; }

# A number of a TCP port, or an error that names the option.
check_port() {
	if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then
		usage "$1: '$2' is no port"
	fi
}

port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# packages KIND...: the Debian packages of these kinds (ops/packages.txt), one a line.
packages() {
	local kind
	for kind in "$@"; do
		awk -v k="$kind" '$1 == k { print $2 }' "$ROOT/ops/packages.txt"
	done
}

# install_packages KIND...: install what is missing; quick if nothing is.
install_packages() {
	local missing=() p
	local have
	have=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
		awk '$1 == "ii" { print $2 }')
	for p in $(packages "$@"); do
		grep -qxF "$p" <<<"$have" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	apt_install "${missing[@]}"
}

apt_install() {
	local root=()
	[ "$(id -u)" -eq 0 ] || root=(sudo)
	local log
	log=$(mktemp)
	if ! { "${root[@]}" apt-get update && "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
		tail -20 "$log" >&2
		rm -f "$log"
		die "apt could not install: $*"
	fi
	rm -f "$log"
}

# build PRESET [TARGET...]: configure and build quietly; the compiler's words only if it fails.
build() {
	local preset=$1 log
	shift
	log=$ROOT/build/$preset.log
	mkdir -p "$ROOT/build"
	say "building $preset"
	if ! (cd "$ROOT" && cmake --preset "$preset" && cmake --build "build/$preset" \
		${1:+--target "$@"}) >"$log" 2>&1; then
		tail -30 "$log" >&2
		die "the $preset build failed; all of it is in $log"
	fi
}

# make_certificate DIR: cert.pem and key.pem for localhost, signed by itself, if they are missing.
make_certificate() {
	[ -s "$1/cert.pem" ] && [ -s "$1/key.pem" ] && return 0
	(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-keyout "$1/key.pem" -out "$1/cert.pem" -days 825 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1) >/dev/null 2>&1 ||
		die "openssl could not make a certificate in $1"
}

# write_config FILE DATA IMAP IMAPS LMTP ADMIN CERTIFICATE-DIR: one node on loopback, everything
# embedded. The only place in ops/ that knows the configuration's keys.
write_config() {
	cat >"$1" <<-YAML
		data: "$2"
		imap: {listen: "127.0.0.1:$3"}
		imaps: {listen: "127.0.0.1:$4"}
		lmtp: {listen: "127.0.0.1:$5"}
		admin: {listen: "127.0.0.1:$6"}
		tls: {certificates: [{certificate: "$7/cert.pem", key: "$7/key.pem"}]}
		auth: {plaintext_on_loopback: true}
	YAML
}

# admin_http METHOD HOST:PORT PATH [JSON]: prints the body; an error is one clear line.
admin_http() {
	local method=$1 server=$2 path=$3 body=${4-} out code
	local args=(-sS -m 40 -X "$method" -w '\n%{http_code}')
	[ $# -lt 4 ] || args+=(-H 'Content-Type: application/json' --data-binary @-)
	out=$(printf '%s' "$body" | curl "${args[@]}" "http://$server$path" 2>&1) ||
		die "no answer from the admin port $server: $(head -1 <<<"$out")"
	code=${out##*$'\n'}
	out=${out%$'\n'*}
	out=${out%$'\n'}
	case $code in
	2??) [ -z "$out" ] || printf '%s\n' "$out" ;;
	*) die "$(json_error "$out" "$code")" ;;
	esac
}

# What an error answer says, without its JSON.
json_error() {
	local text
	text=$(sed -n 's/.*"error" *: *"\(\([^"\\]\|\\.\)*\)".*/\1/p' <<<"$1" | head -1)
	printf '%s' "${text:-the server answered $2 ${1:0:200}}"
}

# json_string TEXT: as a JSON string.
json_string() { python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$1"; }

# One path part of a URL.
url_part() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }

account_add() { # HOST:PORT NAME PASSWORD
	admin_http POST "$1" /accounts \
		"{\"name\": $(json_string "$2"), \"password\": $(json_string "$3")}"
}

# wait_for SECONDS COMMAND...: until the command succeeds; false when the time is over.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

alive() { kill -0 "$1" 2>/dev/null; }
