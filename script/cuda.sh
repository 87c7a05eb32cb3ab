# shellcheck shell=bash
# Which CUDA MindSpore's GPU plugin is to use: the system's where it fits, else that of setup_gpu.sh.
# Sourced after common.sh.

# use_cuda - set CUDA_HOME and LD_LIBRARY_PATH, unless no CUDA is found: Python then says what is missing.
# The libraries of setup_gpu.sh come last, for a system that has CUDA and lacks cuDNN.
use_cuda() {
    local own home
    own=$(dirname -- "$(dirname -- "$(command -v -- "$(interpreter)")")")/cuda
    for home in ${CUDA_HOME:+"$CUDA_HOME"} /usr/local/cuda /usr/local/cuda-11* "$own"; do
        if fits "$home"; then
            export CUDA_HOME=$home
            export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$home/lib64:$own/lib64"
            return
        fi
    done
}

# fits CUDA_HOME - whether MindSpore has a plugin for its version
fits() {
    [[ $("$1/bin/nvcc" --version 2>/dev/null) =~ release\ 11\.[1-9] ]]
}
