# lib.sh - for end-to-end scripts: each claim prints "ok NAME" or "not ok NAME" with what was seen.
# HEARTH_BIN is the program. Nothing of the user's is read or written: HOME is a temporary folder.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${HEARTH_BIN:=$PWD/build/release/hearth}"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
export HOME=$tmp XDG_STATE_HOME= XDG_DATA_HOME= XDG_CONFIG_HOME= XDG_CACHE_HOME= NO_COLOR=1 LC_ALL=C.UTF-8
unset HEARTH_MODEL HEARTH_HOME
shared=../shared/data
model=models/hearth-small.gguf
short=${HEARTH_SHORT:-}  # in a short run (make asan-short), a few of many like cases are enough
n_bad=0

ok() { echo "ok $*"; }
not_ok() { echo "not ok $1"; shift; printf '    %s\n' "$@"; n_bad=$((n_bad + 1)); }
# beginning N FILE: in a short run a file of its first N bytes, else the file.
beginning() { if [ -n "$short" ]; then head -c "$1" "$2" >"$tmp/beginning.txt"; echo "$tmp/beginning.txt"; else echo "$2"; fi; }
skip() { echo "skip $*"; }
claim() {  # claim NAME CONDITION...: runs the condition
  local name=$1; shift
  if "$@"; then ok "$name"; else not_ok "$name" "status $?: $*" "stdout: $(head -c 600 "$tmp/out" 2>/dev/null)" "stderr: $(head -c 600 "$tmp/err" 2>/dev/null)"; fi
}
# hearth ARGS...: runs it with output in $tmp/out and $tmp/err; gives its status in $status.
hearth() { "$HEARTH_BIN" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null; status=$?; return 0; }
hearth_in() { local in=$1; shift; "$HEARTH_BIN" "$@" >"$tmp/out" 2>"$tmp/err" <"$in"; status=$?; return 0; }
has() { grep -qF -- "$2" "$tmp/$1"; }
is_json() { python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$tmp/out"; }
py() { python3 -c "import json,sys; o=json.load(open('$tmp/out')); sys.exit(0 if ($1) else 1)"; }
finish() { [ "$n_bad" -eq 0 ]; exit $?; }
