package cli

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sluice/auth"
)

// token prints a token alone on standard output, for scripts: a client's, or one
// for a back end's calls.
func token(env *Env, args []string) error {
	var (
		key, hub, user string
		endpoint       string
		roles, groups  list
		ttl            time.Duration
		api            bool
	)
	fs := flag.NewFlagSet("sluice token", flag.ContinueOnError)
	fs.StringVar(&key, "key", "", "the `secret` the node verifies with (required)")
	fs.StringVar(&hub, "hub", "", "the `hub` the token is for (required)")
	fs.StringVar(&user, "user", "", "the `user` id; none makes the client anonymous")
	fs.Var(&roles, "role", "a `role`, such as sluice.sendToGroup or sluice.joinLeaveGroup.room; may be repeated")
	fs.Var(&groups, "group", "a `group` the client is in from the start; may be repeated")
	fs.StringVar(&endpoint, "endpoint", "", "the node's public `address`, such as https://chat.example.com, where auth.endpoints is set")
	fs.BoolVar(&api, "api", false, "make a token for calls of the HTTP API about the hub instead of a client's")
	fs.DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid")
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	switch {
	case key == "":
		return usageError{errors.New("--key is missing")}
	case hub == "":
		return usageError{errors.New("--hub is missing")}
	case ttl <= 0:
		return usageError{fmt.Errorf("--ttl %v is not positive", ttl)}
	}
	if api {
		return apiToken(env, key, hub, endpoint, ttl, user != "" || len(roles)+len(groups) > 0)
	}
	t, err := auth.Mint([]byte(key), auth.Claims{Hub: hub, User: user, Roles: roles, Groups: groups, TTL: ttl, Endpoint: endpoint}, time.Now())
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintln(env.Stdout, t)
	return nil
}

// apiToken prints a token for all calls about a hub.
func apiToken(env *Env, key, hub, endpoint string, ttl time.Duration, client bool) error {
	switch {
	case client:
		return usageError{errors.New("--user, --role and --group are of clients, not of --api")}
	case !auth.ValidHub(hub):
		return usageError{fmt.Errorf("--hub %q is not the name of a hub", hub)}
	}
	t, err := auth.MintCall([]byte(key), strings.TrimSuffix(endpoint, "/")+"/api/hubs/"+url.PathEscape(hub), ttl, time.Now())
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintln(env.Stdout, t)
	return nil
}
