# What ./dev needs from the distribution: said before it is installed, skipped when it is there.

say() { printf '\033[1m==>\033[0m %s\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "dev: '$*' needs root; run ./dev as root or install sudo" >&2; exit 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$install_log" 2>&1 \
        || { tail -n 20 "$install_log" >&2; echo "dev: installing failed; the whole log is $install_log" >&2; exit 1; }
}

apt_update() {
    as_root apt-get update >>"$install_log" 2>&1 \
        || { tail -n 5 "$install_log" >&2; echo "dev: apt-get update failed; the whole log is $install_log" >&2; exit 1; }
}

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || echo "$package"
    done
}

install_packages() {
    local wanted
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    say "installing from the distribution:" $wanted
    apt_update
    apt_install $wanted
}

# The SDK on PATH, else the distribution's, else one line that says how to get it.
install_dotnet() {
    if command -v dotnet >/dev/null && dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; then return; fi
    apt_update
    if apt-cache show dotnet-sdk-10.0 >/dev/null 2>&1; then
        say "installing from the distribution: dotnet-sdk-10.0"
        apt_install dotnet-sdk-10.0
    else
        echo "dev: the .NET 10 SDK is needed and this distribution has no package of it; install it from Microsoft's .NET download page and put 'dotnet' on PATH" >&2
        exit 1
    fi
}

qemu_major() { qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p'; }

# The key file named by a source entry ("FILE:LINE" as apt names it), if it names one; both file formats.
signing_key() {
    local file=${1%%:*}
    case "$file" in
        *.sources) sed -n 's/^[Ss]igned-[Bb]y: *\(\/[^ ]*\).*/\1/p' "$file" | head -n 1 ;;
        *) sed -n "${1#*:}s/.*signed-by=\([^] ]*\).*/\1/p" "$file" ;;
    esac
}

# Debian 12 has QEMU 7; QEMU 10 is in its backports. Their source entry is derived from the entry the machine already uses.
enable_backports() {
    local suite source=/etc/apt/sources.list.d/godwit-backports.sources entry uri key
    suite="$(. /etc/os-release && echo "$VERSION_CODENAME")-backports"
    if apt-cache policy | grep -q "n=$suite\|a=$suite"; then echo "$suite"; return; fi
    # "indextargets" prints what apt itself understood of every configured source, whatever its file format.
    entry=$(apt-get indextargets --format '$(CREATED_BY)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)|$(SOURCESENTRY)' \
        | awk -F'|' -v code="${suite%-backports}" '$1 == "Packages" && $2 == code && $3 == "main" { print $4 "|" $5; exit }')
    [ -n "$entry" ] || { echo "dev: no configured source for ${suite%-backports}; add $suite to apt's sources by hand" >&2; exit 1; }
    uri=${entry%%|*}
    key=$(signing_key "${entry#*|}")
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s' "$uri" "$suite" "${key:+Signed-By: $key
}" | as_root tee "$source" >/dev/null
    echo "$suite"
}

install_qemu() {
    if [ "$(qemu_major)" -ge 10 ] 2>/dev/null && command -v qemu-img >/dev/null; then return; fi
    apt_update
    local candidate release=()
    candidate=$(apt-cache policy qemu-system-x86 | sed -n 's/^ *Candidate: [0-9]*:\([0-9]*\)\..*/\1/p')
    if [ "${candidate:-0}" -lt 10 ]; then
        local suite
        suite=$(enable_backports)
        say "QEMU 10 comes from $suite (source entry derived from this machine's own)"
        apt_update
        release=(-t "$suite")
    fi
    say "installing from the distribution: qemu-system-x86 qemu-utils (QEMU 10)"
    apt_install "${release[@]}" qemu-system-x86 qemu-utils
}

install_build() {
    install_log=$(mktemp -t godwit-install.XXXXXX)
    install_packages ca-certificates gcc libc6-dev zlib1g-dev
    install_dotnet
}

install_all() {
    install_build
    install_qemu
    install_packages ovmf busybox-static cpio gzip fio libnbd-bin python3-libnbd nbdkit 7zip e2fsprogs dosfstools mtools ntfs-3g exfatprogs procps util-linux-extra
    rm -f "$install_log"
}
