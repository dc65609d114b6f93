#!/bin/sh
# Starts a server, opens $CONNECTIONS clients that are authenticated and in one
# group, holds them for three rounds of heartbeats, sends one message to all of
# them, closes them and looks at what is left.
#
#	load.sh path/to/sluice targets.yaml
set -u
key=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
"$1" serve --dev --key "$key" --listen 127.0.0.1:18080 --ops 127.0.0.1:18081 --set log.level=warn \
	--set engine.heartbeat_interval="$HEARTBEAT" --set engine.pong_timeout="$PATIENCE" \
	--set engine.handshake_timeout="$PATIENCE" --set engine.close_timeout="$PATIENCE" --set engine.linger_timeout="$PATIENCE" \
	>/dev/null &
server=$!
sleep 2
"$1" bench idle --url ws://127.0.0.1:18080 --ops 127.0.0.1:18081 --key "$key" --server-pid "$server" \
	--connections "$CONNECTIONS" --rounds 3 --hold 6h --broadcast --settle 5m --patience "$PATIENCE" --targets "$2" 2>errors
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
