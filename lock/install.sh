#!/bin/sh
# Installs Assent and the packages pinned in this folder; a file whose hash is not listed here stops it.
#   lock/install.sh PYTHON          for a server
#   lock/install.sh PYTHON dev      with what tests want, and Assent itself as it stands in this tree
set -eu
python=$1
with=${2:-}
here=$(cd "$(dirname "$0")" && pwd)

locked() { "$python" -m pip install --quiet --require-hashes --no-deps "$@"; }

locked --requirement "$here/build.txt"
locked --requirement "$here/run.txt" ${with:+--requirement "$here/$with.txt"}
if "$python" -c 'import sys; from importlib.metadata import requires; sys.exit("nvidia" not in " ".join(requires("torch")))'; then
  locked --requirement "$here/cuda.txt"
fi
"$python" -m pip install --quiet --no-deps --no-build-isolation ${with:+--editable} "$here/.."
"$python" -m pip check
