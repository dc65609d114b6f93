package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// manageCommand is a command with verbs, each of which is one call of the HTTP API.
type manageCommand struct {
	name, help string
	verbs      []verb
	wholeNode  bool // see apiClient
}

// verb is what a manageCommand can do.
type verb struct {
	name, help string
	flags      string // of targetFlags: all required, but one of a|b, and none with a ? behind
	run        func(c *apiClient, t targets) error
}

// targets are the values of the flags that a verb has named.
type targets map[string]*string

func (t targets) get(name string) string { return *t[name] }

// escaped returns a value as a segment of a path.
func (t targets) escaped(name string) string { return url.PathEscape(*t[name]) }

// targetFlags are the help texts.
var targetFlags = map[string]string{
	"address":    "the `address`",
	"connection": "the `id` of the connection",
	"group":      "the `name` of the group",
	"list":       "the `list`: allow, deny, shadow_allow or shadow_deny",
	"permission": "the `permission`, joinLeaveGroup or sendToGroup",
	"range":      "a `range` of addresses, such as 192.0.2.0/24, or a single address",
	"reason":     "what the clients are told, at most 123 bytes",
	"user":       "the `id` of the user",
}

var groupsCommand = manageCommand{name: "groups", help: "Lists and changes who is in a group.", verbs: []verb{
	{"members", "list the connections in a group", "group", func(c *apiClient, t targets) error {
		return c.list("/groups/" + t.escaped("group") + "/connections")
	}},
	{"presence", "list who is in a group with the states they have set", "group", func(c *apiClient, t targets) error {
		return c.list("/groups/" + t.escaped("group") + "/presence")
	}},
	{"add", "put a connection, or the present ones of a user, into a group", "group connection|user", func(c *apiClient, t targets) error {
		return c.done(request{method: "PUT", path: memberPath(t)}, "added")
	}},
	{"remove", "take a connection, or those of a user, out of a group", "group connection|user", func(c *apiClient, t targets) error {
		return c.done(request{method: "DELETE", path: memberPath(t)}, "removed")
	}},
}}

// memberPath is the address of a membership.
func memberPath(t targets) string {
	if t.get("user") != "" {
		return "/users/" + t.escaped("user") + "/groups/" + t.escaped("group")
	}
	return "/groups/" + t.escaped("group") + "/connections/" + t.escaped("connection")
}

var usersCommand = manageCommand{name: "users", help: "Lists and changes what is about a user.", verbs: []verb{
	{"connections", "list the connections of a user", "user", func(c *apiClient, t targets) error {
		return c.list("/users/" + t.escaped("user") + "/connections")
	}},
	{"leave", "take the connections of a user out of all groups", "user", func(c *apiClient, t targets) error {
		return c.done(request{method: "DELETE", path: "/users/" + t.escaped("user") + "/groups"}, "removed")
	}},
	{"revoke", "refuse the tokens that a user has now, and end the connections", "user reason?", func(c *apiClient, t targets) error {
		return revokeUser(c, t.get("user"), t.get("reason"))
	}},
}}

var connectionsCommand = manageCommand{name: "connections", help: "Asks about and changes one connection.", verbs: []verb{
	{"exists", "ask whether it is open; exit status 1 if not", "connection", func(c *apiClient, t targets) error {
		return c.done(request{method: "HEAD", path: "/connections/" + t.escaped("connection")}, "open")
	}},
	{"leave", "take it out of all groups", "connection", func(c *apiClient, t targets) error {
		return c.done(request{method: "DELETE", path: "/connections/" + t.escaped("connection") + "/groups"}, "removed")
	}},
	{"grant", "allow it something for a group", "connection permission group", func(c *apiClient, t targets) error {
		return c.done(permission("PUT", t), "granted")
	}},
	{"deny", "forbid it something for a group, whatever its roles allow", "connection permission group", func(c *apiClient, t targets) error {
		return c.done(permission("DELETE", t), "denied")
	}},
	{"allowed", "ask whether it may do something in a group; exit status 1 if not", "connection permission group", func(c *apiClient, t targets) error {
		return c.done(permission("HEAD", t), "allowed")
	}},
}}

func permission(method string, t targets) request {
	return request{
		method: method,
		path:   "/permissions/" + t.escaped("permission") + "/connections/" + t.escaped("connection"),
		query:  url.Values{"targetName": {t.get("group")}},
	}
}

func groups(env *Env, args []string) error      { return groupsCommand.run(env, args) }
func users(env *Env, args []string) error       { return usersCommand.run(env, args) }
func connections(env *Env, args []string) error { return connectionsCommand.run(env, args) }

func (m *manageCommand) run(env *Env, args []string) error {
	if len(args) == 0 {
		m.usage(env.Stderr)
		return usageError{errors.New("what is to be done?")}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		m.usage(env.Stdout)
		return nil
	}
	for _, v := range m.verbs {
		if v.name == args[0] {
			return v.do(&apiClient{env: env, wholeNode: m.wholeNode}, "sluice "+m.name+" "+v.name, args[1:])
		}
	}
	return usageError{fmt.Errorf("there is no %q; `sluice %s help` lists what there is", args[0], m.name)}
}

func (m *manageCommand) usage(w io.Writer) {
	flags := "--hub HUB [flags]"
	if m.wholeNode {
		flags = "[--hub HUB] [flags]"
	}
	fmt.Fprintf(w, "%s\n\nusage: sluice %s VERB %s\n\n", m.help, m.name, flags)
	for _, v := range m.verbs {
		fmt.Fprintf(w, "  %-11s %s\n", v.name, v.help)
	}
	fmt.Fprintf(w, "\n`sluice %s VERB --help` tells the flags of one.\n", m.name)
}

// do parses the flags of a verb and runs it.
func (v *verb) do(c *apiClient, name string, args []string) error {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	c.register(fs)
	t := targets{}
	for _, name := range strings.FieldsFunc(v.flags, func(r rune) bool { return strings.ContainsRune(" |?", r) }) {
		t[name] = fs.String(name, "", targetFlags[name])
	}
	if err := parseFlags(c.env, fs, args); err != nil {
		return err
	}
	for flags := range strings.FieldsSeq(v.flags) {
		if strings.HasSuffix(flags, "?") {
			continue
		}
		if err := t.one(strings.Split(flags, "|")); err != nil {
			return usageError{err}
		}
	}
	if err := c.check(); err != nil {
		return err
	}
	return noted(v.run(c, t))
}

// one checks that exactly one of the flags is given.
func (t targets) one(names []string) error {
	n := 0
	for _, name := range names {
		if t.get(name) != "" {
			n++
		}
	}
	alternatives := "--" + strings.Join(names, " or --")
	switch {
	case n == 0:
		return errors.New(alternatives + " is missing")
	case n > 1:
		return errors.New("give one of " + alternatives)
	}
	return nil
}

// noted says what is not there in words: an answer to HEAD has none.
func noted(err error) error {
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.status != http.StatusNotFound {
		return err
	}
	switch e.code {
	case "Info.Connection.NotExisted":
		return errors.New("there is no such connection")
	case "Info.Permission.NotExisted":
		return errors.New("the connection may not do this, or does not exist")
	}
	return err
}
