package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"sluice/hub"
	"sluice/hub/filter"
)

// maxExcluded bounds the connections that one call leaves out by name.
const maxExcluded = 1000

// selection reads the parameters excluded, which may stand many times, and filter.
func (c *call) selection() (hub.Selection, *problem) {
	return selectionOf(c.query["excluded"], c.param("filter"))
}

func selectionOf(excluded []string, filter string) (hub.Selection, *problem) {
	s := hub.Selection{Excluded: excluded}
	if len(excluded) > maxExcluded {
		return s, badRequest("excluded", "names more than "+strconv.Itoa(maxExcluded)+" connections; use a filter")
	}
	var p *problem
	s.Match, p = match("filter", filter)
	return s, p
}

// match compiles a filter; nil for none.
func match(target, source string) (func(hub.Subject) bool, *problem) {
	if source == "" {
		return nil, nil
	}
	f, err := filter.Parse(source)
	if err != nil {
		return nil, badRequest(target, err.Error())
	}
	return func(s hub.Subject) bool { return f.Match(s) }, nil
}

// groupChange is the body of addToGroups and removeFromGroups.
type groupChange struct {
	Groups []string `json:"groups"`
	Filter string   `json:"filter"`
}

// maxGroupChange bounds the groups of one such call.
const maxGroupChange = 100

func (c *call) groupChange() (groups []string, _ func(hub.Subject) bool, _ *problem) {
	body, p := c.body()
	if p != nil {
		return nil, nil, p
	}
	var change groupChange
	if err := json.Unmarshal(body, &change); err != nil {
		return nil, nil, badRequest("body", `must be a JSON object with "groups", a list of names, and perhaps "filter"`)
	}
	if n := len(change.Groups); n == 0 || n > maxGroupChange {
		return nil, nil, badRequest("groups", "must be 1 to "+strconv.Itoa(maxGroupChange)+" names")
	}
	only, p := match("filter", change.Filter)
	return change.Groups, only, p
}

func addToGroups(w http.ResponseWriter, c *call) *problem {
	groups, only, p := c.groupChange()
	if p != nil {
		return p
	}
	return done(w, http.StatusOK, c.hub.AddToGroups(c.Context(), groups, only))
}

func removeFromGroups(w http.ResponseWriter, c *call) *problem {
	groups, only, p := c.groupChange()
	if p != nil {
		return p
	}
	return done(w, http.StatusOK, c.hub.RemoveFromGroups(c.Context(), groups, only))
}

// done answers an operation without a result.
func done(w http.ResponseWriter, status int, err error) *problem {
	if err != nil {
		return problemOf(err)
	}
	w.WriteHeader(status)
	return nil
}

// gone is done where a connection that does not exist is as good as one that
// has been dealt with.
func gone(w http.ResponseWriter, status int, err error) *problem {
	if errors.Is(err, hub.ErrNoConnection) {
		err = nil
	}
	return done(w, status, err)
}
