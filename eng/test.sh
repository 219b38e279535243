# Running the test programs and adding up what they say.

unit_projects="Storage.Tests Nbd.Tests ControlPlane.Tests"

# run_program PROJECT RESULTS [ARGUMENTS]: runs one test program within its time limit, appends "passed failed skipped"
# and, for every test that failed, its name and first lines: the closing lines repeat them.
run_program() {
    local project=$1 results=$2 output status=0
    shift 2
    say "tests: $project"
    output=$(mktemp -t godwit-test.XXXXXX)
    GODWIT_PROGRAMS="$PWD/out/bin" timeout --kill-after=30 "${TEST_LIMIT:-900}" \
        "artifacts/bin/$project/release/Godwit.$project" -noLogo -noColor -showLiveOutput "$@" 2>&1 | tee "$output" || status=$?
    local total failed errors skipped
    read -r total errors failed skipped < <(sed -n \
        's/.*Total: \([0-9]*\), Errors: \([0-9]*\), Failed: \([0-9]*\), Skipped: \([0-9]*\).*/\1 \2 \3 \4/p' "$output" | tail -n 1) || true
    if [ "${total:-0}" = 0 ]; then
        echo "dev: $project ended with status $status and has run no test" >&2
        echo "0 1 0" >>"$results"
    else
        local bad=$((failed + errors))
        if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
        echo "$((total - failed - skipped)) $bad $skipped" >>"$results"
    fi
    grep -F -A 4 ' [FAIL]' "$output" | sed 's/^/failed: /' >>"$results" || true
    rm -f "$output"
}

run_tests() {
    local results project projects
    results=$(mktemp -t godwit-results.XXXXXX)
    case "$1" in
        all) projects="$unit_projects EndToEnd" ;;
        unit) projects=$unit_projects ;;
        *) projects=$1 ;;
    esac
    for project in $projects; do run_program "$project" "$results"; done
    count_results "$results"
}

# What failed, then the closing line, and failure when anything failed.
count_results() {
    sed -n 's/^failed: //p' "$1"
    awk '!/^failed: / { passed += $1; failed += $2; skipped += $3 }
         END { printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""; exit failed > 0 }' "$1"
}

# soak_kills N: longer than any test may be, so not part of them; in rounds of 200, each with a seed of its own.
soak_kills() {
    local left=$1 seed=20260501 round
    while [ "$left" -gt 0 ]; do
        round=$((left < 200 ? left : 200))
        GODWIT_PROGRAMS="$PWD/out/bin" GODWIT_KILLS=$round GODWIT_SEED=$seed artifacts/bin/Nbd.Tests/release/Godwit.Nbd.Tests \
            -noLogo -noColor -showLiveOutput -method '*Killing_the_worker_loses_no_acknowledged_write_and_costs*' | grep -E 'kills,|FAIL|Total:'
        left=$((left - round)) seed=$((seed + 1))
    done
}
