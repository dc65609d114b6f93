package node

import (
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/engine/certs"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// secureNode is a node that serves TLS and plain text, with a directory for its
// certificate.
type secureNode struct {
	*Node
	t   *testing.T
	ca  *testkit.Authority
	dir string
}

func startSecure(t *testing.T, change func(*config.Config)) *secureNode {
	t.Helper()
	s := &secureNode{t: t, ca: testkit.NewAuthority(t), dir: t.TempDir()}
	pair := s.certify("localhost")
	s.Node = startNode(t, func(c *config.Config) {
		c.TLS.Listen = []string{"127.0.0.1:0"}
		c.TLS.Certificates = []certs.Pair{pair}
		c.TLS.ReloadInterval = time.Hour // the tests look themselves
		if change != nil {
			change(c)
		}
	})
	return s
}

// certify writes the certificate of the node.
func (s *secureNode) certify(name string) certs.Pair {
	s.t.Helper()
	cert, key := testkit.WriteCertificate(s.t, s.dir, "node", s.ca.Issue(name, nil))
	return certs.Pair{Cert: cert, Key: key}
}

// client trusts the node where it shows a certificate for the name.
func (s *secureNode) client(name string) *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: name}
}

// dial connects to the listener for TLS.
func (s *secureNode) dial(cfg *tls.Config) *testkit.Conn {
	s.t.Helper()
	addrs := s.Addrs()
	return testkit.DialTLS(s.t, "tcp", addrs[len(addrs)-1].String(), cfg)
}

// TestTLS: clients over TLS and in plain text meet in a group.
func TestTLS(t *testing.T) {
	testkit.NoLeaks(t)
	s := startSecure(t, nil)
	path := "/client/hubs/chat?access_token=" + mint(t, auth.Claims{User: "u", Roles: []string{"sluice.sendToGroup"}, Groups: []string{"g"}})
	over := s.dial(s.client("localhost"))
	over.Open(path, subprotocol)
	plain := testkit.DialWebSocket(t, s.Addrs()[0].String(), path, subprotocol)
	for _, c := range []*testkit.Conn{over, plain} {
		c.ReadText() // connected
	}
	over.WriteText(`{"type":"sendToGroup","group":"g","dataType":"text","data":"hello"}`)
	for _, c := range []*testkit.Conn{over, plain} {
		if got := c.ReadText(); !strings.Contains(got, `"data":"hello"`) {
			t.Errorf("got %s", got)
		}
	}
}

// TestCertificateReload: a new certificate is shown without a restart, a broken
// one is not, and who is connected stays.
func TestCertificateReload(t *testing.T) {
	s := startSecure(t, func(c *config.Config) { c.EchoPath = "/echo" })
	m := metrics.New()
	reloads := func(ok, failed uint64) {
		t.Helper()
		s.refreshCertificates(time.Now(), m)
		if got := [2]uint64{m.CertificateReloads.With("ok").Get(), m.CertificateReloads.With("failed").Get()}; got != [2]uint64{ok, failed} {
			t.Errorf("%d files taken, %d not; want %d and %d", got[0], got[1], ok, failed)
		}
	}
	first := s.dial(s.client("localhost"))
	first.Open("/echo")
	reloads(0, 0)

	s.certify("renamed.example")
	reloads(1, 0)
	second := s.dial(s.client("renamed.example"))
	second.Open("/echo")

	if err := os.WriteFile(filepath.Join(s.dir, "node.key"), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	reloads(1, 1)
	s.dial(s.client("renamed.example"))
	for _, c := range []*testkit.Conn{first, second} {
		c.WriteText("hello")
		c.ExpectText("hello")
	}
}

// TestTLSAndProxy: a load balancer in front of TLS tells whose connection it is;
// others are sent away.
func TestTLSAndProxy(t *testing.T) {
	trusted := netip.MustParsePrefix("127.0.0.0/8")
	s := startSecure(t, func(c *config.Config) {
		c.EchoPath = "/echo"
		c.TLS.Listen = []string{"127.0.0.1:0"}
		c.Listen = []string{"unix:" + t.TempDir() + "/s"}
		c.Proxy = engine.ProxyConfig{Listen: c.TLS.Listen, Trusted: []netip.Prefix{trusted}}
	})
	c := testkit.Dial(t, "tcp", s.Addrs()[1].String())
	c.WriteString("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n")
	c.Secure(s.client("localhost"))
	c.Open("/echo")
	c.WriteText("hello")
	c.ExpectText("hello")

	c = testkit.Dial(t, "tcp", s.Addrs()[1].String())
	if err := tls.Client(c.Conn, s.client("localhost")).Handshake(); err == nil {
		t.Error("a client came in without a header")
	}
}

// TestClientCertificate: a certificate is an identity where the hub says so, and a
// condition where it says that.
func TestClientCertificate(t *testing.T) {
	ca := testkit.NewAuthority(t)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSecure(t, func(c *config.Config) {
		c.TLS.ClientAuth, c.TLS.ClientCA = "optional", caFile
		c.Hub.Hubs = map[string]hub.Tenant{
			"devices": {ClientCert: auth.ClientCert{User: "uri", Roles: []string{"sluice.sendToGroup"}, Groups: []string{"all"}}},
			"strict":  {ClientCert: auth.ClientCert{Required: true}},
			"chat":    {},
		}
	})
	shown := s.client("localhost")
	shown.Certificates = []tls.Certificate{ca.Issue("alice", nil)}

	c := s.dial(shown)
	c.Open("/client/hubs/devices", subprotocol)
	if got := c.ReadText(); !strings.Contains(got, `"userId":"spiffe://test/alice"`) {
		t.Errorf("first message: %s", got)
	}
	c.WriteText(`{"type":"sendToGroup","group":"all","dataType":"text","data":"hello"}`)
	if got := c.ReadText(); !strings.Contains(got, `"fromUserId":"spiffe://test/alice"`) {
		t.Errorf("got %s", got)
	}

	token := func(hub string) string {
		token, err := auth.Mint([]byte(testKey), auth.Claims{Hub: hub, User: "bob", TTL: time.Hour}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return "?access_token=" + token
	}
	for _, tt := range []struct {
		name, path string
		shown      bool
		want       string // in the first message, or the status of the refusal
	}{
		{"a token counts more", "devices" + token("devices"), true, `"userId":"bob"`},
		{"a token alone", "devices" + token("devices"), false, `"userId":"bob"`},
		{"neither", "devices", false, "401"},
		{"required, a token alone", "strict" + token("strict"), false, "401"},
		{"required, both", "strict" + token("strict"), true, `"userId":"bob"`},
		{"required, a certificate alone", "strict", true, "401"},
		{"of no interest", "chat", true, "401"},
	} {
		cfg := s.client("localhost")
		if tt.shown {
			cfg = shown
		}
		c := s.dial(cfg)
		c.WriteString(testkit.Head("/client/hubs/"+tt.path, subprotocol))
		resp := c.ReadResponse()
		if resp.StatusCode != 101 {
			if got := strconv.Itoa(resp.StatusCode); got != tt.want {
				t.Errorf("%s: status %s, want %s", tt.name, got, tt.want)
			}
		} else if got := c.ReadText(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		c.Close()
	}
}
