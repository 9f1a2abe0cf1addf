#!/usr/bin/env bash
# Everything a change must pass: lint, format, types, unit tests, and the app in a real browser.
#
#   tests/run.sh [--no-install] [--no-browser]
#
# It installs the package with its test tools into the Python on the PATH, and a Chromium where there is none. Needs
# Python 3.11 or later. Ends with the status of the first part that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install=yes
browser=yes
for option in "$@"; do
    case "$option" in
        --no-install) install=no ;;
        --no-browser) browser=no ;;
        *)
            sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
            exit 2
            ;;
    esac
done

current="start"
checker=
report=$(mktemp)
ended() {
    local status=$?
    if [[ -n $checker ]]; then kill "$checker" 2>/dev/null || true; fi
    rm -f "$report"
    if ((status)); then printf '\nFailed in: %s (status %d, %d s in all)\n' "$current" "$status" "$SECONDS" >&2; fi
}
trap ended EXIT

part() { # part TITLE COMMAND...: a heading, the command, how long it took
    current="$1"
    shift
    printf '\n== %s ==\n' "$current"
    local start=$SECONDS
    "$@"
    printf '%s: %d s\n' "$current" "$((SECONDS - start))"
}

as_root() {
    if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

from_system_packages() {
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq && as_root apt-get install -y -qq chromium
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q chromium
    else
        echo "no Chromium, and no package manager known here: install one, or name it in the variable CHROMIUM" >&2
        return 1
    fi
}

starts() { python -m tests.browser.driver; }

chromium() { # a Chromium that starts: the one that is there, else Playwright's, else the system's
    starts && return
    if python -m playwright install chromium; then
        starts && return
        python -m playwright install-deps chromium && starts && return
    fi
    from_system_packages
    starts
}

# Not compiled, which takes as long as all the rest, for modules of which most are never imported: whoever imports one
# first keeps it compiled.
packages() { python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[app,train,test]'; }
unset PYTHONDONTWRITEBYTECODE

# Processes with one thread each use cores better than threads; one more than two cores, since tests also wait.
unit() { OMP_NUM_THREADS=1 python -m pytest -m "not browser" -n 3 --dist worksteal --durations 12; }
# Each with a server and a browser of its own. From their folder alone: to look for them elsewhere imports all the rest.
pages() { python -m pytest tests/browser -m browser -n 3 --dist worksteal --durations 12; }

# mypy reads all of PyTorch the first time, a minute and more on one core: when the tests leave one free.
begin_types() {
    nice -n 19 python -m mypy >"$report" 2>&1 &
    checker=$!
}
end_types() {
    local status=0
    wait "$checker" || status=$?
    checker=
    cat "$report"
    return "$status"
}

python - <<'PYTHON'
import sys

if sys.version_info < (3, 11):
    sys.exit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}")
PYTHON

if [[ $install == yes ]]; then part "Install packages" packages; fi
part "Lint" python -m ruff check .
part "Format" python -m ruff format --check .
begin_types
part "Unit tests" unit
if [[ $browser == yes ]]; then
    part "Chromium" chromium
    part "Browser tests" pages
fi
part "Types" end_types
printf '\nAll passed in %d s.\n' "$SECONDS"
