#!/usr/bin/env bash
# Takes the certificate of a run as a sample: `take.sh runs/ID NAME`. With Chromium on the machine, the report as it looks on
# a desk, on a phone and in the dark lies beside it.
set -euo pipefail
run=${1:?the folder of a certification} name=${2:?a name for the sample}
here=$(cd "$(dirname "$0")" && pwd)
sample=$here/$name
mkdir -p "$sample"
for file in report.html certificate.json summary.md junit.xml metrics.txt; do
    cp "$run/$file" "$sample/$file"
done

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
    echo "no Chromium here: no pictures" >&2
    exit 0
fi
page=file://$sample/report.html
shot() { # FILE WIDTH HEIGHT [OPTION]
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars "${@:4}" \
        --window-size="$2,$3" --screenshot="$sample/$1" "$page" 2>/dev/null
}
shot desk.png 1280 2400
shot phone.png 390 2400
shot dark.png 1280 2400 --blink-settings=preferredColorScheme=0
ls -l "$sample"
