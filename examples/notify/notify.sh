#!/bin/sh
# Sends a text to all connections of a user: notify.sh USER TEXT
set -eu
user=$1 text=$2
api=${SLUICE_API:-http://127.0.0.1:8081}
token=$(sluice token --api --key "$SLUICE_KEY" --hub chat --ttl 1m)
curl --fail-with-body --silent --show-error \
    --header "Authorization: Bearer $token" \
    --header "Content-Type: text/plain" \
    --data-binary "$text" \
    "$api/api/hubs/chat/users/$user/:send"
