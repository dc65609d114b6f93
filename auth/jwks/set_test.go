package jwks

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/auth"
)

// provider is the other side of a fetcher, without a network.
type provider struct {
	mu       sync.Mutex
	requests int
	answer   string // "" while it is away
}

func (p *provider) RoundTrip(*http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if p.answer == "" {
		return nil, errors.New("away")
	}
	w := httptest.NewRecorder()
	w.WriteString(p.answer)
	return w.Result(), nil
}

func (p *provider) says(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// running returns a set that runs in the bubble of the test until it ends.
func running(t *testing.T, p *provider) *Set {
	s := New(Source{Issuer: "https://login.example.com", URL: "https://login.example.com/keys"}, nil)
	s.client.client.Transport = p
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); done.Wait() })
	synctest.Wait()
	return s
}

func (s *Set) expect(t *testing.T, id string) {
	t.Helper()
	keys, known := s.Keys()
	if known != (id != "") || known && keys[0].ID() != id {
		t.Fatalf("keys %v, known %v; want %q", keys, known, id)
	}
}

// after lets time pass and the set act on it.
func after(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

func TestSetRefreshesAndSurvivesAnOutage(t *testing.T) {
	one, two := set(edJWK(t, `,"kid":"one"`)), set(edJWK(t, `,"kid":"two"`))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		s := running(t, p)
		s.expect(t, "")
		p.says(one)
		after(minInterval)
		s.expect(t, "one")
		p.says(two)
		after(refresh)
		s.expect(t, "two")
		p.says("<html>a proxy's error page")
		after(maxStale - time.Minute)
		s.expect(t, "two")
		after(refresh + time.Minute)
		s.expect(t, "")
		p.says(one)
		after(refresh)
		s.expect(t, "one")
	})
}

func TestSetAsksForMissingKeysAtMostOnceInAWhile(t *testing.T) {
	one, two := set(edJWK(t, `,"kid":"one"`)), set(edJWK(t, `,"kid":"two"`))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{answer: one}
		s := running(t, p)
		p.says(two)
		for i := range 100 {
			if _, soon := s.Missing(strconv.Itoa(i)); !soon {
				t.Error("a missing key is not asked for")
			}
		}
		after(minInterval - 1)
		s.expect(t, "one")
		after(1)
		s.expect(t, "two")
		for i := range 101 {
			s.Missing(strconv.Itoa(1000 + i))
			after(minInterval / 100)
		}
		if n := p.asked(); n != 3 {
			t.Errorf("asked %d times, want 3: at the start, once for a hundred, and after %v", n, minInterval)
		}
	})
}

// waiter counts how often it was woken.
type waiter struct {
	woken atomic.Int32
	stop  func()
}

func (s *Set) waiter(t *testing.T, id string) *waiter {
	t.Helper()
	answer, soon := s.Missing(id)
	if !soon || answer == nil {
		t.Fatalf("%q: soon %v, to be waited for: %v", id, soon, answer != nil)
	}
	w := &waiter{}
	var ok bool
	if w.stop, ok = answer.Wait(func() { w.woken.Add(1) }); !ok {
		t.Fatal("no place to wait")
	}
	return w
}

// TestMissingKeysAreWaitedFor: for the next answer, and no longer where the key is
// made up.
func TestMissingKeysAreWaitedFor(t *testing.T) {
	one, two := set(edJWK(t, `,"kid":"one"`)), set(edJWK(t, `,"kid":"two"`))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{answer: one}
		s := running(t, p)
		p.says(two)
		genuine, madeUp, gone := s.waiter(t, "two"), s.waiter(t, "x"), s.waiter(t, "y")
		gone.stop()
		after(minInterval - 1)
		if genuine.woken.Load() != 0 {
			t.Error("woken before there was an answer")
		}
		after(1)
		if genuine.woken.Load() != 1 || madeUp.woken.Load() != 1 || gone.woken.Load() != 0 || s.room.Waiting() != 0 {
			t.Errorf("woken %d, %d and %d times", genuine.woken.Load(), madeUp.woken.Load(), gone.woken.Load())
		}
		s.expect(t, "two")
		if _, soon := s.Missing("x"); soon {
			t.Error("a name that the answer did not have is waited for again")
		}
		if _, soon := s.Missing("z"); !soon {
			t.Error("another name is not")
		}
		after(minInterval)
		s.waiter(t, "x") // the next answer may have it
	})
}

// TestWaitersAreBounded: in number, and in the names that are remembered for them.
func TestWaitersAreBounded(t *testing.T) {
	one := set(edJWK(t, `,"kid":"one"`))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{answer: one}
		s := running(t, p)
		for i := range maxWaiting {
			s.waiter(t, strconv.Itoa(i))
		}
		if answer, soon := s.Missing("1000"); !soon || answer != nil {
			t.Error("one name more is remembered")
		}
		answer, _ := s.Missing("1")
		if _, ok := answer.Wait(func() {}); ok {
			t.Error("one more may wait")
		}
		after(minInterval)
		if s.room.Waiting() != 0 || len(s.wanted) != 0 {
			t.Errorf("%d wait, %d names after an answer", s.room.Waiting(), len(s.wanted))
		}
	})
}

// TestBreaker: nobody waits for a provider that fails again and again, and
// everybody is woken each time it does.
func TestBreaker(t *testing.T) {
	one := set(edJWK(t, `,"kid":"one"`))
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		s := running(t, p)
		for n := 1; n < tripAfter; n++ {
			w := s.waiter(t, "one")
			after(minInterval)
			if w.woken.Load() != 1 || s.BreakerOpen() != (n+1 == tripAfter) {
				t.Fatalf("after %d failures: woken %d times, open %v", n+1, w.woken.Load(), s.BreakerOpen())
			}
		}
		if answer, soon := s.Missing("one"); !soon || answer != nil {
			t.Errorf("with an open breaker: soon %v, to be waited for: %v", soon, answer != nil)
		}
		p.says(one)
		after(minInterval) // somebody has asked, so it is not minutes
		s.expect(t, "one")
		if s.BreakerOpen() {
			t.Error("open after a good answer")
		}
	})
}

func TestSetBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		s := running(t, p)
		after(time.Hour)
		if n := p.asked(); n < 12 || n > 20 {
			t.Errorf("a provider that is away was asked %d times in an hour", n)
		}
		s.expect(t, "")
	})
}

func TestReadingKeysCostsNothing(t *testing.T) {
	keys := []auth.IssuerKey{{}}
	s := New(Source{}, nil)
	s.keys.Store(&keys)
	if n := testing.AllocsPerRun(100, func() { s.Keys() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFetch(t *testing.T) {
	good := set(edJWK(t, `,"kid":"one"`))
	mux := http.NewServeMux()
	provider := httptest.NewServer(mux)
	defer provider.Close()
	say := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
	}
	say("/keys", good)
	say("/huge", `{"keys":[],"padding":"`+strings.Repeat("x", maxDocument)+`"}`)
	mux.Handle("/elsewhere", http.RedirectHandler("/keys", http.StatusFound))
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Padding", strings.Repeat("x", 2*maxHeader))
		w.Write([]byte(good))
	})
	for tenant, uri := range map[string]string{
		"good": provider.URL + "/keys", "plain": "http://keys.example.com/keys", "file": "file:///etc/passwd", "none": "",
	} {
		say("/"+tenant+"/.well-known/openid-configuration", `{"issuer":"`+provider.URL+"/"+tenant+`","jwks_uri":"`+uri+`"}`)
	}
	say("/another/.well-known/openid-configuration", `{"issuer":"https://evil.example.com","jwks_uri":"`+provider.URL+`/keys"}`)
	say("/broken/.well-known/openid-configuration", `<html>`)

	for name, c := range map[string]struct {
		source Source
		ok     bool
	}{
		"address":          {Source{URL: provider.URL + "/keys"}, true},
		"discovery":        {Source{Issuer: provider.URL + "/good"}, true},
		"huge":             {Source{URL: provider.URL + "/huge"}, false},
		"huge header":      {Source{URL: provider.URL + "/header"}, false},
		"redirect":         {Source{URL: provider.URL + "/elsewhere"}, false},
		"not found":        {Source{URL: provider.URL + "/nothing"}, false},
		"plain HTTP":       {Source{Issuer: provider.URL + "/plain"}, false},
		"a file":           {Source{Issuer: provider.URL + "/file"}, false},
		"no address":       {Source{Issuer: provider.URL + "/none"}, false},
		"another issuer":   {Source{Issuer: provider.URL + "/another"}, false},
		"broken discovery": {Source{Issuer: provider.URL + "/broken"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := newClient().fetch(t.Context(), c.source)
			if (err == nil) != c.ok || c.ok && keys[0].ID() != "one" {
				t.Errorf("keys %v and the error %v", keys, err)
			}
		})
	}
}

func TestFetchGivesUp(t *testing.T) {
	asked := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // never answers
	}))
	defer provider.Close()
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-asked; stop() }()
	if _, err := newClient().fetch(ctx, Source{URL: provider.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
