// Package explain says what a node would make of a client, rule by rule: which one
// allows or refuses it, and why. It starts no node and decides nothing by itself:
// each rule is asked the way a node asks it.
package explain

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/auth/introspect"
	"sluice/auth/jwks"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/later"
)

// Question is a client and what it wants.
type Question struct {
	Hub string
	// Token as the client shows it; "" for none.
	Token string
	// Address of the client; the zero value is not asked about.
	Address netip.Addr
	// Origin of the page; "" for none. Host is what the page connects to.
	Origin, Host string
	// Action and Group: what the client wants to do; "" is not asked about.
	Action, Group string
}

// ParseAction takes "joinGroup:room" apart.
func ParseAction(text string) (action, group string, err error) {
	action, group, _ = strings.Cut(text, ":")
	if _, ok := actions[action]; !ok {
		return "", "", fmt.Errorf("%q is none of joinGroup:GROUP, leaveGroup:GROUP and sendToGroup:GROUP", text)
	}
	if !auth.ValidGroup(group) {
		return "", "", fmt.Errorf("%q names no group; write it like %s:room", text, action)
	}
	return action, group, nil
}

// actions are what clients ask for, with the permission that each needs.
var actions = map[string]auth.Action{
	"joinGroup":   auth.JoinLeaveGroup,
	"leaveGroup":  auth.JoinLeaveGroup,
	"sendToGroup": auth.SendToGroup,
}

// Finding is what one rule says.
type Finding struct {
	Subject string // address, origin, token, cert, hub, action
	Allowed bool
	Rule    string // that decides: a key of the configuration or what is in the token
	Why     string
}

// Node answers for a node with a configuration, which must be valid and have its
// defaults.
type Node struct {
	cfg     config.Config
	guard   *access.Guard
	tenants *auth.Tenants
}

// New reads what the configuration refers to. Issuers are asked for their keys when
// a question needs them.
func New(cfg config.Config) (*Node, error) {
	n := &Node{cfg: cfg}
	var err error
	if n.guard, err = access.New(cfg.Access, cfg.Hub.AddressRules(), cfg.Proxy.Trusted); err != nil {
		return nil, err
	}
	n.tenants, err = auth.NewTenants(cfg.Auth, cfg.Hub.Tenants())
	return n, err
}

// Explain asks the rules in the order in which a node does, all of them: a client may
// be refused for more than one reason. Only what it wants to do is not asked about
// where its token is refused, because the token's roles would say. ctx bounds the
// time for the keys of issuers.
func (n *Node) Explain(ctx context.Context, q Question, now time.Time) []Finding {
	var list []Finding
	if q.Address.IsValid() {
		list = append(list, n.address(q)...)
	}
	list = append(list, n.origin(q))
	id, found := n.token(ctx, q, now)
	list = append(list, found)
	if cert := n.own(q.Hub).ClientCert; cert.Required || cert.User != "" {
		list = append(list, n.certificate(q, cert))
	}
	list = append(list, n.hub(q))
	if q.Action != "" && found.Allowed {
		list = append(list, n.action(q, id))
	}
	return list
}

// address judges the address by the rules of all hubs and by those of the hub.
func (n *Node) address(q Question) []Finding {
	list := []Finding{explainSet("access.rules", n.guard.Rules(), q.Address)}
	if set := n.guard.HubRules(q.Hub, false); set != nil {
		list = append(list, explainSet("hub.hubs."+n.declared(q.Hub)+".addresses", set, q.Address))
	}
	return list
}

// explainSet asks one set of rules.
func explainSet(key string, set *access.Set, a netip.Addr) Finding {
	p, l, allowed := set.Why(a, false)
	f := Finding{Subject: "address", Allowed: allowed, Rule: key + "." + l.String()}
	switch {
	case p.IsValid():
		f.Why = fmt.Sprintf("%s is in %s", a, p)
	case allowed:
		f.Rule, f.Why = key, fmt.Sprintf("nothing speaks against %s", a)
	default:
		f.Why = fmt.Sprintf("%s is in none of its ranges", a)
	}
	if _, l, would := set.Why(a, true); !would {
		f.Why += fmt.Sprintf("; the rules that are tried out would refuse it (%s)", l)
	}
	return f
}

// declared returns the name of a hub as the configuration writes it.
func (n *Node) declared(name string) string {
	for declared := range n.cfg.Hub.Hubs {
		if auth.CanonicalHub(declared) == auth.CanonicalHub(name) {
			return declared
		}
	}
	return name
}

// own returns what the configuration sets for a hub.
func (n *Node) own(name string) hub.Tenant { return n.cfg.Hub.Hubs[n.declared(name)] }

func (n *Node) origin(q Question) Finding {
	key := "auth.origins"
	if len(n.own(q.Hub).Origins) > 0 {
		key = "hub.hubs." + n.declared(q.Hub) + ".origins"
	}
	f := Finding{Subject: "origin", Rule: key, Allowed: n.tenants.Origins(q.Hub).Allow(q.Origin, q.Host)}
	switch {
	case q.Origin == "":
		f.Why = "no Origin header: not a browser, so there is no page to judge"
	case !f.Allowed:
		f.Why = fmt.Sprintf("%s is not in the list, and not the host that is connected to", q.Origin)
	case n.tenants.Origins(q.Hub).Allow(q.Origin, ""):
		f.Why = q.Origin + " is in the list"
	default:
		f.Why = q.Origin + " is the host that is connected to"
	}
	return f
}

// token verifies it, and finds which key did.
func (n *Node) token(ctx context.Context, q Question, now time.Time) (auth.Identity, Finding) {
	f := Finding{Subject: "token", Rule: "auth"}
	var (
		mu     sync.Mutex
		failed []string // guarded by mu; which providers could not be asked, and why
	)
	fail := func(what string, i auth.Issuer, err error) {
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, fmt.Sprintf("; %s of %s: %v", what, i.Issuer, err))
		}
	}
	n.tenants.Trust(func(i auth.Issuer) auth.KeySource {
		set, err := fetch(ctx, i)
		fail("the keys", i, err)
		return set
	})
	ctx, stop := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer stop()
	n.tenants.Ask(func(i auth.Issuer) auth.Introspector {
		p := patient{ctx, introspect.New(i.Introspection, func(_ introspect.Result, err error) { fail("the word", i, err) })}
		asking.Go(func() { p.client.Run(ctx) })
		return p
	})
	id, err := n.tenants.Verify(q.Token, q.Hub, now)
	if err != nil {
		f.Why = err.Error()
		var refusal *auth.Refusal
		if errors.As(err, &refusal) && refusal.Reason == auth.IssuerUnavailable {
			mu.Lock()
			defer mu.Unlock()
			f.Why += strings.Join(failed, "")
		}
		return id, f
	}
	f.Allowed = true
	f.Rule = n.signer(q, now)
	user := "an anonymous client"
	if id.User != "" {
		user = fmt.Sprintf("user %q", id.User)
	}
	f.Why = fmt.Sprintf("%s, until %s", user, id.Expires.UTC().Format(time.RFC3339))
	if len(id.Groups) > 0 {
		f.Why += fmt.Sprintf("; joins %q at once", id.Groups)
	}
	for _, r := range id.IgnoredRoles {
		f.Why += fmt.Sprintf("; the role %q is ignored: %s", r.Role, r.Why)
	}
	return id, f
}

// fetch gets the keys of an issuer, as far as the context lasts, or why there are
// none.
func fetch(ctx context.Context, i auth.Issuer) (auth.KeySource, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		first  sync.Once
		failed error
	)
	set := jwks.New(jwks.Source{Issuer: i.Issuer, URL: i.JWKSURL}, func(err error) {
		first.Do(func() { failed = err }) // later ones come of the end
		stop()
	})
	set.Run(ctx) // ends with the first answer
	return set, failed
}

// patient asks the provider and waits for its answer: here nobody else is held up.
type patient struct {
	ctx    context.Context
	client *introspect.Client
}

func (p patient) Introspect(token string) auth.Introspected {
	said := p.client.Introspect(token)
	if said.Later != nil && later.Block(p.ctx, said.Later) {
		said = p.client.Introspect(token)
	}
	return said
}

// signer returns the key of the configuration with which the token is signed.
func (n *Node) signer(q Question, now time.Time) string {
	keys, at := n.cfg.Auth.Keys, "auth.keys"
	if own := n.own(q.Hub); len(own.Keys) > 0 {
		keys, at = own.Keys, "hub.hubs."+n.declared(q.Hub)+".keys"
	}
	for i, k := range keys {
		one := n.cfg.Auth
		one.Keys, one.Issuers = []auth.Key{k}, nil
		v, err := auth.NewVerifier(one)
		if err != nil {
			continue
		}
		if _, err := v.Verify(q.Token, q.Hub, now); err == nil {
			name := fmt.Sprintf("%s[%d]", at, i)
			if k.ID != "" {
				name += fmt.Sprintf(" (%s)", k.ID)
			}
			return name
		}
	}
	return n.issuer(q)
}

// issuer returns the issuer of a token that was found good and that no key of the
// house has signed. An opaque one is of the issuer that is asked about such tokens.
func (n *Node) issuer(q Question) string {
	issuers, at := n.cfg.Auth.Issuers, "auth.issuers"
	if own := n.own(q.Hub); len(own.Issuers) > 0 {
		issuers, at = own.Issuers, "hub.hubs."+n.declared(q.Hub)+".issuers"
	}
	named := claimedIssuer(q.Token)
	for i, s := range issuers {
		switch {
		case named != "" && s.Issuer == named:
			return fmt.Sprintf("%s[%d] (%s)", at, i, s.Issuer)
		case named == "" && s.Introspection.URL != "":
			return fmt.Sprintf("%s[%d].introspection (%s)", at, i, s.Issuer)
		}
	}
	return at
}

// claimedIssuer returns the claim iss of a JWT, "" of anything else.
func claimedIssuer(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(text, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// certificate says what the hub makes of client certificates. There is none to be
// judged, so nobody is refused for it.
func (n *Node) certificate(q Question, cert auth.ClientCert) Finding {
	key := "hub.hubs." + n.declared(q.Hub) + ".client_cert."
	if cert.Required {
		return Finding{Subject: "cert", Allowed: true, Rule: key + "required", Why: "if the client shows a certificate, which is not judged here; without one it is refused"}
	}
	return Finding{Subject: "cert", Allowed: true, Rule: key + "user", Why: "a client with a certificate, which is not judged here, needs no token"}
}

func (n *Node) hub(q Question) Finding {
	f := Finding{Subject: "hub", Rule: "hub.hubs"}
	switch _, declared := n.cfg.Hub.Hubs[n.declared(q.Hub)]; {
	case declared:
		f.Allowed, f.Rule, f.Why = true, "hub.hubs."+n.declared(q.Hub), "it is declared"
	case n.cfg.Hub.CreateOnFirstUse:
		f.Allowed, f.Rule, f.Why = true, "hub.create_on_first_use", "any valid name makes a hub"
	default:
		f.Why = fmt.Sprintf("%q is not declared, and hub.create_on_first_use is off", q.Hub)
	}
	return f
}

func (n *Node) action(q Question, id auth.Identity) Finding {
	f := Finding{Subject: "action", Rule: "roles of the token"}
	need := actions[q.Action]
	if role := id.Permissions.Why(need, q.Group); role != "" {
		f.Allowed, f.Why = true, fmt.Sprintf("the role %s allows %s of %q", role, q.Action, q.Group)
		return f
	}
	f.Why = fmt.Sprintf("no role allows %s of %q; it takes sluice.%s or sluice.%s.%s", q.Action, q.Group, need, need, q.Group)
	return f
}
