# Building. CI builds deterministically and from locked packages.

locked() {
    # The lock files belong to the SDK they were made with; another SDK brings its own compiler packages.
    if [ "${CI:-}" = true ] && [ "$(dotnet --version)" = "$(cat eng/sdk-of-lock-files)" ]; then echo "-p:RestoreLockedMode=true"; fi
}

quietly() {
    local log
    log=$(mktemp -t godwit-build.XXXXXX)
    if ! "$@" >"$log" 2>&1; then
        grep -E 'error|warning' "$log" | sort -u | head -n 40 >&2 || true
        echo "dev: '$*' failed; the whole log is $log" >&2
        exit 1
    fi
    rm -f "$log"
}

build_project() { quietly dotnet build "$1" -c Release $(locked); }

build_tests() { say "building the tests"; quietly dotnet build Godwit.slnx -c Release $(locked); }

# The fuzzer, and a copy of it whose storage library reports its branches.
build_fuzz() {
    build_project test/Fuzz
    quietly artifacts/bin/Fuzz/release/godwit-fuzz instrument artifacts/fuzz/bin
}

# The programs as they are shipped: worker and command line compiled ahead of time.
build_programs() {
    say "building the programs into out/bin"
    mkdir -p out/bin
    quietly dotnet restore Godwit.slnx $(locked)
    quietly dotnet publish src/Worker/Worker.csproj -c Release -o out/bin
    quietly dotnet publish src/Cli/Cli.csproj -c Release -o out/bin
    quietly dotnet publish src/Host/Host.csproj -c Release -o out/bin
}

run_check() {
    say "format";    quietly dotnet format Godwit.slnx --verify-no-changes --severity error
    say "analyzers"; quietly dotnet build Godwit.slnx -c Release $(locked)
    say "architecture and documentation"
    local results
    results=$(mktemp -t godwit-check.XXXXXX)
    run_program ControlPlane.Tests "$results" -trait "Category=Promises"
    count_results "$results"
}
