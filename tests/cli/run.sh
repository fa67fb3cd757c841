#!/bin/sh
# Runs the scenarios of a file against the program and reports in TAP.
#
#   run.sh CLADE JSON-VALUE SCENARIOS
#
# A scenario starts with "== NAME". Its lines:
#
#   run COMMAND        shell; `clade` is $program, $scratch a folder of the file's own, $database the database there,
#                      $CLADE_CATALOG the catalogue, $manual the page of the manual, $completion that of bash,
#                      $entries a folder of small entries
#   status N           of COMMAND; 0 if not said
#   out REGEX          some line of standard output matches (grep -E; \e is the escape character)
#   out! REGEX         none does
#   out= TEXT          some line is exactly TEXT
#   err REGEX          as out, for standard error
#   json PATH VALUE    standard output is one strict JSON document, with VALUE at PATH (see json-value.c)
#   lines N            of standard output
#
# Always: a failure (status 2 or 3) says one line on standard error and nothing on standard output, a success nothing
# on standard error.
set -u
LC_ALL=C.UTF-8
export LC_ALL
unset NO_COLOR TERM

absolute() { echo "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"; }
program=$(absolute "$1") json_value=$(absolute "$2") scenarios=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
database=$scratch/clade.db
CLADE_DB=$database HOME=$scratch XDG_DATA_HOME=$scratch/data
export CLADE_DB HOME XDG_DATA_HOME scratch database

# shellcheck disable=SC2317 # called by scenarios
clade() { "$program" "$@"; }

number=0 failed=0 name=''

fail() {
    problems="$problems
# $*"
}

# The escape character, which no shell script should hold.
escape=$(printf '\033')
pattern() { printf '%s' "$1" | sed "s/\\\\e/$escape/g"; }

run_command() {
    problems='' expected=0 silent=yes
    (eval "$1") >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
}

check_line() {
    word=${1%% *} rest=${1#* }
    case $word in
    run) run_command "$rest" ;;
    status) expected=$rest ;;
    out) grep -Eq -e "$(pattern "$rest")" "$scratch/out" || fail "no line of output matches: $rest" ;;
    'out!') ! grep -Eq -e "$(pattern "$rest")" "$scratch/out" || fail "a line of output matches: $rest" ;;
    'out=') grep -Fxq -e "$rest" "$scratch/out" || fail "no line of output is: $rest" ;;
    err) silent=no && { grep -Eq -e "$(pattern "$rest")" "$scratch/err" || fail "no line of errors matches: $rest"; } ;;
    json)
        found=$("$json_value" "${rest%% *}" <"$scratch/out" 2>&1) || fail "$found"
        [ "$found" = "${rest#* }" ] || fail "${rest%% *} is $found, not ${rest#* }"
        ;;
    lines) [ "$(wc -l <"$scratch/out")" -eq "$rest" ] || fail "not $rest lines of output" ;;
    *) fail "unknown word '$word'" ;;
    esac
}

# Ends the scenario that is under way.
report() {
    [ -n "$name" ] || return 0
    number=$((number + 1))
    [ "$status" -eq "$expected" ] || fail "status is $status, not $expected"
    case $expected in
    0) [ "$silent" = no ] || [ ! -s "$scratch/err" ] || fail "a success is not silent on standard error" ;;
    2 | 3)
        [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "a failure is not one line"
        grep -q '^clade: ' "$scratch/err" || fail "a failure does not name the program"
        [ ! -s "$scratch/out" ] || fail "a failure is not silent on standard output"
        ;;
    esac
    if [ -z "$problems" ]; then
        echo "ok $number - $name"
    else
        failed=$((failed + 1))
        echo "not ok $number - $name"
        printf '%s\n' "$problems" | sed 1d
        sed 's/^/#   out: /' "$scratch/out" | head -20
        sed 's/^/#   err: /' "$scratch/err" | head -20
    fi
}

while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    '' | '#'*) ;;
    '== '*)
        report
        name=${line#== }
        ;;
    *) check_line "$line" ;;
    esac
done <"$scenarios"
report
echo "1..$number"
exit $((failed > 0))
