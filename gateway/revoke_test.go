package gateway

import (
	"net/http/httptest"
	"testing"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
)

// here is a loop whose goroutine is the test's.
type here struct{}

func (here) Index() int           { return 0 }
func (here) Post(t hub.Task) bool { t.Run(); return true }

// listener is a link that remembers how it was closed.
type listener struct{ code frame.CloseCode }

func (l *listener) Send(*frame.Message) bool             { return true }
func (l *listener) Write(frame.Opcode, []byte) bool      { return true }
func (l *listener) Expire(time.Time)                     {}
func (l *listener) Close(code frame.CloseCode, _ string) { l.code = code }

// TestRevokedOnTheWay: a token that is revoked after it was judged and before its
// session is there, for those who revoke to be found, lets nobody stay.
func TestRevokedOnTheWay(t *testing.T) {
	const key = "a key of at least thirty-two bytes"
	tenants, err := auth.NewTenants(auth.Config{Keys: []auth.Key{{Secret: key}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(access.Config{}.WithDefaults(1, 1), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := New(Options{Hubs: hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": {}}}.WithDefaults(), 1), Tenants: tenants, Guard: guard})
	token, err := auth.Mint([]byte(key), auth.Claims{Hub: "chat", User: "ann", TTL: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]func(a Admission, l *listener) (*hub.Session, error){
		"both ways": func(a Admission, l *listener) (*hub.Session, error) { return a.Open(here{}, l) },
		"listening": func(a Admission, l *listener) (*hub.Session, error) {
			s, _, err := a.Listen(here{}, l, hub.Listening{})
			return s, err
		},
	}
	admit := func() Admission {
		a, refusal := g.Admit(httptest.NewRequest("GET", "/client/hubs/chat?access_token="+token, nil), "chat", []string{"json.sluice.v1"})
		if refusal != nil {
			t.Fatal(refusal.Reason)
		}
		return a
	}
	judged := map[string]Admission{}
	for name, open := range open {
		judged[name] = admit()
		var l listener
		if _, err := open(admit(), &l); err != nil || l.code != 0 {
			t.Errorf("%s: closed with %d, error %v, before anything was revoked", name, l.code, err)
		}
	}
	if err := tenants.Revoke("chat", auth.Revocation{User: "ann", IssuedUntil: time.Now()}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, open := range open {
		var l listener
		if _, err := open(judged[name], &l); err != nil || l.code != frame.ClosePolicyViolation {
			t.Errorf("%s: closed with %d, error %v", name, l.code, err)
		}
	}
}
