package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// shake does a handshake between a configuration and a client, and returns what
// the client saw; the client's error is told apart from the server's.
func shake(t *testing.T, server, client *tls.Config) (seen tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	a, b, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(b, server)
		_ = s.SetDeadline(time.Now().Add(testkit.Patience))
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("!")) // behind the tickets
		}
		done <- err
	}()
	c := tls.Client(a, client)
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // takes the tickets
	}
	seen = c.ConnectionState()
	a.Close()
	return seen, clientErr, <-done
}

// pair returns both ends of a connection that buffers.
func pair() (a, b net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	b, err = ln.Accept()
	return a, b, err
}

// home is a directory of certificates and a clock.
type home struct {
	t   *testing.T
	ca  *testkit.Authority
	dir string
	now time.Time
}

func newHome(t *testing.T) *home {
	return &home{t: t, ca: testkit.NewAuthority(t), dir: t.TempDir(), now: time.Now()}
}

func (h *home) write(file, name string) Pair {
	h.t.Helper()
	cert, key := testkit.WriteCertificate(h.t, h.dir, file, h.ca.Issue(name, nil))
	return Pair{Cert: cert, Key: key}
}

func (h *home) open(o Options) *Store {
	h.t.Helper()
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	if o.TicketRotation == 0 {
		o.TicketRotation = time.Hour
	}
	s, err := Open(o, h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *home) client(name string) *tls.Config {
	return &tls.Config{RootCAs: h.ca.Pool(), ServerName: name}
}

// expect checks that a client which asks for a name gets a certificate for it.
func (h *home) expect(s *Store, name string) {
	h.t.Helper()
	if _, err, _ := shake(h.t, s.Current(), h.client(name)); err != nil {
		h.t.Errorf("as %s: %v", name, err)
	}
}

// TestServerName: the certificate is chosen by the name that the client asks for.
func TestServerName(t *testing.T) {
	h := newHome(t)
	rsaCert, rsaKey := testkit.WriteCertificate(t, h.dir, "rsa", h.ca.IssueRSA("two.example", nil))
	s := h.open(Options{Pairs: []Pair{h.write("one", "one.example"), h.write("wild", "*.many.example"), {rsaCert, rsaKey}}})
	for _, name := range []string{"one.example", "a.many.example", "two.example"} {
		h.expect(s, name)
	}
	stranger := h.client("one.example")
	stranger.ServerName, stranger.InsecureSkipVerify = "elsewhere.example", true
	if seen, err, _ := shake(t, s.Current(), stranger); err != nil || seen.PeerCertificates[0].Subject.CommonName != "one.example" {
		t.Errorf("an unknown name gets %v, error %v; want the first certificate", seen.PeerCertificates, err)
	}
}

// TestVersionsAndSuites: what a client can negotiate.
func TestVersionsAndSuites(t *testing.T) {
	h := newHome(t)
	for _, tt := range []struct {
		name     string
		min      uint16
		client   *tls.Config
		accepted bool
	}{
		{"1.3", tls.VersionTLS12, &tls.Config{}, true},
		{"1.2", tls.VersionTLS12, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"1.1", tls.VersionTLS12, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.2 where 1.3 is asked for", tls.VersionTLS13, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"a suite without authenticated encryption", tls.VersionTLS12, &tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}, false},
		{"HTTP/1.1 by name", tls.VersionTLS12, &tls.Config{NextProtos: []string{"http/1.1"}}, true},
		{"HTTP/2 or 1.1", tls.VersionTLS12, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, true},
		{"HTTP/2 only", tls.VersionTLS12, &tls.Config{NextProtos: []string{"h2"}}, false},
	} {
		s := h.open(Options{Pairs: []Pair{h.write("one", "one.example")}, MinVersion: tt.min})
		tt.client.RootCAs, tt.client.ServerName = h.ca.Pool(), "one.example"
		seen, err, _ := shake(t, s.Current(), tt.client)
		if (err == nil) != tt.accepted {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if err == nil && len(tt.client.NextProtos) > 0 && seen.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: protocol %q", tt.name, seen.NegotiatedProtocol)
		}
	}
}

// TestReload: files that change are used for what comes, those that are broken
// are not, and one error is one error.
func TestReload(t *testing.T) {
	h := newHome(t)
	p := h.write("one", "old.example")
	s := h.open(Options{Pairs: []Pair{p}})
	refresh := func(wantChanged, wantErr bool) {
		t.Helper()
		if changed, err := s.Refresh(h.now); changed != wantChanged || (err != nil) != wantErr {
			t.Errorf("changed %v, error %v", changed, err)
		}
	}
	before := s.Current()
	refresh(false, false)
	if s.Current() != before {
		t.Error("nothing has changed, but the configuration has")
	}

	h.write("one", "new.example")
	refresh(true, false)
	h.expect(s, "new.example")
	if _, err, _ := shake(t, before, h.client("old.example")); err != nil {
		t.Errorf("a handshake that had begun before: %v", err)
	}

	other := h.ca.Issue("third.example", nil)
	half, _ := testkit.WriteCertificate(t, t.TempDir(), "half", other)
	if err := os.Rename(half, p.Cert); err != nil { // the key is still that of another
		t.Fatal(err)
	}
	refresh(false, true)
	refresh(false, false)
	h.expect(s, "new.example")
	testkit.WriteCertificate(t, h.dir, "one", other)
	refresh(true, false)
	h.expect(s, "third.example")

	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	refresh(false, true)
	h.expect(s, "third.example")
}

// TestExpiry: what matters is the certificate that ends first.
func TestExpiry(t *testing.T) {
	h := newHome(t)
	soon := h.now.Add(10 * time.Minute).Truncate(time.Second)
	cert, key := testkit.WriteCertificate(t, h.dir, "soon", h.ca.Issue("soon.example", func(c *x509.Certificate) { c.NotAfter = soon }))
	s := h.open(Options{Pairs: []Pair{h.write("one", "one.example"), {cert, key}}})
	if got := s.Expiry(); !got.Equal(soon) {
		t.Errorf("%v, want %v", got, soon)
	}
}

// TestTickets: a client resumes within two rotations, and not after three.
func TestTickets(t *testing.T) {
	h := newHome(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for rotations, want := range []bool{0: true, 1: true, 2: true, 3: false} {
			s := h.open(Options{Pairs: []Pair{h.write("one", "one.example")}, TicketRotation: time.Hour})
			client := h.client("one.example")
			client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(0)
			if _, err, _ := shake(t, s.Current(), client); err != nil {
				t.Fatal(err)
			}
			for i := range rotations {
				if _, err := s.Refresh(h.now.Add(time.Duration(i+1) * time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			if seen, err, _ := shake(t, s.Current(), client); err != nil || seen.DidResume != want {
				t.Errorf("%s after %d rotations: resumed %v, error %v", tls.VersionName(version), rotations, seen.DidResume, err)
			}
		}
	}
}

// TestClientCertificates: who is let in, and that an authority which is no longer
// trusted lets nobody back in with a ticket.
func TestClientCertificates(t *testing.T) {
	h := newHome(t)
	caFile := filepath.Join(h.dir, "ca.pem")
	trust := func(a *testkit.Authority) {
		t.Helper()
		if err := os.WriteFile(caFile, a.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(h.ca)
	p := h.write("one", "one.example")
	alice, mallory := h.ca.Issue("alice", nil), testkit.NewAuthority(t).Issue("alice", nil)
	for _, tt := range []struct {
		auth     tls.ClientAuthType
		shown    []tls.Certificate
		accepted bool
	}{
		{tls.NoClientCert, nil, true},
		{tls.VerifyClientCertIfGiven, nil, true},
		{tls.VerifyClientCertIfGiven, []tls.Certificate{alice}, true},
		{tls.VerifyClientCertIfGiven, []tls.Certificate{mallory}, false},
		{tls.RequireAndVerifyClientCert, nil, false},
		{tls.RequireAndVerifyClientCert, []tls.Certificate{alice}, true},
		{tls.RequireAndVerifyClientCert, []tls.Certificate{mallory}, false},
	} {
		s := h.open(Options{Pairs: []Pair{p}, ClientAuth: tt.auth, ClientCA: caFile})
		client := h.client("one.example")
		// Shown whatever the server asks for: crypto/tls would keep a foreign one back.
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(tt.shown) == 0 {
				return &tls.Certificate{}, nil
			}
			return &tt.shown[0], nil
		}
		if _, _, err := shake(t, s.Current(), client); (err == nil) != tt.accepted {
			t.Errorf("%v, %d shown: error %v", tt.auth, len(tt.shown), err)
		}
	}

	s := h.open(Options{Pairs: []Pair{p}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCA: caFile})
	client := h.client("one.example")
	client.Certificates, client.ClientSessionCache = []tls.Certificate{alice}, tls.NewLRUClientSessionCache(0)
	for visit := range 2 {
		if seen, err, _ := shake(t, s.Current(), client); err != nil || seen.DidResume != (visit > 0) {
			t.Fatalf("visit %d: resumed %v, error %v", visit, seen.DidResume, err)
		}
	}
	trust(testkit.NewAuthority(t))
	if changed, err := s.Refresh(h.now); !changed || err != nil {
		t.Fatalf("changed %v, error %v", changed, err)
	}
	if _, _, err := shake(t, s.Current(), client); err == nil {
		t.Error("a client of an authority that is trusted no more came in with its ticket")
	}
}

// TestOpenFails: what is wrong is said with the name of the file.
func TestOpenFails(t *testing.T) {
	h := newHome(t)
	good := h.write("one", "one.example")
	other := h.write("other", "other.example")
	empty := filepath.Join(h.dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"none", Options{}, "no certificate"},
		{"not there", Options{Pairs: []Pair{{"/nowhere.pem", good.Key}}}, "/nowhere.pem"},
		{"of another", Options{Pairs: []Pair{good, {good.Cert, other.Key}}}, good.Cert},
		{"no authorities", Options{Pairs: []Pair{good}, ClientCA: empty}, empty},
		{"authorities not there", Options{Pairs: []Pair{good}, ClientCA: "/nowhere.pem"}, "/nowhere.pem"},
	} {
		_, err := Open(tt.o, h.now)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if strings.HasSuffix(tt.name, "not there") && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v is not os.ErrNotExist", tt.name, err)
		}
	}
}
