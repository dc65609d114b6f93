package sse

import (
	"net/http"
	"net/url"
	"strings"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/internal/cors"
)

// ServeHTTP answers GET /sse/hubs/{hub} with a stream that lasts until the client
// goes, its token expires, or a service, the node or a limit ends it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // addresses may hold tokens
	name, refusal := route(r.URL)
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	if origin := r.Header.Get("Origin"); len(r.Header["Origin"]) > 1 || origin != "" && !s.options.AllowOrigin(name, origin, r.Host) {
		s.refuse(w, &engine.Refusal{Status: http.StatusForbidden, Label: "origin_denied",
			Reason: "pages of this origin may not connect; the configuration keys are auth.origins and hub.hubs.NAME.origins"})
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodOptions {
		h.Set("Allow", "GET, OPTIONS")
		s.refuse(w, &engine.Refusal{Status: http.StatusMethodNotAllowed, Label: "method", Reason: "a stream is had with GET"})
		return
	}
	if cors.Preflight(w, r, http.MethodGet) {
		return
	}
	cors.Allow(w, r)
	s.serve(w, r, name)
}

// route finds the hub's name in the address.
func route(u *url.URL) (name string, _ *engine.Refusal) {
	name, ok := strings.CutPrefix(u.Path, Prefix)
	if !ok || strings.Contains(strings.ToLower(u.RawPath), "%2f") { // a proxy that guards a path does not take it for a slash
		return "", &engine.Refusal{Status: http.StatusNotFound, Label: "unknown_path", Reason: "streams are at " + Prefix + "{hub}"}
	}
	if !auth.ValidHub(name) {
		return "", &engine.Refusal{Status: http.StatusBadRequest, Label: "invalid_hub", Reason: "the address names no valid hub; streams are at " + Prefix + "{hub}"}
	}
	return name, nil
}

// The parameters of a stream, and the header that says the same as the last one and
// counts more: browsers send it when they come back, to the same address.
const (
	paramGroup       = "group"
	paramLastEventID = "lastEventId"
	headerLastID     = "Last-Event-ID"
)

// wish reads what a client wants to hear. over means that it was told not to come
// back.
func wish(r *http.Request) (l hub.Listening, over bool, _ *engine.Refusal) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return l, false, &engine.Refusal{Status: http.StatusBadRequest, Label: "mode", Reason: "the query is not well formed"}
	}
	l = hub.Listening{Groups: q[paramGroup], MaxPlaces: maxPlaces}
	for _, g := range l.Groups {
		if !auth.ValidGroup(g) {
			return l, false, &engine.Refusal{Status: http.StatusBadRequest, Label: "invalid_group", Reason: "a parameter group names no valid group"}
		}
	}
	id := r.Header.Get(headerLastID)
	if id == "" {
		id = q.Get(paramLastEventID)
	}
	l.Returns, l.After = id != "", parseID(id)
	return l, id == idOver, nil
}

// serve opens a stream and keeps it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, name string) {
	l, over, refusal := wish(r)
	if over {
		s.options.Refused("stream_over")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent) // the standard's way to have a browser stop
		return
	}
	if refusal == nil && r.ContentLength != 0 {
		refusal = &engine.Refusal{Status: http.StatusRequestEntityTooLarge, Label: "malformed", Reason: "a body is not expected"}
	}
	var a Admission
	if refusal == nil {
		a, refusal = s.admit(r, name, l.Groups)
	}
	leave := func() {}
	if refusal == nil {
		leave, refusal = s.options.Enter(r)
	}
	var n *stream
	if refusal == nil {
		defer leave()
		n, refusal = s.create(name)
	}
	if refusal != nil {
		s.refuse(w, refusal)
		return
	}
	defer n.end()
	o := n.open(a, l)
	out := newWriter(s, w)
	defer out.forget()
	if o.refusal == nil && !out.remember(o.past) {
		o.refusal = later("stream_limit", "too much of histories waits for slow clients")
	}
	if o.refusal != nil {
		s.refuse(w, o.refusal)
		return
	}
	out.run(r.Context(), n, &o)
}

// admit judges the client, and whether it may hear the groups it names.
func (s *Server) admit(r *http.Request, name string, groups []string) (Admission, *engine.Refusal) {
	a, refusal := s.options.Admit(r, name)
	if refusal != nil {
		return a, refusal
	}
	if a.Listen == nil {
		return a, &engine.Refusal{Status: http.StatusBadRequest, Label: "mode", Reason: "a stream is no reliable session to come back to; the way back is Last-Event-ID"}
	}
	for _, g := range groups {
		if !a.Permissions.Allowed(auth.JoinLeaveGroup, []byte(g)) {
			return a, &engine.Refusal{Status: http.StatusForbidden, Label: "group_forbidden", Reason: "no role allows to join one of the groups"}
		}
	}
	return a, nil
}

// refuse answers a client that is not let in. EventSource does not try again after
// any of these.
func (s *Server) refuse(w http.ResponseWriter, refusal *engine.Refusal) {
	s.options.Refused(refusal.Label)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close") // there are few of these, see engine.max_http_connections
	refusal.Serve(w)
}
