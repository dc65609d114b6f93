package auth

import (
	"net/url"
	"strings"
)

// audience decides whether a token was made for a hub, by its aud claim: the
// URL {endpoint}/client/hubs/{hub}.
type audience struct {
	endpoints []origin // empty: any
}

const hubPath = "/client/hubs/"

// admits reports whether one of the URLs names the hub at one of the endpoints.
// Case does not matter, and a query is ignored. Without configured endpoints
// the path alone is enough, so that a token can be made without knowing the
// address of the node.
func (a audience) admits(urls []string, hub string) bool {
	for _, u := range urls {
		if a.admitsOne(u, hub) {
			return true
		}
	}
	return false
}

func (a audience) admitsOne(u, hub string) bool {
	path, ok := a.path(u)
	return ok && len(path) > len(hubPath) && strings.EqualFold(path[:len(hubPath)], hubPath) &&
		sameHub(path[len(hubPath):], hub)
}

// path returns the path, without the query, of a URL that is at one of the
// endpoints; of one that is only a path, where there are none.
func (a audience) path(u string) (path string, ok bool) {
	path = u
	if !strings.HasPrefix(u, "/") {
		endpoint, rest, err := cutOrigin(u)
		if err != nil || !a.admitsEndpoint(endpoint) {
			return "", false
		}
		path = rest
	} else if len(a.endpoints) > 0 {
		return "", false
	}
	path, _, _ = strings.Cut(path, "?")
	return path, true
}

func (a audience) admitsEndpoint(o origin) bool {
	for _, e := range a.endpoints {
		if e.equal(o) {
			return true
		}
	}
	return len(a.endpoints) == 0
}

// sameHub compares the last segment of a path, percent-encoded or not, with a
// hub's name.
func sameHub(segment, hub string) bool {
	name, err := url.PathUnescape(segment)
	return err == nil && ValidHub(name) && strings.EqualFold(name, hub)
}
