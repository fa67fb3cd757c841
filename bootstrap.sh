#!/bin/sh
# Builds clade and shows it on real data; with `test`, builds and runs all tests.
#
#   ./bootstrap.sh             installs what is missing, builds build/clade, makes the database, gives a tour
#   ./bootstrap.sh test        the format, all tests in a release build and under sanitizers, a short search by fuzzing
#   ./bootstrap.sh packages    only names the packages that are missing
#
# Packages come from Debian (12 or later). Each step is skipped when it has been done.
set -eu
cd "$(dirname "$0")"

run_packages='meson ninja-build pkg-config gcc libc6-dev python3 sqlite3 libsqlite3-dev libcurl4-openssl-dev libcjson-dev
  libgraphviz-dev libcairo2-dev libopenblas-dev libkissfft-dev libmicrohttpd-dev libsmartcols-dev uthash-dev libutf8proc-dev
  fonts-liberation'
test_packages='libcmocka-dev clang-format clang libclang-rt-14-dev librsvg2-bin mandoc chromium'

missing_packages() {
  missing=''
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
  done
}

say() { printf '\n== %s\n' "$*"; }

install_packages() {
  missing_packages "$@"
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "clade: these packages (by their names in Debian) are missing, and there is no apt-get to install them:$missing" >&2
    exit 3
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "clade: these packages are missing; install them as root and run this again:" >&2
    echo "  apt-get install$missing" >&2
    exit 3
  fi
  say "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # shellcheck disable=SC2086
  if ! { apt-get install -y -qq --no-install-recommends $missing || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; }; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "clade: installing packages failed; the whole log is $log" >&2
    exit 3
  fi
  rm -f "$log"
}

# configure FOLDER OPTION...: makes a build folder once.
configure() {
  folder=$1
  shift
  [ -f "$folder/build.ninja" ] || meson setup "$folder" "$@" >/dev/null
}

tour() {
  say 'the catalogue'
  ./build/clade list --json | grep -c '"key"' | sed 's/$/ variants, of which these run:/'
  ./build/clade list --json | grep -c '"runnable": *true'
  say 'where gated linear attention comes from'
  ./build/clade lineage gla
  say 'the family tree: family-tree.svg and family-tree.png'
  ./build/clade tree --format svg -o family-tree.svg
  ./build/clade tree --format png -o family-tree.png
  ls -l family-tree.svg family-tree.png
  say 'four blocks side by side (width 256, one sequence)'
  ./build/clade bench gpt gla mamba rwkv4 --length 256,1k --budget 8
  say 'next: ./build/clade help, or ./build/clade show mamba'
}

build() {
  say 'building'
  configure build
  ninja -C build clade clade-double >build/build.log 2>&1 || { tail -n 30 build/build.log >&2; exit 3; }
}

# The page in a browser. Node comes with its package manager or without it, as the machine has it.
test_page() {
  command -v node >/dev/null 2>&1 || install_packages nodejs
  command -v npm >/dev/null 2>&1 || install_packages npm
  (cd web && { [ -d node_modules/playwright-core ] || npm ci --silent; }) || { verdict=1; return 0; }
  log=build/page.log
  (cd web && node test/page.mjs ../build/clade) >$log 2>&1 || verdict=1
  cat $log
  passed=$((passed + $(grep -c '^ok ' $log || true)))
  failed=$((failed + $(grep -c '^not ok ' $log || true)))
}

# Counts the TAP lines of a test run's log: passed and failed.
count_tests() {
  passed=$((passed + $(grep -c '^ok ' "$1/meson-logs/testlog.txt" || true)))
  failed=$((failed + $(grep "^not ok " "$1/meson-logs/testlog.txt" | grep -vc "# SKIP" || true)))
}

run_tests() {
  folder=$1
  shift
  ninja -C "$folder" ${targets:-} >"$folder/build.log" 2>&1 || { tail -n 30 "$folder/build.log" >&2; exit 1; }
  meson test -C "$folder" --no-rebuild --print-errorlogs --timeout-multiplier 20 "$@" || verdict=1
  count_tests "$folder"
}

test_all() {
  passed=0 failed=0 verdict=0
  say 'format'
  # shellcheck disable=SC2046
  clang-format --dry-run --Werror $(git ls-files '*.c' '*.h') || verdict=1
  say 'tests, release build'
  configure build
  run_tests build
  say 'the page, in a browser'
  test_page
  say 'the same, address and undefined-behaviour sanitizers (without the check of every variant: it takes an hour there)'
  configure build-sanitize -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
  UBSAN_OPTIONS=halt_on_error=1 run_tests build-sanitize --no-suite variants
  say 'fuzzing, five seconds a parser'
  tests/fuzz/run.sh 5 || verdict=1
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$verdict" = 0 ] && [ "$failed" = 0 ]
}

case "${1:-}" in
'')
  # shellcheck disable=SC2086
  install_packages $run_packages
  build
  tour
  ;;
test)
  # shellcheck disable=SC2086
  install_packages $run_packages $test_packages
  test_all
  ;;
packages)
  # shellcheck disable=SC2086
  missing_packages $run_packages $test_packages
  echo "missing:${missing:- none}"
  ;;
*)
  echo "usage: ./bootstrap.sh [test|packages]" >&2
  exit 2
  ;;
esac
