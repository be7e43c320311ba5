#!/bin/sh
# Installs what lock/vllm.txt pins, and Assent as it stands in this tree, into an environment of its own: vLLM wants other versions than the rest.
#   lock/install-vllm.sh PYTHON
set -eu
python=$1
here=$(cd "$(dirname "$0")" && pwd)

# What builds Assent goes first; what vLLM wants may then stand in its place.
"$python" -m pip install --quiet --require-hashes --no-deps --requirement "$here/build.txt"
"$python" -m pip install --quiet --require-hashes --no-deps --requirement "$here/torch-cpu.txt" --requirement "$here/vllm.txt"
"$python" -m pip install --quiet --no-deps --no-build-isolation --editable "$here/.."
