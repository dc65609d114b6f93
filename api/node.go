package api

import (
	"net/http"
	"net/netip"
	"time"

	"sluice/access"
)

// Node is what the calls about the node as a whole work on. Its functions are
// called once for each request, from any goroutine.
type Node struct {
	// Authorize checks the token of a call. The error is an *auth.Refusal.
	Authorize func(r *http.Request) error

	// Guard has the rules for the addresses of all hubs, and the bans.
	Guard *access.Guard

	// Observe is Data.Observe for NodeOperations.
	Observe func(operation string, status int, took time.Duration)
}

// nodeOperations are the calls about the node.
var nodeOperations = []struct {
	name  string // in metrics
	route string
	do    func(n *Node, w http.ResponseWriter, r *http.Request) *problem
}{
	{"list_node_address_rules", "GET /api/node/addressRules", func(n *Node, w http.ResponseWriter, _ *http.Request) *problem {
		writeRules(w, n.Guard.Rules())
		return nil
	}},
	{"add_node_address_rule", "PUT /api/node/addressRules/{list}", func(n *Node, w http.ResponseWriter, r *http.Request) *problem {
		return addRule(w, r, n.Guard.Rules())
	}},
	{"remove_node_address_rule", "DELETE /api/node/addressRules/{list}", func(n *Node, w http.ResponseWriter, r *http.Request) *problem {
		return removeRule(w, r, n.Guard.Rules())
	}},
	{"list_bans", "GET /api/node/bans", listBans},
	{"end_ban", "DELETE /api/node/bans/{address}", endBan},
}

// NodeOperations returns the names of the operations of NewNode.
func NodeOperations() []string {
	names := make([]string, len(nodeOperations))
	for i, o := range nodeOperations {
		names[i] = o.name
	}
	return names
}

// NewNode returns the calls below /api/node/, which concern all hubs: they belong on
// the operations listener only.
func NewNode(n Node) http.Handler {
	mux := http.NewServeMux()
	for _, o := range nodeOperations {
		mux.Handle(o.route, n.serve(o.name, o.do))
	}
	mux.HandleFunc("/api/node/", func(w http.ResponseWriter, r *http.Request) {
		notFound(codeNotFound, "", "there is no operation "+r.Method+" at this path; docs/api.md lists them").write(w)
	})
	return mux
}

func (n *Node) serve(name string, do func(*Node, http.ResponseWriter, *http.Request) *problem) http.Handler {
	return http.HandlerFunc(func(plain http.ResponseWriter, r *http.Request) {
		w := &answer{ResponseWriter: plain}
		start := time.Now()
		defer func() { n.Observe(name, w.status, time.Since(start)) }()
		w.Header()["Cache-Control"] = headerNoStore
		var p *problem
		if err := n.Authorize(r); err != nil {
			p = refusedOf(err)
		} else {
			p = do(n, w, r)
		}
		if p != nil {
			p.write(w)
		}
	})
}

// maxBans is how many bans are listed at the most.
const maxBans = 1000

// ban is an address that is banned.
type ban struct {
	Address string  `json:"address"`
	Seconds float64 `json:"seconds"` // left
}

func listBans(n *Node, w http.ResponseWriter, _ *http.Request) *problem {
	list := []ban{}
	for _, b := range n.Guard.Bans(maxBans) {
		list = append(list, ban{b.Address.String(), b.Left.Seconds()})
	}
	writeJSON(w, http.StatusOK, struct {
		Value []ban `json:"value"`
	}{list})
	return nil
}

func endBan(n *Node, w http.ResponseWriter, r *http.Request) *problem {
	a, err := netip.ParseAddr(r.PathValue("address"))
	if err != nil {
		return badRequest("address", "the path does not end with an address")
	}
	if !n.Guard.Pardon(a) {
		return notFound(codeNoBan, "address", "this address is not banned")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
