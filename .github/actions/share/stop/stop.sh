#!/usr/bin/env bash
# Stops what the action share has started under a name. One that has ended by
# itself, as by SHARE_TTL, is no failure.
set -euo pipefail

[ -n "$INPUT_NAME" ] || exit 0

share=$RUNNER_TEMP/share/bin/share
agents=$("$share" ls --json)
if ! grep -qF "\"name\": \"$INPUT_NAME\"," <<<"$agents"; then
	echo 'share has ended before'
	exit 0
fi

# Visitors say what stands in the log: the runner is not to take it for commands.
resume=$RANDOM$RANDOM$RANDOM$RANDOM$RANDOM
printf '::group::share logs\n::stop-commands::%s\n' "$resume"
"$share" logs "$INPUT_NAME" || true # it may end meanwhile
printf '::%s::\n::endgroup::\n' "$resume"
exec "$share" stop "$INPUT_NAME"
