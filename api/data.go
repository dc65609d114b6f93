package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/auth"
)

// versions are the values of api-version that are served: the operations are
// the same in all of them, later ones only add some.
var versions = []string{"2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"}

// call is one request of the data plane whose token has been checked.
type call struct {
	*http.Request
	data  *Data
	hub   Backend
	name  string     // of the hub
	query url.Values // of the URL

	// spend uses up the token of the call, if it is good once; nil if it is not.
	spend func(body []byte) error

	// Of Context; nil until it is asked for.
	ctx    context.Context
	cancel context.CancelFunc
}

// Context returns the context in which the call waits for the event loops. It is
// made for the first who asks: most calls send, and wait for nothing.
func (c *call) Context() context.Context {
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithTimeout(c.Request.Context(), callTimeout)
	}
	return c.ctx
}

// release lets go of the context.
func (c *call) release() {
	if c.cancel != nil {
		c.cancel()
	}
}

// param returns the first value of a parameter of the URL.
func (c *call) param(name string) string { return c.query.Get(name) }

// operation does what a call asks for and answers it, or returns why not.
type operation func(w http.ResponseWriter, c *call) *problem

// NewData returns the data plane, the HTTP API with which back ends send
// messages and manage connections, groups and permissions. docs/api.md lists the
// operations.
func NewData(d Data) http.Handler {
	d.sends = newIdempotency()
	d.calls = newCallRates(d.MaxCallsPerSecond, time.Now)
	mux := http.NewServeMux()
	for _, o := range operations {
		mux.Handle(o.route, d.serve(o.name, o.do))
	}
	handleOpenAPI(mux)
	mux.HandleFunc("HEAD /api/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		notFound(codeNotFound, "", "there is no operation "+r.Method+" at this path; docs/api.md lists them").write(w)
	})
	return mux
}

// operations are all of them.
var operations = []struct {
	name  string // in metrics
	route string
	do    operation
}{
	{"generate_token", "POST /api/hubs/{hub}/:generateToken", generateToken},
	{"create_ticket", "POST /api/hubs/{hub}/:createTicket", createTicket},
	{"send_to_all", "POST /api/hubs/{hub}/:send", sendToAll},
	{"send_to_user", "POST /api/hubs/{hub}/users/{user}/:send", sendToUser},
	{"send_to_group", "POST /api/hubs/{hub}/groups/{group}/:send", sendToGroup},
	{"send_to_connection", "POST /api/hubs/{hub}/connections/{id}/:send", sendToConnection},
	{"send_many", "POST /api/hubs/{hub}/:sendMany", sendMany},
	{"close_all", "POST /api/hubs/{hub}/:closeConnections", closeAll},
	{"close_user", "POST /api/hubs/{hub}/users/{user}/:closeConnections", closeUser},
	{"close_group", "POST /api/hubs/{hub}/groups/{group}/:closeConnections", closeGroup},
	{"close_connection", "DELETE /api/hubs/{hub}/connections/{id}", closeConnection},
	{"has_connection", "HEAD /api/hubs/{hub}/connections/{id}", hasConnection},
	{"has_user", "HEAD /api/hubs/{hub}/users/{user}", hasUser},
	{"has_group", "HEAD /api/hubs/{hub}/groups/{group}", hasGroup},
	{"list_user", "GET /api/hubs/{hub}/users/{user}/connections", userConnections},
	{"list_group", "GET /api/hubs/{hub}/groups/{group}/connections", groupConnections},
	{"presence", "GET /api/hubs/{hub}/groups/{group}/presence", groupPresence},
	{"history", "GET /api/hubs/{hub}/groups/{group}/history", groupHistory},
	{"add_connection", "PUT /api/hubs/{hub}/groups/{group}/connections/{id}", addConnection},
	{"remove_connection", "DELETE /api/hubs/{hub}/groups/{group}/connections/{id}", removeConnection},
	{"remove_connection_from_all", "DELETE /api/hubs/{hub}/connections/{id}/groups", removeConnectionFromAll},
	{"add_user", "PUT /api/hubs/{hub}/users/{user}/groups/{group}", addUser},
	{"remove_user", "DELETE /api/hubs/{hub}/users/{user}/groups/{group}", removeUser},
	{"remove_user_from_all", "DELETE /api/hubs/{hub}/users/{user}/groups", removeUserFromAll},
	{"add_to_groups", "POST /api/hubs/{hub}/:addToGroups", addToGroups},
	{"remove_from_groups", "POST /api/hubs/{hub}/:removeFromGroups", removeFromGroups},
	{"list_address_rules", "GET /api/hubs/{hub}/addressRules", listAddressRules},
	{"add_address_rule", "PUT /api/hubs/{hub}/addressRules/{list}", addAddressRule},
	{"remove_address_rule", "DELETE /api/hubs/{hub}/addressRules/{list}", removeAddressRule},
	{"revoke_tokens", "POST /api/hubs/{hub}/:revoke", revokeTokens},
	{"grant", "PUT /api/hubs/{hub}/permissions/{permission}/connections/{id}", grant},
	{"revoke", "DELETE /api/hubs/{hub}/permissions/{permission}/connections/{id}", revoke},
	{"allowed", "HEAD /api/hubs/{hub}/permissions/{permission}/connections/{id}", allowed},
}

// Operations returns the names of all operations, as Data.Observe is told them.
func Operations() []string {
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = o.name
	}
	return names
}

// serve checks what is the same for all operations: version, hub, token.
func (d *Data) serve(name string, do operation) http.Handler {
	return http.HandlerFunc(func(plain http.ResponseWriter, r *http.Request) {
		w := &answer{ResponseWriter: plain}
		if d.Observe != nil {
			start := time.Now()
			defer func() { d.Observe(name, w.status, time.Since(start)) }()
		}
		h := w.Header()
		h["Api-Supported-Versions"], h["Cache-Control"] = headerVersions, headerNoStore
		c, p := d.open(r)
		if p == nil {
			defer c.release()
			c.Body = http.MaxBytesReader(plain, c.Body, d.MaxBody)
			if p = c.spendToken(); p == nil {
				p = do(w, c)
			}
		}
		if p != nil {
			p.write(w)
		}
	})
}

// The values of headers that are the same in all answers; nobody changes them.
var (
	headerVersions = []string{strings.Join(versions, ", ")}
	headerNoStore  = []string{"no-store"}
)

// callTimeout is how long a call waits for the event loops: an answer that comes
// later finds nobody.
const callTimeout = 10 * time.Second

// answer remembers the status that it is given; 0 when none was.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// open checks a request up to its hub. The token comes before the hub: whether
// one exists is nobody's business without.
func (d *Data) open(r *http.Request) (*call, *problem) {
	name := r.PathValue("hub")
	if !auth.ValidHub(name) {
		return nil, badRequest("hub", "the path names no valid hub: a letter, then at most 127 letters, digits and _ ` , . [ ]")
	}
	spend, err := d.Authorize(r, name)
	if err != nil {
		return nil, refusedOf(err)
	}
	query := r.URL.Query()
	if v := query.Get("api-version"); v != "" && !slices.Contains(versions, v) {
		return nil, badRequest("api-version", "this version is not served; served are "+strings.Join(versions, ", "))
	}
	h, ok := d.Hub(name)
	if !ok {
		return nil, notFound(codeNotFound, "hub", "there is no such hub; declare it below hub.hubs in the configuration")
	}
	if !d.calls.admit(name) {
		return nil, later(http.StatusTooManyRequests, codeTooMany, "more calls about the hub than api.max_calls_per_second; try again later")
	}
	return &call{Request: r, data: d, hub: h, name: name, query: query, spend: spend}, nil
}

// spendToken uses up the token of a call about a hub that takes each once: last of
// all that is checked before the operation, so that a call that is refused for its
// rate can be tried again as it is.
func (c *call) spendToken() *problem {
	if c.spend == nil {
		return nil
	}
	body, p := c.body()
	if p != nil {
		return p
	}
	if err := c.spend(body); err != nil {
		return refusedOf(err)
	}
	// The operation reads it again.
	c.Body, c.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}
