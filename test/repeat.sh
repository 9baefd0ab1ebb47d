#!/bin/bash
# repeat.sh RUNS: runs make test so many times and prints how many passed. The second half runs beside a busy loop for each
# processor: a test that depends on who wins a race fails there. Each run tries another share of the cases of which a run
# tries a few. The logs are in bin/repeat/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
runs=${1:?how many runs}
busy=()
# shellcheck disable=SC2317 # the trap calls it
quiet() {
    [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" 2>/dev/null
    busy=()
}
trap quiet EXIT
mkdir -p bin/repeat
passed=0
for run in $(seq "$runs"); do
    beside=
    if [ "$run" -gt $((runs / 2)) ]; then
        beside=', both cores busy'
        if [ ${#busy[@]} -eq 0 ]; then
            for _ in $(seq "$(nproc)"); do
                (while :; do :; done) &
                busy+=($!)
            done
        fi
    fi
    log=bin/repeat/$run.log
    begin=$SECONDS
    if PODNET_SHARE=$((run - 1)) make test >"$log" 2>&1; then
        passed=$((passed + 1))
        verdict=passed
    else
        verdict="FAILED, $log: $(grep -m 3 -o -e '--- FAIL: [^ ]*' "$log" | cut -d' ' -f3 | tr '\n' ' ')"
    fi
    echo "run $run of $runs$beside: $verdict, $((SECONDS - begin)) s"
done
echo "$passed of $runs runs passed"
[ "$passed" -eq "$runs" ]
