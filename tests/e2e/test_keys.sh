#!/usr/bin/env bash
# `hearth keys` and `hearth usage`: what they print, in every form, and what they refuse.
. "$(dirname "$0")/lib.sh"
export HEARTH_HOME=$tmp/home
wrong() { [ "$status" -eq 2 ] && has err "$1" && [ "$(wc -l <"$tmp/err")" -eq 1 ]; }

hearth keys list; claim "no keys are said to be none" eval '[ "$status" -eq 0 ] && [ ! -s "$tmp/out" ] && has err "no keys yet"'
hearth keys create --name Ada --owner "Ada L." --budget 12.50 --budget-day 0.000000000001 --budget-month 3 \
  --expires 30d --models 'gpt-*,local/x' --rpm 60 --tpm 1000 --concurrency 2 --local-only --admin
claim "create prints the key alone" eval '[ "$status" -eq 0 ] && grep -qxE "sk-hearth-[0-9A-Za-z]{43}" "$tmp/out" && [ "$(wc -l <"$tmp/out")" -eq 1 ]'
claim "create says that it is shown once" has err "shown this once"
key=$(cat "$tmp/out")
hearth keys create --name plain --json
claim "create --json has id, key and name" eval 'py "list(o) == [\"id\", \"key\", \"name\"] and o[\"name\"] == \"plain\" and o[\"id\"].startswith(\"key_\")"'
plain=$(python3 -c "import json; print(json.load(open('$tmp/out'))['id'])")
hearth keys list --json
claim "list --json tells all but the key" eval 'py "
len(o) == 2 and o[0][\"name\"] == \"Ada\" and o[0][\"owner\"] == \"Ada L.\" and o[0][\"hint\"] == \"${key: -4}\" and
o[0][\"models\"] == [\"gpt-*\", \"local/x\"] and o[0][\"rpm\"] == 60 and o[0][\"tpm\"] == 1000 and o[0][\"concurrency\"] == 2 and
o[0][\"local_only\"] and o[0][\"admin\"] and o[0][\"expires\"] and o[0][\"revoked\"] is None and o[0][\"budget_usd\"] == 12.5 and
o[1][\"budget_usd\"] is None and not o[1][\"admin\"] and o[1][\"id\"] == \"$plain\""'
claim "budgets are exact decimals" has out '"budget_day_usd": 0.000000000001'
claim "list never shows a key" eval '! has out "$key"'
hearth keys list; claim "list is a line a key" eval '[ "$(wc -l <"$tmp/out")" -eq 2 ] && has out "of \$12.50" && ! has out "$key"'
claim "the file holds no key" eval '! grep -qF "${key#sk-hearth-}" "$HEARTH_HOME"/ledger.db*'
hearth keys revoke "$plain"; claim "revoke ends a key" eval '[ "$status" -eq 0 ] && has err "revoked $plain"'
hearth keys list --json; claim "a revoked key is still listed" eval 'py "o[1][\"revoked\"] is not None"'
hearth keys revoke key_nobody; claim "a key that is not there is told" eval '[ "$status" -eq 1 ] && has err "there is no key '\''key_nobody'\''"'

hearth keys frob; claim "another word is wrong usage" wrong "is not create, list or revoke"
hearth keys create; claim "a key needs a name" wrong "--name"
hearth keys create --name x --budget 1e3; claim "money is a plain decimal" wrong "--budget: '1e3'"
hearth keys create --name x --budget-day -1; claim "money is not negative" wrong "--budget-day"
for list in '' ',' 'a,' 'a,,b'; do
  hearth keys create --name x --models "$list"; claim "a list of models has no empty name ('$list')" wrong "--models: an empty name"
done
hearth keys create --name x --expires 2020-01-01; claim "an end is not past" wrong "is past"
hearth keys create --name x --expires tomorrow; claim "a date that is none is told" wrong "--expires: 'tomorrow'"
hearth keys revoke; claim "revoke needs an ID" wrong "needs the ID"
hearth keys list more; claim "list takes no more words" wrong "one argument too many"

hearth usage; claim "nothing used is said" eval '[ "$status" -eq 0 ] && [ ! -s "$tmp/out" ] && has err "nothing was used"'
hearth usage --json; claim "nothing used is an empty list" eval 'py "o == []"'
python3 - "$HEARTH_HOME/ledger.db" <<'END'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
add = lambda *row: db.execute("INSERT INTO ledger_usage VALUES (" + ",".join("?" * 18) + ")", row)
day = int(time.time()) // 86400 * 86400
ada, = db.execute("SELECT number FROM ledger_keys WHERE name = 'Ada'").fetchone()
add("r1", ada, "gpt", "openai", "gpt-1", day, 100, 40, 0, 10, 0, 123456789012345678, 900, 50, 1, 2, 0, "done")
add("r2", ada, "gpt", "openai", "gpt-1", day - 86400, 1, 0, 0, 1, 0, 1, 0, 0, -1, -1, 1, "cut")
add("r3", 0, 'a "b", c', "local", "x", day - 86400, 5, 0, 0, 5, 0, -1, 0, 0, 1, 2, 0, "done")
add("r4", 0, "gpt", "anthropic", "c", day - 10 * 86400, 7, 0, 0, 7, 0, -1, 0, 0, 1, 2, 0, "done")
db.commit()
END
hearth usage --json
claim "usage --json by model, the dearest first" eval 'py "
[list(x) for x in o] == [[\"by\", \"requests\", \"prompt_tokens\", \"cached_tokens\", \"completion_tokens\", \"cost_usd\", \"unpriced\"]] * 2 and
o[0][\"by\"] == \"gpt\" and o[0][\"requests\"] == 3 and o[0][\"prompt_tokens\"] == 108 and o[0][\"cached_tokens\"] == 40 and o[0][\"unpriced\"] == 1"'
claim "cost_usd is an exact decimal" has out '"cost_usd": 123456.789012345679,'
claim "all unpriced is null, not 0" eval 'py "o[1][\"by\"] == \"a \\\"b\\\", c\" and o[1][\"cost_usd\"] is None and o[1][\"unpriced\"] == 1"'
hearth usage --by provider --json; claim "by provider" eval 'py "[x[\"by\"] for x in o] == [\"openai\", \"local\", \"anthropic\"] or [x[\"by\"] for x in o] == [\"openai\", \"anthropic\", \"local\"]"'
hearth usage --by day --json; claim "by day, in order" eval 'py "len(o) == 3 and sorted(x[\"by\"] for x in o) == [x[\"by\"] for x in o]"'
hearth usage --by key --json; claim "by key, with its name and ID" eval 'py "o[0][\"by\"].startswith(\"Ada (key_\") and o[1][\"by\"] == \"no key\""'
hearth usage --since 5d --json; claim "since leaves out what was before" eval 'py "sum(x[\"requests\"] for x in o) == 3"'
hearth usage --until "$(date -u -d 'yesterday' +%F)" --json; claim "until means the whole day" eval 'py "sum(x[\"requests\"] for x in o) == 3"'
hearth usage --key "$plain" --json; claim "only one key's" eval 'py "o == []"'
hearth usage --csv; claim "CSV has a heading and quotes" eval 'head -n 1 "$tmp/out" | grep -q "^by,requests,prompt_tokens,cached_tokens,completion_tokens,cost_usd,unpriced" && has out "\"a \"\"b\"\", c\",1,5,0,5,,1"'
hearth usage; claim "a table for people" eval 'has out "\$123456.789012345679 and 1 unpriced (1 estimated)" && has out "  unpriced"'
python3 -c "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(\"UPDATE ledger_usage SET model = ? WHERE request_id = 'r3'\", ('é' * 60,)); db.commit()" "$HEARTH_HOME/ledger.db"
hearth usage; claim "a long name is shortened in the table" eval 'has out "é...  " && ! grep -q "é\{31\}" "$tmp/out"'
hearth usage --by moon; claim "by what is checked" wrong "--by: 'moon'"
hearth usage --since x; claim "since is checked" wrong "--since: 'x'"
hearth usage --json --csv; claim "one form at a time" wrong "do not go together"
hearth usage --key key_nobody; claim "a key that is not there is told by usage" eval '[ "$status" -eq 1 ] && has err "there is no key"'

head -c 5000 /dev/urandom >"$tmp/junk.db"
hearth usage --ledger "sqlite:$tmp/junk.db"; claim "a file that is no ledger is told" eval '[ "$status" -eq 1 ] && has err "junk.db" && has err "is not a ledger"'
hearth keys list --ledger mysql://u:secret@h/d; claim "another ledger is refused, without its password" eval 'wrong "not '\''mysql'\''" && ! has err secret'
for words in usage "keys list"; do
  hearth $words --ledger "sqlite:$tmp/typo.db"
  claim "a ledger that is not there is told, and not made ($words)" eval '[ "$status" -eq 1 ] && has err "typo.db" && [ ! -e "$tmp/typo.db" ]'
done
HEARTH_LEDGER="sqlite:$tmp/other.db" "$HEARTH_BIN" keys create --name x >"$tmp/out" 2>"$tmp/err"; status=$?
claim "the variable names the ledger" eval '[ "$status" -eq 0 ] && [ -e "$tmp/other.db" ]'
mkdir "$tmp/alone" && cp "$HEARTH_BIN" "$tmp/alone/hearth"
"$tmp/alone/hearth" keys list --ledger postgresql://u:secret@h/d >"$tmp/out" 2>"$tmp/err"; status=$?
claim "PostgreSQL without its driver is told" eval '[ "$status" -eq 1 ] && has err "hearth-postgres.so" && ! has err secret'
if [ -e "$(dirname "$HEARTH_BIN")/hearth-postgres.so" ]; then
  hearth keys list --ledger "postgresql://u:secret@/d?host=$tmp"; claim "PostgreSQL that is not there is told" eval '[ "$status" -eq 1 ] && has err "PostgreSQL" && ! has err secret'
  hearth keys list --ledger "postgresql://u:sec@ret@127.0.0.1/d"; claim "a password is not repeated where an address is wrong" eval '[ "$status" -eq 2 ] && ! has err ret@'
else skip "PostgreSQL's errors (built without libpq)"; fi
finish
