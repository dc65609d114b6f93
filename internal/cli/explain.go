package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sluice/auth"
	"sluice/internal/explain"
)

// explainTimeout is how long identity providers have to answer with their keys.
const explainTimeout = 10 * time.Second

// explainRules says what a node with a configuration would make of a client.
func explainRules(env *Env, args []string) error {
	var (
		s               sources
		q               explain.Question
		address, action string
		tokenFile       string
	)
	fs := flag.NewFlagSet("sluice explain", flag.ContinueOnError)
	s.register(fs)
	fs.StringVar(&q.Hub, "hub", "", "the `hub` that the client connects to (required)")
	fs.StringVar(&q.Token, "token", "", "the client's `token` (others on this machine can see it: prefer --token-file)")
	fs.StringVar(&tokenFile, "token-file", "", "read the token from this `file`, - for standard input")
	fs.StringVar(&address, "ip", "", "the client's `address`, as trusted proxies tell it")
	fs.StringVar(&q.Origin, "origin", "", "the `origin` of the web page, such as https://app.example.com")
	fs.StringVar(&q.Host, "host", "", "the `host` that the page connects to, where it may be its own")
	fs.StringVar(&action, "action", "", "what the client wants to do: joinGroup:GROUP, leaveGroup:GROUP or sendToGroup:`GROUP`")
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	switch {
	case q.Hub == "":
		return usageError{errors.New("--hub is missing")}
	case !auth.ValidHub(q.Hub):
		return usageError{fmt.Errorf("--hub %q is not the name of a hub", q.Hub)}
	}
	var err error
	if tokenFile != "" {
		if q.Token != "" {
			return usageError{errors.New("--token and --token-file exclude each other")}
		}
		text, err := readFile(tokenFile)
		if err != nil {
			return usageError{fmt.Errorf("--token-file: %w", err)}
		}
		q.Token = strings.TrimSpace(string(text))
	}
	if address != "" {
		if q.Address, err = netip.ParseAddr(address); err != nil {
			return usageError{fmt.Errorf("--ip %q is not an address", address)}
		}
	}
	if action != "" {
		if q.Action, q.Group, err = explain.ParseAction(action); err != nil {
			return usageError{fmt.Errorf("--action: %w", err)}
		}
	}
	l, err := s.loadGiven(env)
	if err != nil {
		return err
	}
	n, err := explain.New(l.Config.WithDefaults())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), explainTimeout)
	defer cancel()
	allowed := true
	for _, f := range n.Explain(ctx, q, time.Now()) {
		verdict := "allowed"
		if !f.Allowed {
			verdict, allowed = "REFUSED", false
		}
		fmt.Fprintf(env.Stdout, "%-8s %-8s %s: %s\n", f.Subject, verdict, f.Rule, f.Why)
	}
	fmt.Fprintln(env.Stdout, "\nRates, bans, revoked tokens and what the API has changed are known to the running node only.")
	if !allowed {
		return errors.New("the client would be refused")
	}
	return nil
}
