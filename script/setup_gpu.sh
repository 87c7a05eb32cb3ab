#!/usr/bin/env bash
# Install CUDA 11's libraries for MindSpore's GPU plugin by pip alone; only the driver must be there already.
#
#   bash script/setup_gpu.sh
#
# They go into the environment (.venv, or what VENV names), about 2 GB, and its folder `cuda` shows them to MindSpore,
# where the launchers whose name ends in _gpu.sh find it. PYTHON names the Python to make the environment with.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
set -e

if (($# > 0)); then
    echo "usage: bash $0" >&2
    exit 2
fi
make_environment gpu
environment=$(dirname -- "$(dirname -- "$PYTHON")")
cuda=$environment/cuda

libraries=("$environment"/lib/python*/site-packages/nvidia/*/lib/*.so*)
[[ -e ${libraries[0]} ]] || fail "$environment holds no libraries of CUDA; expected what the extra [gpu] installs;" \
    "remove $environment/installed-gpu and run this again"
rm -rf -- "$cuda" "$cuda.new"
mkdir -p -- "$cuda.new/bin" "$cuda.new/lib64"
ln -s -- "${libraries[@]}" "$cuda.new/lib64/"
ln -s libcudart.so.11.0 "$cuda.new/lib64/libcudart.so.11.6.0" # MindSpore reads its version from this name
cat >"$cuda.new/bin/nvcc" <<'NVCC'
#!/bin/sh
# MindSpore asks for the version of CUDA here, and loads no GPU plugin without an answer. Nothing is compiled.
case ${1:-} in
    --version*) echo "Cuda compilation tools, release 11.6, V11.6.0" ;;
    *) echo "$0 compiles nothing: it only tells MindSpore the version" >&2; exit 1 ;;
esac
NVCC
chmod +x "$cuda.new/bin/nvcc"
mv -T -- "$cuda.new" "$cuda"

echo "== the libraries are in $cuda; for programs run by hand:"
echo "export CUDA_HOME=$cuda LD_LIBRARY_PATH=$cuda/lib64"
cd -- "$project"
CUDA_HOME=$cuda LD_LIBRARY_PATH=$cuda/lib64 "$PYTHON" -m mindspore_maml.devices.missing
