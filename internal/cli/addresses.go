package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

var addressesCommand = manageCommand{name: "addresses", help: "Says from which addresses clients may connect, to a hub or to any, until the node stops.", wholeNode: true, verbs: []verb{
	{"rules", "list the ranges that were added", "", func(c *apiClient, _ targets) error {
		return c.values(request{method: "GET", path: "/addressRules"}, func(v value) string { return v.List + "\t" + v.Range })
	}},
	{"add", "put a range into a list", "list range", func(c *apiClient, t targets) error {
		return c.done(addressRule("PUT", t), "added")
	}},
	{"remove", "take a range out again that was added", "list range", func(c *apiClient, t targets) error {
		return c.done(addressRule("DELETE", t), "removed")
	}},
	{"bans", "list the addresses that are banned, of the node", "", func(c *apiClient, _ targets) error {
		if c.hub != "" {
			return errWholeNode
		}
		return c.values(request{method: "GET", path: "/bans"}, func(v value) string {
			return v.Address + "\t" + time.Duration(v.Seconds*float64(time.Second)).Round(time.Second).String()
		})
	}},
	{"unban", "end the ban of an address", "address", func(c *apiClient, t targets) error {
		if c.hub != "" {
			return errWholeNode
		}
		return c.done(request{method: "DELETE", path: "/bans/" + t.escaped("address")}, "no longer banned")
	}},
}}

func addresses(env *Env, args []string) error { return addressesCommand.run(env, args) }

var errWholeNode = usageError{errors.New("bans are the node's: leave --hub out")}

func addressRule(method string, t targets) request {
	return request{method: method, path: "/addressRules/" + t.escaped("list"), query: url.Values{"range": {t.get("range")}}}
}

// value is one of a list of ranges or bans.
type value struct {
	List    string  `json:"list,omitempty"`
	Range   string  `json:"range,omitempty"`
	Address string  `json:"address,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// values prints a list, one a line or as JSON.
func (c *apiClient) values(r request, line func(value) string) error {
	body, err := c.call(r)
	if err != nil {
		return err
	}
	var list struct{ Value []value }
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("the answer of the node is no list: %w", err)
	}
	if c.json {
		return c.print(list.Value)
	}
	for _, v := range list.Value {
		fmt.Fprintln(c.env.Stdout, line(v))
	}
	return nil
}
