package floors

// sluice is the house as it stands.
var sluice = house{
	floors: map[string]int{
		"sluice/auth":                  0,
		"sluice/bench/hdr":             0,
		"sluice/engine/forwarded":      0,
		"sluice/engine/proxyproto":     0,
		"sluice/engine/wheel":          0,
		"sluice/frame":                 0,
		"sluice/hub/filter":            0,
		"sluice/hub/wire":              0,
		"sluice/internal/budget":       0,
		"sluice/internal/build":        0,
		"sluice/internal/cors":         0,
		"sluice/internal/doctor":       0,
		"sluice/internal/later":        0,
		"sluice/internal/logs":         0,
		"sluice/internal/metrics":      0,
		"sluice/internal/overload":     0,
		"sluice/internal/rate":         0,
		"sluice/internal/testkit":      0,
		"sluice/internal/tools/gotest": 0,
		"sluice/shard":                 0,

		"sluice/access":           1,
		"sluice/auth/introspect":  1,
		"sluice/auth/jwks":        1,
		"sluice/bench/gnetserver": 1,
		"sluice/bench/swarm":      1,
		"sluice/engine/certs":     1,
		"sluice/internal/outbox":  1,
		"sluice/internal/systemd": 1,

		"sluice/internal/testkit/provider": 1,

		"sluice/engine": 3,
		"sluice/hub":    3,

		"sluice/api":       4,
		"sluice/api/login": 4,
		"sluice/gateway":   4,
		"sluice/sockjs":    4,
		"sluice/sse":       4,

		"sluice/bench":            5, // meets a server over its sockets only
		"sluice/internal/config":  5,
		"sluice/internal/explain": 6,
		"sluice/internal/node":    6,
		"sluice/internal/cli":     7,
		"sluice/bench/figures":    8, // runs the binary
		"sluice/examples/notify":  8, // uses a running node from outside
		"sluice":                  8,

		"sluice/internal/e2e":             9,
		"sluice/internal/e2e/conformance": 9,
		"sluice/internal/floors":          9,
	},
	testsOnly: []string{
		"sluice/internal/e2e",
		"sluice/internal/e2e/conformance",
		"sluice/internal/floors",
		"sluice/internal/testkit",
		"sluice/internal/testkit/provider",
		"sluice/internal/tools/gotest",
	},
	homes: map[string][]string{
		"github.com/panjf2000/gnet/v2":       {"sluice/engine", "sluice/bench/gnetserver"},
		"github.com/gobwas/ws":               {"sluice/frame", "sluice/engine"},
		"github.com/gaissmai/bart":           {"sluice/access"},
		"github.com/golang-jwt/jwt/v5":       {"sluice/auth"},
		"github.com/zitadel/oidc/v3":         {"sluice/internal/testkit/provider"},
		"github.com/go-jose/go-jose/v4":      {"sluice/internal/testkit/provider"},
		"github.com/coreos/go-oidc/v3":       {"sluice/api/login"},
		"golang.org/x/oauth2":                {"sluice/api/login", "sluice/internal/testkit/provider"},
		"github.com/sony/gobreaker/v2":       {"sluice/auth/introspect"},
		"golang.org/x/crypto":                {"sluice/engine/certs"},
		"github.com/VictoriaMetrics/metrics": {"sluice/internal/metrics"},
		"github.com/getkin/kin-openapi":      {"sluice/api"}, // in its tests
	},
}
