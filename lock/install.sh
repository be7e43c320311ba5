#!/bin/sh
# Installs Assent and the packages pinned in this folder; a file whose hash is not listed here stops it.
#   lock/install.sh PYTHON          for a server
#   lock/install.sh PYTHON dev      with what tests want, and Assent itself as it stands in this tree
set -eu
python=$1
with=${2:-}
here=$(cd "$(dirname "$0")" && pwd)

locked() { "$python" -m pip install --quiet --require-hashes --no-deps "$@"; }

# Where pip is set up to take a build of torch for the CPU, and its file is listed here, that build; else the index's.
torch() {
  pin=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' "$here/torch.txt")
  "$python" -m pip install --quiet --dry-run --ignore-installed --no-deps --report - "$pin" | "$python" -c '
import json, pathlib, sys, urllib.parse
file = urllib.parse.unquote(json.load(sys.stdin)["install"][0]["download_info"]["url"].rpartition("/")[2])
listed = pathlib.Path(sys.argv[1], "torch-cpu.txt").read_text().splitlines()
print("torch-cpu.txt" if f"# {file}" in listed else "torch.txt")
' "$here"
}

locked --requirement "$here/build.txt"
build=$(torch)
locked --requirement "$here/$build" --requirement "$here/run.txt" ${with:+--requirement "$here/$with.txt"}
"$python" -m pip install --quiet --no-deps --no-build-isolation ${with:+--editable} "$here/.."
"$python" -m pip check
