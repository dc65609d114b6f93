// Package certs keeps what a node's TLS needs: certificates, the authorities of
// its clients, the keys of session tickets. It reads them from files, notices when
// these change, and makes of them the configuration of the handshakes to come.
// Handshakes under way and connections keep the one they began with.
//
// It does no handshakes and starts no goroutine: Refresh is called now and then by
// whoever owns a Store, on one goroutine, Obtain on another; Current on any.
package certs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
)

// Pair names the files of a certificate.
type Pair struct {
	// Cert is the path of the certificate in PEM, those that link it to its
	// authority behind it.
	Cert string `yaml:"cert"`

	// Key is the path of its private key in PEM.
	Key string `yaml:"key"`
}

// Options say what a Store keeps.
type Options struct {
	// Pairs are the certificates; each client is shown the first that fits the
	// name it asks for and what it can verify, or else the first.
	Pairs []Pair

	// MinVersion is the oldest version of TLS, tls.VersionTLS12 at least.
	MinVersion uint16

	// ClientAuth says whether clients show certificates, ClientCA which
	// authorities issue these: a file of PEM certificates.
	ClientAuth tls.ClientAuthType
	ClientCA   string

	// TicketRotation is how often the key of session tickets is replaced; a
	// client can resume with the ticketKeys latest.
	TicketRotation time.Duration

	// ACME gets certificates from an authority. Where there is none yet for the
	// name that a client asks for, one of Pairs is shown, if there is any.
	ACME ACME

	// HTTP is what to talk to the authority with; nil for the usual.
	HTTP *http.Client
}

// ticketKeys are kept: a ticket is good for at least two rotations.
const ticketKeys = 3

// Store is the present state of the files.
type Store struct {
	opts   Options
	issuer *issuer // nil where no certificates are to be got
	stop   context.CancelFunc

	// owned by the goroutine that calls Refresh
	files   []stamp
	loaded  files
	tickets [][32]byte // the newest first
	rotated time.Time

	current atomic.Pointer[tls.Config]
	expiry  atomic.Int64 // of the certificate that expires first, in seconds of Unix time
}

// files is what was read from them.
type files struct {
	pairs []tls.Certificate
	pool  *x509.CertPool // nil where no client certificates are asked for
	ca    string         // the text it was made of
}

// stamp tells whether a file may have changed.
type stamp struct {
	path string
	info os.FileInfo // nil for a file that is not there
}

func (s *stamp) same() bool {
	now, err := os.Stat(s.path)
	if err != nil || s.info == nil {
		return err != nil && s.info == nil
	}
	return os.SameFile(now, s.info) && now.ModTime().Equal(s.info.ModTime()) && now.Size() == s.info.Size()
}

// Open reads the files.
func Open(o Options, now time.Time) (*Store, error) {
	s := &Store{opts: o}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.issuer = newIssuer(ctx, o.ACME, o.HTTP)
	for _, p := range o.Pairs {
		s.files = append(s.files, stamp{path: p.Cert}, stamp{path: p.Key})
	}
	if o.ClientCA != "" {
		s.files = append(s.files, stamp{path: o.ClientCA})
	}
	s.look()
	var err error
	if s.loaded, err = o.load(); err != nil {
		return nil, err
	}
	s.newTicketKey(now)
	s.publish()
	return s, nil
}

// Current returns the configuration of the next handshake. It must not be changed.
func (s *Store) Current() *tls.Config { return s.current.Load() }

// Expiry returns when the first of the certificates expires, the zero time where
// there is none.
func (s *Store) Expiry() time.Time {
	var first time.Time
	if s.issuer != nil {
		first = s.issuer.expiry()
	}
	if at := s.expiry.Load(); at != 0 && (first.IsZero() || time.Unix(at, 0).Before(first)) {
		first = time.Unix(at, 0)
	}
	return first
}

// Obtain gets the certificates of ACME, tries again what failed, and returns when
// all are there or ctx has ended; report hears of each attempt. It does nothing
// where there are none to get.
func (s *Store) Obtain(ctx context.Context, report func(domain string, err error)) {
	if s.issuer == nil {
		return
	}
	defer context.AfterFunc(ctx, s.stop)()
	s.issuer.obtain(ctx, report)
}

// Close ends what is under way with an authority.
func (s *Store) Close() { s.stop() }

// Refresh reads the files again if one has changed, and replaces the key of
// session tickets when its time has come. changed tells whether new files are in
// force. After an error those before are, and the error is not repeated until a
// file changes once more: a pair of which only one half is replaced yet is such
// an error.
func (s *Store) Refresh(now time.Time) (changed bool, err error) {
	rotate := now.Sub(s.rotated) >= s.opts.TicketRotation
	if !slices.ContainsFunc(s.files, func(f stamp) bool { return !f.same() }) {
		if rotate {
			s.newTicketKey(now)
			s.Current().SetSessionTicketKeys(s.tickets)
		}
		return false, nil
	}
	s.look() // before they are read: what changes meanwhile is seen next time
	next, err := s.opts.load()
	if err != nil {
		return false, err
	}
	if next.ca != s.loaded.ca {
		s.tickets = nil // a resumed session is not held against the authorities again
		rotate = true
	}
	s.loaded = next
	if rotate {
		s.newTicketKey(now)
	}
	s.publish()
	return true, nil
}

func (s *Store) look() {
	for i := range s.files {
		f := &s.files[i]
		f.info, _ = os.Stat(f.path) // nil with an error
	}
}

func (s *Store) newTicketKey(now time.Time) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	s.tickets = append([][32]byte{key}, s.tickets[:min(len(s.tickets), ticketKeys-1)]...)
	s.rotated = now
}

// publish makes a configuration of what was read.
func (s *Store) publish() {
	cfg := &tls.Config{
		Certificates: s.loaded.pairs,
		MinVersion:   s.opts.MinVersion,
		CipherSuites: suites,
		NextProtos:   []string{"http/1.1"}, // a WebSocket needs it
		ClientAuth:   s.opts.ClientAuth,
		ClientCAs:    s.loaded.pool,

		// Small records would only cost: they help a browser to begin with a
		// page before all of it is there.
		DynamicRecordSizingDisabled: true,
	}
	if s.issuer != nil {
		cfg.GetCertificate = s.issuer.certificate
		cfg.NextProtos = append(cfg.NextProtos, acme.ALPNProto)
	}
	cfg.SetSessionTicketKeys(s.tickets)
	s.expiry.Store(s.loaded.expiry())
	s.current.Store(cfg)
}

// expiry returns when the first certificate expires, in Unix time; 0 for none.
func (f *files) expiry() (first int64) {
	for _, c := range f.pairs {
		if end := c.Leaf.NotAfter.Unix(); first == 0 || end < first {
			first = end
		}
	}
	return first
}

// suites are those of TLS 1.2: forward secrecy and authenticated encryption. The
// ones of 1.3 are all good and cannot be chosen.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// load reads all files.
func (o *Options) load() (f files, err error) {
	if len(o.Pairs)+len(o.ACME.Domains) == 0 {
		return f, errors.New("there is no certificate")
	}
	for _, p := range o.Pairs {
		c, err := Load(p)
		if err != nil {
			return f, err
		}
		f.pairs = append(f.pairs, c)
	}
	if o.ClientCA != "" {
		f.pool, f.ca, err = loadPool(o.ClientCA)
	}
	return f, err
}

// Load reads a certificate and its key, which must belong together.
func Load(p Pair) (tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return c, fmt.Errorf("certificate %s: %w", p.Cert, err)
	}
	return c, nil
}

// LoadPool reads the certificates of authorities.
func LoadPool(path string) (*x509.CertPool, error) {
	pool, _, err := loadPool(path)
	return pool, err
}

func loadPool(path string) (*x509.CertPool, string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("client authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, "", fmt.Errorf("client authorities: there is no certificate in %s", path)
	}
	return pool, string(text), nil
}
