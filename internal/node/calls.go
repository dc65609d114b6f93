package node

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"sluice/auth"
	"sluice/internal/metrics"
)

// authorizer returns what checks the tokens of back ends' calls: most hubs take one
// for many calls, some each one once.
func (n *Node) authorizer(tenants *auth.Tenants, m *metrics.Node) func(r *http.Request, hub string) (func(body []byte) error, error) {
	var strict []string
	declared := make(map[string]bool, len(n.cfg.Hub.Hubs))
	for name, t := range n.cfg.Hub.Hubs {
		declared[auth.CanonicalHub(name)] = t.SingleUseAPITokens
		if t.SingleUseAPITokens {
			strict = append(strict, name)
		}
	}
	others := n.cfg.Hub.Defaults.SingleUseAPITokens
	single := auth.NewSingleUse(n.cfg.API.TokenWindow, n.cfg.API.MaxUsedTokens, strict, time.Now())
	count := func(err error) error {
		if r, ok := errors.AsType[*auth.Refusal](err); ok && slices.Contains(auth.CallReasons(), r.Reason) {
			m.APISingleUse.With(string(r.Reason)).Inc()
		}
		return err
	}
	return func(r *http.Request, hub string) (func([]byte) error, error) {
		once, known := declared[auth.CanonicalHub(hub)]
		if !known {
			once = others
		}
		if !once {
			return nil, n.watchFailures(r, tenants.Verifier(hub).VerifyCall(r, time.Now()))
		}
		c, err := single.Verify(tenants.Verifier(hub), r, hub, time.Now())
		if err != nil {
			return nil, count(n.watchFailures(r, err))
		}
		return func(body []byte) error { return count(c.Spend(body, time.Now())) }, nil
	}
}
