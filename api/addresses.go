package api

import (
	"net/http"
	"net/netip"

	"sluice/access"
)

// addressRule is one range of addresses that the API has put into a list.
type addressRule struct {
	List  string `json:"list"`
	Range string `json:"range"`
}

// writeRules lists the ranges that were added to a set; nil has none.
func writeRules(w http.ResponseWriter, set *access.Set) {
	rules := []addressRule{}
	for _, l := range access.Lists() {
		if set == nil {
			break
		}
		for _, p := range set.Added(l) {
			rules = append(rules, addressRule{l.String(), p.String()})
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Value []addressRule `json:"value"`
	}{rules})
}

// parseRule reads which list and range a call is about.
func parseRule(r *http.Request) (access.List, netip.Prefix, *problem) {
	l, ok := access.ParseList(r.PathValue("list"))
	if !ok {
		return 0, netip.Prefix{}, notFound(codeNotFound, "list", "the lists are allow, deny, shadow_allow and shadow_deny")
	}
	p, err := access.ParseRange(r.URL.Query().Get("range"))
	if err != nil {
		return 0, netip.Prefix{}, badRequest("range", "the parameter range: "+err.Error())
	}
	return l, p, nil
}

// addRule puts a range into a list: 201 where it is new.
func addRule(w http.ResponseWriter, r *http.Request, set *access.Set) *problem {
	l, p, problem := parseRule(r)
	if problem != nil {
		return problem
	}
	added, err := set.Add(l, p)
	switch {
	case err != nil:
		return fullOf(err)
	case added:
		writeJSON(w, http.StatusCreated, addressRule{l.String(), p.String()})
	default:
		writeJSON(w, http.StatusOK, addressRule{l.String(), p.String()})
	}
	return nil
}

func fullOf(err error) *problem {
	return &problem{status: http.StatusInsufficientStorage, Code: codeFull, Message: err.Error()}
}

// removeRule takes a range out again.
func removeRule(w http.ResponseWriter, r *http.Request, set *access.Set) *problem {
	l, p, problem := parseRule(r)
	if problem != nil {
		return problem
	}
	if set == nil || !set.Remove(l, p) {
		return notFound(codeNoRange, "range", "the API has not put this range into the list; those of the configuration and its files are changed there")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// The operations on the rules of one hub.

func listAddressRules(w http.ResponseWriter, c *call) *problem {
	writeRules(w, c.data.AddressRules(c.name, false))
	return nil
}

func addAddressRule(w http.ResponseWriter, c *call) *problem {
	return addRule(w, c.Request, c.data.AddressRules(c.name, true))
}

func removeAddressRule(w http.ResponseWriter, c *call) *problem {
	return removeRule(w, c.Request, c.data.AddressRules(c.name, false))
}
