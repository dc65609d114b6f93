package api

import (
	"net/http"
	"slices"
	"strings"

	"sluice/auth"
)

// versions are the values of api-version that are served: the operations are
// the same in all of them, later ones only add some.
var versions = []string{"2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"}

// call is one request of the data plane whose token has been checked.
type call struct {
	*http.Request
	data *Data
	hub  Backend
	name string // of the hub
}

// operation does what a call asks for and answers it, or returns why not.
type operation func(w http.ResponseWriter, c *call) *problem

// NewData returns the data plane, the HTTP API with which back ends send
// messages and manage connections, groups and permissions. docs/api.md lists the
// operations.
func NewData(d Data) http.Handler {
	mux := http.NewServeMux()
	for route, op := range operations {
		mux.Handle(route, d.serve(op))
	}
	mux.HandleFunc("HEAD /api/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		notFound(codeNotFound, "", "there is no operation "+r.Method+" at this path; docs/api.md lists them").write(w)
	})
	return mux
}

// operations are all of them by method and path.
var operations = map[string]operation{
	"POST /api/hubs/{hub}/:generateToken":                              generateToken,
	"POST /api/hubs/{hub}/:send":                                       sendToAll,
	"POST /api/hubs/{hub}/users/{user}/:send":                          sendToUser,
	"POST /api/hubs/{hub}/groups/{group}/:send":                        sendToGroup,
	"POST /api/hubs/{hub}/connections/{id}/:send":                      sendToConnection,
	"POST /api/hubs/{hub}/:closeConnections":                           closeAll,
	"POST /api/hubs/{hub}/users/{user}/:closeConnections":              closeUser,
	"POST /api/hubs/{hub}/groups/{group}/:closeConnections":            closeGroup,
	"DELETE /api/hubs/{hub}/connections/{id}":                          closeConnection,
	"HEAD /api/hubs/{hub}/connections/{id}":                            hasConnection,
	"HEAD /api/hubs/{hub}/users/{user}":                                hasUser,
	"HEAD /api/hubs/{hub}/groups/{group}":                              hasGroup,
	"GET /api/hubs/{hub}/users/{user}/connections":                     userConnections,
	"GET /api/hubs/{hub}/groups/{group}/connections":                   groupConnections,
	"PUT /api/hubs/{hub}/groups/{group}/connections/{id}":              addConnection,
	"DELETE /api/hubs/{hub}/groups/{group}/connections/{id}":           removeConnection,
	"DELETE /api/hubs/{hub}/connections/{id}/groups":                   removeConnectionFromAll,
	"PUT /api/hubs/{hub}/users/{user}/groups/{group}":                  addUser,
	"DELETE /api/hubs/{hub}/users/{user}/groups/{group}":               removeUser,
	"DELETE /api/hubs/{hub}/users/{user}/groups":                       removeUserFromAll,
	"POST /api/hubs/{hub}/:addToGroups":                                addToGroups,
	"POST /api/hubs/{hub}/:removeFromGroups":                           removeFromGroups,
	"PUT /api/hubs/{hub}/permissions/{permission}/connections/{id}":    grant,
	"DELETE /api/hubs/{hub}/permissions/{permission}/connections/{id}": revoke,
	"HEAD /api/hubs/{hub}/permissions/{permission}/connections/{id}":   allowed,
}

// serve checks what is the same for all operations: version, hub, token.
func (d *Data) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Supported-Versions", strings.Join(versions, ", "))
		w.Header().Set("Cache-Control", "no-store")
		c, p := d.open(r)
		if p == nil {
			r.Body = http.MaxBytesReader(w, r.Body, d.MaxBody)
			p = op(w, c)
		}
		if p != nil {
			p.write(w)
		}
	})
}

// open checks a request up to its hub. The token comes before the hub: whether
// one exists is nobody's business without.
func (d *Data) open(r *http.Request) (*call, *problem) {
	name := r.PathValue("hub")
	if !auth.ValidHub(name) {
		return nil, badRequest("hub", "the path names no valid hub: a letter, then at most 127 letters, digits and _ ` , . [ ]")
	}
	if err := d.Authorize(r, name); err != nil {
		return nil, refusedOf(err)
	}
	if v := r.URL.Query().Get("api-version"); v != "" && !slices.Contains(versions, v) {
		return nil, badRequest("api-version", "this version is not served; served are "+strings.Join(versions, ", "))
	}
	h, ok := d.Hub(name)
	if !ok {
		return nil, notFound(codeNotFound, "hub", "there is no such hub; declare it below hub.hubs in the configuration")
	}
	return &call{Request: r, data: d, hub: h, name: name}, nil
}
