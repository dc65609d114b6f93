package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// recipients are the flags that say to whom a message goes, or whose connections are
// ended.
type recipients struct {
	all                     bool
	group, user, connection string
	filter                  string
	exclude                 list
}

func (r *recipients) register(fs *flag.FlagSet) {
	fs.BoolVar(&r.all, "all", false, "every connection of the hub")
	fs.StringVar(&r.group, "group", "", "the connections in the group of this `name`")
	fs.StringVar(&r.user, "user", "", "the connections of the user with this `id`")
	fs.StringVar(&r.connection, "connection", "", "the connection with this `id`")
	fs.StringVar(&r.filter, "filter", "", "only connections of which this `expression` is true, such as \"userId ne 'bob'\"; see docs/api.md")
	fs.Var(&r.exclude, "exclude", "leave out the connection with this `id`; may be repeated")
}

// path returns where the calls about them go, "" for all of the hub, and the
// parameters.
func (r *recipients) path() (string, url.Values, error) {
	var paths []string
	if r.all {
		paths = append(paths, "")
	}
	for _, p := range []struct{ kind, name string }{{"groups", r.group}, {"users", r.user}, {"connections", r.connection}} {
		if p.name != "" {
			paths = append(paths, "/"+p.kind+"/"+url.PathEscape(p.name))
		}
	}
	if len(paths) != 1 {
		return "", nil, usageError{errors.New("give one of --all, --group, --user and --connection")}
	}
	if r.connection != "" && (r.filter != "" || len(r.exclude) > 0) {
		return "", nil, usageError{errors.New("--filter and --exclude are not for one connection")}
	}
	query := url.Values{}
	if r.filter != "" {
		query.Set("filter", r.filter)
	}
	for _, id := range r.exclude {
		query.Add("excluded", id)
	}
	return paths[0], query, nil
}

// message are the flags that say what is sent.
type message struct {
	text, file, dataType string
	ttl                  time.Duration
	conflationKey        string
}

func (m *message) register(fs *flag.FlagSet) {
	fs.StringVar(&m.text, "data", "", "the `message`")
	fs.StringVar(&m.file, "file", "", "read the message from this `file`, - for standard input")
	fs.StringVar(&m.dataType, "type", "text", "the `kind` of message: text, json or binary")
	fs.DurationVar(&m.ttl, "ttl", 0, "how long it is kept for a reliable session that is away, in whole seconds up to 5m; 0 is as long as the session")
	fs.StringVar(&m.conflationKey, "conflation-key", "", "of messages with the same `key` only the newest is of use to a slow receiver")
}

var contentTypes = map[string]string{
	"text":   "text/plain; charset=utf-8",
	"json":   "application/json",
	"binary": "application/octet-stream",
}

// read returns the message and adds to the parameters what goes with it.
func (m *message) read(query url.Values) (contentType string, data []byte, err error) {
	contentType, ok := contentTypes[m.dataType]
	switch {
	case !ok:
		return "", nil, usageError{fmt.Errorf("--type %q is not text, json or binary", m.dataType)}
	case m.text != "" && m.file != "":
		return "", nil, usageError{errors.New("--data and --file exclude each other")}
	case m.text == "" && m.file == "":
		return "", nil, usageError{errors.New("--data or --file is missing")}
	case m.ttl < 0 || m.ttl%time.Second != 0:
		return "", nil, usageError{fmt.Errorf("--ttl %v is not in whole seconds", m.ttl)}
	}
	data = []byte(m.text)
	if m.file != "" {
		if data, err = readFile(m.file); err != nil {
			return "", nil, fmt.Errorf("--file: %w", err)
		}
	}
	if m.dataType == "json" && !json.Valid(data) {
		return "", nil, usageError{errors.New("the message is not one JSON value, as --type json says")}
	}
	if m.ttl > 0 {
		query.Set("messageTtlSeconds", strconv.Itoa(int(m.ttl/time.Second)))
	}
	if m.conflationKey != "" {
		query.Set("conflationKey", m.conflationKey)
	}
	return contentType, data, nil
}

// readFile is os.ReadFile that knows standard input.
func readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(name)
}

// send sends one message.
func send(env *Env, args []string) error {
	var (
		c = &apiClient{env: env}
		m message
		r recipients
	)
	fs := flag.NewFlagSet("sluice send", flag.ContinueOnError)
	r.register(fs)
	m.register(fs)
	c.register(fs)
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	path, query, err := r.path()
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	contentType, data, err := m.read(query)
	if err != nil {
		return err
	}
	return c.done(request{"POST", path + "/:send", query, contentType, data}, "sent")
}

// closeConnections ends connections.
func closeConnections(env *Env, args []string) error {
	var (
		c      = &apiClient{env: env}
		r      recipients
		reason string
	)
	fs := flag.NewFlagSet("sluice close", flag.ContinueOnError)
	r.register(fs)
	fs.StringVar(&reason, "reason", "", "what the clients are told, at most 123 bytes")
	c.register(fs)
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	path, query, err := r.path()
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if reason != "" {
		query.Set("reason", reason)
	}
	if strings.HasPrefix(path, "/connections/") {
		return c.done(request{method: "DELETE", path: path, query: query}, "closed")
	}
	return c.done(request{method: "POST", path: path + "/:closeConnections", query: query}, "closed")
}

// revokeUser refuses the tokens of a user that were issued up to now.
func revokeUser(c *apiClient, user, reason string) error {
	what := map[string]string{"userId": user}
	if reason != "" {
		what["reason"] = reason
	}
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return c.done(request{method: "POST", path: "/:revoke", contentType: "application/json", body: body}, "revoked")
}
