#!/bin/sh
# tests/fuzz/run.sh SECONDS: searches with every fuzz target for so long, starting from its corpus.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
build=build-fuzz

if [ ! -f $build/build.ninja ]; then
  CC=clang meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized \
    -Dwerror=false >/dev/null
fi
targets=$(ninja -C $build -t targets all | sed -n 's|^\(tests/fuzz/fuzz-[a-z-]*\): .*|\1|p' | sort -u)
# shellcheck disable=SC2086
ninja -C $build $targets >$build/fuzz.log 2>&1 || { tail -n 30 $build/fuzz.log >&2; exit 1; }

verdict=0
for target in $targets; do
  name=${target#tests/fuzz/fuzz-}
  found=$(mktemp -d)
  log=$found.log
  if $build/"$target" -max_len=4096 -max_total_time="$seconds" -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$name" \
    >"$log" 2>&1; then
    printf 'fuzz-%s: no findings in %s runs\n' "$name" "$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")"
    rm -rf "$found" "$log"
  else
    tail -n 20 "$log" >&2
    printf 'fuzz-%s: see %s and %s\n' "$name" "$log" "$found" >&2
    verdict=1
  fi
done
exit $verdict
