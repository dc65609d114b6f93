#!/bin/sh
# Starts a server, opens $CONNECTIONS clients that are authenticated and in one
# group, holds them for three rounds of heartbeats, sends one message to all of
# them, closes them and looks at what is left.
#
#	load.sh path/to/sluice targets.yaml
set -u
: "${LISTEN:=127.0.0.1:18080}" "${OPS:=127.0.0.1:18081}" "${ROUNDS:=3}" "${SETTLE:=5m}"
key=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
"$1" serve --dev --key "$key" --listen "$LISTEN" --ops "$OPS" --set log.level=warn \
	--set engine.heartbeat_interval="$HEARTBEAT" --set engine.pong_timeout="$PATIENCE" \
	--set engine.handshake_timeout="$PATIENCE" --set engine.close_timeout="$PATIENCE" --set engine.linger_timeout="$PATIENCE" \
	>/dev/null &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do # until it listens
	"$1" bench idle --url "ws://$LISTEN" --key "$key" --connections 1 --hold 0s >/dev/null 2>&1 && break
	sleep 1
done
"$1" bench idle --url "ws://$LISTEN" --ops "$OPS" --key "$key" --server-pid "$server" \
	--connections "$CONNECTIONS" --rounds "$ROUNDS" --hold 6h --broadcast --settle "$SETTLE" --patience "$PATIENCE" --targets "$2" 2>errors
status=$?
cat errors # through a file, or a console would get the progress that a terminal does
rm errors
kill "$server"
if [ "$status" = 0 ]; then
	echo "capacity: passed"
else
	echo "capacity: FAILED"
fi
exit "$status"
