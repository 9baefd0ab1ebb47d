#!/bin/bash
# Runs each fuzz target of the module, or those that the second argument matches, for some seconds, 5 or as many as the first
# argument says. What it finds goes into testdata beside the target, from where every go test runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-5} some=${2:-.}
while IFS=: read -r file target; do
    [[ $target =~ ^($some) ]] || continue
    dir=./$(dirname "$file")
    if ! out=$(go test -run='^$' -fuzz="^$target\$" -fuzztime="${seconds}s" "$dir" 2>&1); then
        printf '%s\n' "$out" >&2
        exit 1
    fi
    printf 'fuzz: %-36s %-16s %s\n' "${dir#./}" "$target" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -1)"
done < <(git grep -oE '^func Fuzz[A-Za-z]+' -- '*_test.go' | sed 's/func //')
