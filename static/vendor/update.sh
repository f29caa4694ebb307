#!/bin/sh
# Fetches the front-end packages named here from npm and keeps the few files that the pages use, each with its licence.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --prefix "$work" chart.js@4.6.1 lucide-static@1.62.0 @fontsource-variable/inter@5.3.0

sed '/sourceMappingURL/d' "$work/node_modules/chart.js/dist/chart.umd.min.js" > chart.js
cp "$work/node_modules/chart.js/LICENSE.md" chart.LICENSE
cp "$work/node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2" inter.woff2
cp "$work/node_modules/@fontsource-variable/inter/LICENSE" inter.LICENSE
cp "$work/node_modules/lucide-static/LICENSE" lucide.LICENSE

{
  echo '<svg xmlns="http://www.w3.org/2000/svg">'
  for name in $(cat icons.txt); do
    sed -e '/<!--/d' -e '/^<svg/,/^>/d' -e '/<\/svg>/d' "$work/node_modules/lucide-static/icons/$name.svg" \
      | awk -v name="$name" 'BEGIN { printf "<symbol id=\"%s\" viewBox=\"0 0 24 24\">", name } { gsub(/^ +/, ""); printf "%s", $0 } END { print "</symbol>" }'
  done
  echo '</svg>'
} > lucide.svg
