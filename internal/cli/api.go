package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"sluice/auth"
)

// keyVariable is the environment variable that gives a node its first key.
const keyVariable = "SLUICE_AUTH_KEYS_0_SECRET"

// apiClient calls the HTTP API of a node about one hub, for the commands that have
// its flags.
type apiClient struct {
	env *Env

	endpoint, audience string
	hub                string
	key, keyFile       string
	json               bool
	timeout            time.Duration

	wholeNode bool // without a hub the calls are about the node
}

func (c *apiClient) register(fs *flag.FlagSet) {
	fs.StringVar(&c.endpoint, "endpoint", "http://127.0.0.1:8081", "`address` of the node's HTTP API: its operations listener or, with api.public, one for clients")
	fs.StringVar(&c.audience, "audience", "", "the node's public `address`, where auth.endpoints is set and --endpoint is another (default --endpoint)")
	if c.wholeNode {
		fs.StringVar(&c.hub, "hub", "", "the `hub` (default: all hubs of the node)")
	} else {
		fs.StringVar(&c.hub, "hub", "", "the `hub` (required)")
	}
	fs.StringVar(&c.key, "key", "", "a `secret` the node verifies with (others on this machine can see it: prefer --key-file or "+keyVariable+")")
	fs.StringVar(&c.keyFile, "key-file", "", "read the secret from this `file`")
	fs.BoolVar(&c.json, "json", false, "print the answer as JSON")
	fs.DurationVar(&c.timeout, "timeout", 15*time.Second, "how long to wait for the answer")
}

// check completes what the flags say. Its errors are usageErrors.
func (c *apiClient) check() error {
	u, err := url.Parse(c.endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageError{fmt.Errorf("--endpoint %q is not an address such as http://127.0.0.1:8081", c.endpoint)}
	}
	c.endpoint = strings.TrimSuffix(c.endpoint, "/")
	c.audience = strings.TrimSuffix(cmp.Or(c.audience, c.endpoint), "/")
	switch {
	case c.hub == "" && c.wholeNode:
	case c.hub == "":
		return usageError{errors.New("--hub is missing")}
	case !auth.ValidHub(c.hub):
		return usageError{fmt.Errorf("--hub %q is not the name of a hub", c.hub)}
	case c.key != "" && c.keyFile != "":
		return usageError{errors.New("--key and --key-file exclude each other")}
	case c.timeout <= 0:
		return usageError{fmt.Errorf("--timeout %v is not positive", c.timeout)}
	}
	return c.findKey()
}

func (c *apiClient) findKey() error {
	if c.keyFile != "" {
		text, err := os.ReadFile(c.keyFile)
		if err != nil {
			return usageError{fmt.Errorf("--key-file: %w", err)}
		}
		c.key = strings.TrimRight(string(text), "\r\n")
	}
	for _, pair := range c.env.Environ {
		if value, ok := strings.CutPrefix(pair, keyVariable+"="); ok && c.key == "" {
			c.key = value
		}
	}
	if c.key == "" {
		return usageError{errors.New("no key: give --key-file, --key or the environment variable " + keyVariable)}
	}
	return nil
}

// request is one call below the path of the hub.
type request struct {
	method, path string
	query        url.Values
	contentType  string
	body         []byte
}

// maxAnswer bounds what is read of an answer: a page of a list has 200 rows.
const maxAnswer = 16 << 20

// apiError is an answer that is not what was hoped for.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the node answered %d: %s (%s)", e.status, e.message, e.code)
}

// call makes a call and returns the body of its answer.
func (c *apiClient) call(r request) ([]byte, error) {
	path := "/api/hubs/" + url.PathEscape(c.hub)
	if c.hub == "" {
		path = "/api/node"
	}
	path += r.path
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	// A token for this call alone: the hub may take no other.
	token, err := auth.MintSingleCall([]byte(c.key), r.method, c.audience+path, r.body, time.Minute, time.Now())
	if err != nil {
		return nil, usageError{err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, c.endpoint+path, bytes.NewReader(r.body))
	if err != nil {
		return nil, usageError{err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the node at %s: %w; --endpoint is the address that `ops` is set to, or with api.public one for clients", c.endpoint, reason(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer of the node broke off: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, problemOf(resp, body)
	}
	return body, nil
}

// reason leaves out method and address, which the caller knows.
func reason(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// problemOf reads why a call was refused. An answer to HEAD has only the header.
func problemOf(resp *http.Response, body []byte) error {
	e := &apiError{status: resp.StatusCode, code: resp.Header.Get("X-Ms-Error-Code"), message: http.StatusText(resp.StatusCode)}
	var p struct{ Message, Target string }
	if json.Unmarshal(body, &p) == nil && p.Message != "" {
		e.message = p.Message
		if p.Target != "" {
			e.message = p.Target + ": " + p.Message
		}
	}
	if e.code == "" {
		e.code = "not an answer of Sluice's HTTP API; is --endpoint right?"
	}
	return e
}

// done makes a call that answers nothing, and says so in these words.
func (c *apiClient) done(r request, words string) error {
	if _, err := c.call(r); err != nil {
		return err
	}
	if c.json {
		return c.print(map[string]string{"result": words})
	}
	fmt.Fprintln(c.env.Stdout, words)
	return nil
}

func (c *apiClient) print(value any) error {
	e := json.NewEncoder(c.env.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// row is one connection of a list.
type row struct {
	ConnectionID string            `json:"connectionId"`
	UserID       string            `json:"userId,omitempty"`
	State        map[string]string `json:"state,omitzero"`
	UpdatedAt    int64             `json:"updatedAt,omitzero"` // milliseconds since 1970; only where there can be a state
}

// list prints a list of connections, all pages of it: one a line, or as JSON.
func (c *apiClient) list(path string) error {
	all := []row{}
	query := url.Values{}
	for {
		body, err := c.call(request{method: "GET", path: path, query: query})
		if err != nil {
			return err
		}
		var page struct {
			Value    []row
			NextLink string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return fmt.Errorf("the answer of the node is no list: %w", err)
		}
		all = append(all, page.Value...)
		next, err := url.Parse(page.NextLink)
		if err != nil || next.Query().Get("continuationToken") == "" {
			break
		}
		query = next.Query()
	}
	if c.json {
		return c.print(all)
	}
	for _, r := range all {
		fmt.Fprint(c.env.Stdout, r.ConnectionID, "\t", cmp.Or(r.UserID, "-"))
		if r.State != nil {
			state, err := json.Marshal(r.State)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.env.Stdout, "\t%s", state)
		}
		fmt.Fprintln(c.env.Stdout)
	}
	return nil
}
