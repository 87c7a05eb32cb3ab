#!/usr/bin/env bash
# Check whether a device is fit for training: check_device.sh gpu|ascend|cpu [DEVICE_ID] [flags].
# One page; its last line is "fit for training", or says what failed first, and then the exit status is not 0.
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. "$(dirname -- "${BASH_SOURCE[0]}")/cuda.sh"

case ${1:-} in
    gpu) target=GPU && use_cuda ;;
    ascend) target=Ascend ;;
    cpu) target=CPU ;;
    *) usage "gpu|ascend|cpu [DEVICE_ID]" ;;
esac
shift
id=0
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    id=$1
    shift
fi
[[ $# == 0 || $1 == -* ]] || usage "gpu|ascend|cpu [DEVICE_ID]"
python=$(interpreter)
expect_packages "$python"
[[ $python != */* ]] || python=$(CDPATH='' cd -- "$(dirname -- "$python")" && pwd)/$(basename -- "$python")
cd -- "$project" || exit
exec "$python" -u -m tests.device_check.check_device --device_target "$target" --device_id "$id" "$@"
