#!/usr/bin/env bash
# Starts share in the background with the inputs of action.yml, and ends when its
# URL works. share sets the step's outputs and its summary by itself.
set -euo pipefail

# They are not for the program that is shared.
export -n INPUT_TARGET INPUT_RELAY INPUT_NAME INPUT_COMMAND INPUT_WAIT INPUT_BINARY

# fail ends the step with a reason, which the runner shows beside the job.
fail() {
	local reason="${1//'%'/%25}"
	reason="${reason//$'\r'/%0D}"
	printf '::error::share: %s\n' "${reason//$'\n'/%0A}"
	exit 2
}

# The program is kept where the steps that follow find it. The runner empties that
# folder before each job.
bin=$RUNNER_TEMP/share/bin
mkdir -p "$bin"
share=$bin/share
[ "${RUNNER_OS-}" != Windows ] || share+=.exe

# keep puts the file $1 there, even if share runs from there already.
keep() {
	cmp -s -- "$1" "$share" || { cp -- "$1" "$share.new" && mv -f -- "$share.new" "$share"; }
}

if [ -n "$INPUT_BINARY" ]; then
	found=$(type -P -- "$INPUT_BINARY") || fail "the input binary is no program: $INPUT_BINARY"
	keep "$found" || fail "the program cannot be copied: $found"
elif [ ! -e "$share" ]; then
	source=$GITHUB_ACTION_PATH/../../..
	grep -qx 'module share' "$source/go.mod" 2>/dev/null ||
		fail 'the action is not in its own repository: name the program by the input binary'
	type -P go >/dev/null || fail 'there is no Go to build share with: use actions/setup-go before, or the input binary'
	# For this machine, whatever the job builds for; and without git, which refuses
	# the folder of another user in a container.
	env -u GOOS -u GOARCH GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -C "$source" -trimpath -buildvcs=false \
		-tags urfave_cli_no_docs,noasm -ldflags '-s -w' -o "$share.new" . || fail 'the program cannot be built: the log says why'
	mv -- "$share.new" "$share"
fi
printf '%s\n' "$bin" >>"$GITHUB_PATH"

args=(http --detach)
[ -z "$INPUT_RELAY" ] || args+=("--relay=$INPUT_RELAY")
[ -z "$INPUT_NAME" ] || args+=("--name=$INPUT_NAME")
[ -z "$INPUT_WAIT" ] || args+=("--wait=$INPUT_WAIT")
args+=("$INPUT_TARGET")
[ -z "$INPUT_COMMAND" ] || args+=(-- bash --noprofile --norc -eo pipefail -c "$INPUT_COMMAND")
exec "$share" "${args[@]}"
