package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
)

// The query parameters that say what a client without a subprotocol wants to do
// with its messages. Published clients know the first one by another name.
const (
	paramMode       = "mode"
	paramModeCompat = "webpubsub_mode"
	paramGroup      = "group"
	paramNoEcho     = "noEcho"
)

// parseMode returns the group to which a raw client publishes, nil when its
// messages are events. The parameters are judged for every client, as they are
// by the services that published clients know, and mean something for raw ones
// only. Of a parameter that stands there several times, the last one counts.
func parseMode(u *url.URL, compat bool) (*hub.Pipe, *engine.Refusal) {
	if u.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badMode("the query is not well formed")
	}
	mode := last(q, paramMode)
	if mode == "" && compat {
		mode = last(q, paramModeCompat)
	}
	switch {
	case mode == "", strings.EqualFold(mode, "sendEvent"):
		return nil, nil
	case !strings.EqualFold(mode, "sendToGroup"):
		return nil, badMode("the parameter mode is neither sendEvent nor sendToGroup")
	}
	// Cloned: the string may be a piece of the request.
	p := &hub.Pipe{Group: strings.Clone(last(q, paramGroup))}
	if !auth.ValidGroup(p.Group) {
		return nil, badMode("the parameter group must name a group where mode is sendToGroup")
	}
	switch noEcho := last(q, paramNoEcho); {
	case noEcho == "", strings.EqualFold(noEcho, "false"):
	case strings.EqualFold(noEcho, "true"):
		p.NoEcho = true
	default:
		return nil, badMode("the parameter noEcho is neither true nor false")
	}
	return p, nil
}

func last(q url.Values, key string) string {
	values := q[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func badMode(reason string) *engine.Refusal {
	return &engine.Refusal{Status: http.StatusBadRequest, Label: "mode", Reason: reason}
}
