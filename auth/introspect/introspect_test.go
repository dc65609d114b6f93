package introspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/auth"
	"sluice/internal/later"
)

// provider is the other side of a client, without a network.
type provider struct {
	mu     sync.Mutex
	asked  []string          // guarded by mu; tokens
	says   map[string]string // guarded by mu; answers by token, others are not active
	status int               // guarded by mu; 0 for 200, negative: the network is down
	takes  time.Duration     // guarded by mu
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	p.mu.Lock()
	p.asked = append(p.asked, form.Get("token"))
	answer, status, takes := p.says[form.Get("token")], p.status, p.takes
	p.mu.Unlock()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(takes):
	}
	if status < 0 {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	if status != 0 {
		w.WriteHeader(status)
	}
	if answer == "" {
		answer = `{"active":false}`
	}
	w.WriteString(answer)
	return w.Result(), nil
}

func (p *provider) set(status int, takes time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.takes = status, takes
}

func (p *provider) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// rig is a client that runs in the bubble of the test until it ends.
type rig struct {
	*Client
	t        *testing.T
	provider *provider

	mu      sync.Mutex
	results map[Result]int // guarded by mu
	errors  []string       // guarded by mu
}

func newRig(t *testing.T, cfg auth.Introspection) *rig {
	cfg.URL, cfg.ClientID, cfg.ClientSecret = "https://login.example.com/introspect", "id", "the-secret"
	r := &rig{t: t, provider: &provider{says: map[string]string{}}, results: map[Result]int{}}
	r.Client = New(cfg, func(result Result, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results[result]++
		if err != nil {
			r.errors = append(r.errors, err.Error())
		}
	})
	r.asker.client.Transport = r.provider
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		stop()
		done.Wait()
		if n := len(r.asking); n != 0 || r.room.Waiting() != 0 {
			t.Errorf("%d questions and %d who wait are left", n, r.room.Waiting())
		}
	})
	return r
}

func (r *rig) count(result Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[result]
}

// learn asks, waits for the answer and asks again.
func (r *rig) learn(token string) auth.Introspected {
	r.t.Helper()
	first := r.Introspect(token)
	if first.Later == nil {
		return first
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute) // of the bubble
	defer cancel()
	if !later.Block(ctx, first.Later) {
		r.t.Fatalf("never woken about %q", token)
	}
	return r.Introspect(token)
}

func (r *rig) expect(token string, known, active bool) {
	r.t.Helper()
	if got := r.learn(token); got.Known != known || got.Active != active || got.Later != nil {
		r.t.Errorf("%q: known %v, active %v, later %v; want %v, %v, nothing", token, got.Known, got.Active, got.Later != nil, known, active)
	}
}

func (r *rig) asks(want int) {
	r.t.Helper()
	if n := r.provider.times(); n != want {
		r.t.Errorf("asked %d times, want %d", n, want)
	}
}

func answer(more string) string { return `{"active":true` + more + `}` }

func TestAnswersAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{})
		soon := fmt.Sprintf(`,"exp":%d`, time.Now().Add(20*time.Second).Unix())
		r.provider.says["good"] = answer(`,"sub":"ann"`)
		r.provider.says["short"] = answer(soon)
		r.provider.says["over"] = answer(`,"exp":1`)
		for range 3 {
			r.expect("good", true, true)
			r.expect("short", true, true)
			r.expect("over", true, true) // that it is over is for auth to see
			r.expect("bad", true, false)
		}
		r.asks(4)
		if got := r.Introspect("good"); string(got.Claims) != r.provider.says["good"] {
			t.Errorf("claims %q", got.Claims)
		}
		time.Sleep(minTTL)
		r.expect("over", true, true)
		r.asks(5)
		r.expect("bad", true, false)
		r.asks(5)
		time.Sleep(8 * time.Second) // negative_ttl
		r.expect("bad", true, false)
		r.expect("short", true, true)
		r.asks(6)
		time.Sleep(10 * time.Second) // the end of the token
		r.expect("short", true, true)
		r.expect("good", true, true)
		r.asks(7)
		time.Sleep(40 * time.Second) // cache_ttl
		r.provider.mu.Lock()
		r.provider.says["good"] = ""
		r.provider.mu.Unlock()
		r.expect("good", true, false)
		r.asks(8)
		if r.count(Active) != 5 || r.count(Inactive) != 3 || r.count(Failed) != 0 {
			t.Errorf("counted %v", r.results)
		}
	})
}

// TestManyAskAboutOne: one request, and everybody is woken.
func TestManyAskAboutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{})
		r.provider.says["good"] = answer("")
		r.provider.set(0, 3*time.Second)
		var woken atomic.Int32
		for range 500 {
			got := r.Introspect("good")
			if got.Known || got.Later == nil {
				t.Fatalf("got %+v", got)
			}
			if _, ok := got.Later.Wait(func() { woken.Add(1) }); !ok {
				t.Fatal("no place to wait")
			}
		}
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		if woken.Load() != 0 {
			t.Error("woken before the answer")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if woken.Load() != 500 || !r.Introspect("good").Active {
			t.Errorf("%d were woken", woken.Load())
		}
		r.asks(1)
	})
}

// TestBounds: of the workers, the queue, those who wait and what is remembered.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{Workers: 2, Queue: 3, CacheEntries: 4})
		r.provider.set(0, time.Second)
		var waiting []auth.Introspected
		for i := range 5 {
			got := r.Introspect(fmt.Sprint(i))
			if got.Later == nil {
				t.Fatalf("no place for question %d", i)
			}
			if _, ok := got.Later.Wait(func() {}); !ok {
				t.Fatalf("no place to wait for answer %d", i)
			}
			waiting = append(waiting, got)
			synctest.Wait() // until a worker has it, where one is free
		}
		if got := r.Introspect("one more"); got.Known || got.Later != nil || r.count(QueueFull) != 1 {
			t.Errorf("a question beyond the queue: %+v", got)
		}
		if _, ok := waiting[0].Later.Wait(func() {}); ok {
			t.Error("one more may wait")
		}
		r.asks(2)
		time.Sleep(time.Second)
		synctest.Wait()
		r.asks(4)
		time.Sleep(time.Second)
		synctest.Wait()
		r.asks(5)
		time.Sleep(time.Second)
		synctest.Wait()
		if r.Entries() != 4 || r.Introspect("0").Known && r.Introspect("1").Known || !r.Introspect("4").Known {
			t.Errorf("%d answers are remembered", r.Entries())
		}
		time.Sleep(2 * time.Second)
	})
}

func TestBreaker(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		takes  time.Duration
		result Result
	}{
		"down":         {-1, 0, Failed},
		"broken":       {500, 0, Failed},
		"lets no ask":  {401, 0, Failed},
		"answers late": {0, time.Hour, Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, auth.Introspection{BreakerFailures: 3, BreakerPause: 30 * time.Second})
				r.provider.says["remembered"], r.provider.says["new"] = answer(""), answer("")
				r.expect("remembered", true, true)
				r.provider.set(c.status, c.takes)
				for i := range 3 {
					if r.BreakerOpen() {
						t.Fatalf("open after %d failures", i)
					}
					r.expect(fmt.Sprint(i), false, false)
				}
				if r.count(c.result) != 3 || !r.BreakerOpen() {
					t.Fatalf("counted %v, open: %v", r.results, r.BreakerOpen())
				}
				r.asks(4)
				for range 100 {
					if got := r.Introspect("new"); got.Known || got.Later != nil {
						t.Fatalf("with an open breaker: %+v", got)
					}
				}
				r.expect("remembered", true, true)
				r.asks(4)
				if r.count(BreakerOpen) != 100 {
					t.Errorf("counted %v", r.results)
				}

				time.Sleep(30*time.Second + 1)
				probe := r.Introspect("probe")
				if probe.Later == nil || !r.BreakerOpen() {
					t.Fatalf("after the pause: %+v", probe)
				}
				if got := r.Introspect("new"); got.Later != nil {
					t.Error("a second question goes beside the probe")
				}
				r.expect("probe", false, false)
				if got := r.Introspect("new"); got.Later != nil || !r.BreakerOpen() {
					t.Error("closed after a probe that failed")
				}
				r.asks(5)

				time.Sleep(30*time.Second + 1)
				r.provider.set(0, 0)
				r.expect("new", true, true)
				if r.BreakerOpen() {
					t.Error("open after a good probe")
				}
				for _, e := range r.errors {
					if strings.Contains(e, "the-secret") {
						t.Errorf("an error shows the secret: %s", e)
					}
				}
			})
		})
	}
}

// TestQueueDoesNotHoldUpTheProbe: what was queued before the breaker opened is given
// up, or the provider would be tried only minutes later.
func TestQueueDoesNotHoldUpTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{Workers: 1, BreakerFailures: 2, Timeout: 5 * time.Second, BreakerPause: 10 * time.Second})
		r.provider.set(0, time.Hour)
		for i := range 500 {
			r.Introspect(fmt.Sprint(i))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.asks(2)
		if n := r.count(BreakerOpen); n != 498 || len(r.asking) != 0 {
			t.Errorf("%d were given up, %d are still queued", n, len(r.asking))
		}
		time.Sleep(10*time.Second + 1)
		r.provider.set(0, 0)
		r.expect("back", true, false)
	})
}

// TestMadeUpTokensOpenNoBreaker: some providers answer 400 to what does not look
// like a token of theirs, and anybody may send that.
func TestMadeUpTokensOpenNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{BreakerFailures: 2})
		r.provider.set(http.StatusBadRequest, 0)
		for i := range 10 {
			r.expect(fmt.Sprint(i), false, false)
		}
		if r.BreakerOpen() || r.count(Failed) != 10 {
			t.Errorf("open: %v, counted %v", r.BreakerOpen(), r.results)
		}
	})
}

// TestFailureIsNotRepeatedAtOnce: those who were woken by a failure do not cause the
// next.
func TestFailureIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, auth.Introspection{})
		r.provider.set(500, 0)
		for range 50 {
			r.expect("token", false, false)
		}
		r.asks(1)
		time.Sleep(failureTTL)
		r.expect("token", false, false)
		r.asks(2)
	})
}

// TestStop: a request that is broken off wakes those who wait for it, and is no
// failure of the provider.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: time.Hour}
		c := New(auth.Introspection{URL: "https://login.example.com", ClientID: "id", Workers: 1, BreakerFailures: 1}, nil)
		c.asker.client.Transport = p
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { c.Run(ctx) })
		woken := 0
		for _, token := range []string{"under way", "queued"} {
			c.Introspect(token).Later.Wait(func() { woken++ })
			synctest.Wait()
		}
		stop()
		done.Wait()
		if woken != 2 || c.BreakerOpen() || len(p.asked) != 1 {
			t.Errorf("%d were woken, open: %v, asked %q", woken, c.BreakerOpen(), p.asked)
		}
	})
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body string
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		io.WriteString(w, `{"active":true,"sub":"ann"}`)
	})
	mux.Handle("/elsewhere", http.RedirectHandler("/introspect", http.StatusTemporaryRedirect))
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, answer(`,"x":"`+strings.Repeat("x", maxAnswer)+`"`))
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Padding", strings.Repeat("x", 2*maxHeader))
		io.WriteString(w, answer(""))
	})
	ask := func(cfg auth.Introspection, path string) ([]byte, error) {
		cfg.URL = server.URL + path
		a := newAsker(cfg.WithDefaults())
		defer a.close()
		return a.ask(t.Context(), "a+b/c=")
	}

	claims, err := ask(auth.Introspection{ClientID: "a:b", ClientSecret: "c d%"}, "/introspect")
	if err != nil || string(claims) != `{"active":true,"sub":"ann"}` {
		t.Fatalf("claims %s, error %v", claims, err)
	}
	if id, secret, _ := got.BasicAuth(); id != "a%3Ab" || secret != "c+d%25" {
		t.Errorf("asked as %q with %q (RFC 6749 section 2.3.1)", id, secret)
	}
	if body != "token=a%2Bb%2Fc%3D&token_type_hint=access_token" || got.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || got.URL.RawQuery != "" {
		t.Errorf("sent %q as %q", body, got.Header)
	}
	if _, err := ask(auth.Introspection{BearerToken: "let-me"}, "/introspect"); err != nil || got.Header.Get("Authorization") != "Bearer let-me" {
		t.Errorf("with a bearer token: %v, %q", err, got.Header)
	}
	got = nil
	for _, path := range []string{"/elsewhere", "/huge", "/header", "/nothing"} {
		if claims, err := ask(auth.Introspection{ClientID: "id"}, path); err == nil {
			t.Errorf("%s: took %.20q", path, claims)
		}
	}
	if got != nil {
		t.Error("a redirect was followed")
	}
}

var parsed = []struct {
	answer      string
	active, bad bool
}{
	{`{"active":true}`, true, false},
	{`{"active":true,"sub":"ann","aud":["a"]}`, true, false},
	{`{"active":false,"sub":"ann"}`, false, false},
	{`{"active":"true"}`, false, true},
	{`{"active":1}`, false, true},
	{`{"active":null}`, false, true},
	{`{"ACTIVE":true}`, false, true},
	{`{"active":false,"active":true}`, false, true},
	{`{"sub":"ann"}`, false, true},
	{`{"active":true`, false, true},
	{`[true]`, false, true},
	{`<html>`, false, true},
	{``, false, true},
}

func TestParse(t *testing.T) {
	for _, tt := range parsed {
		claims, err := parse([]byte(tt.answer))
		if (claims != nil) != tt.active || (err != nil) != tt.bad {
			t.Errorf("%s: claims %s, error %v", tt.answer, claims, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range parsed {
		f.Add(tt.answer)
	}
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := parse([]byte(text))
		if claims != nil && (err != nil || !strings.Contains(text, "active") && !strings.Contains(text, `\u`)) {
			t.Errorf("%q is active", text)
		}
		if claims != nil && expiryOf(claims).IsZero() {
			t.Errorf("%q has no expiry", text)
		}
	})
}

// TestAnswersAgainstAPlainList: the same as a list that is searched from its end.
func TestAnswersAgainstAPlainList(t *testing.T) {
	const most = 5
	a, start := newAnswers(most), time.Unix(0, 0)
	type plain struct {
		key   key
		until time.Time
	}
	var list []plain // the latest last
	for i := range 20_000 {
		k, now := key{byte(i * 7919 % 11)}, start.Add(time.Duration(i)*time.Second)
		at := slices.IndexFunc(list, func(p plain) bool { return p.key == k })
		if i%3 == 0 {
			until := now.Add(time.Duration(i%13) * time.Second)
			a.put(k, auth.Introspected{Known: true}, until)
			if at >= 0 {
				list = slices.Delete(list, at, at+1)
			} else if len(list) == most {
				list = slices.Delete(list, 0, 1)
			}
			list = append(list, plain{k, until})
			continue
		}
		want := at >= 0 && now.Before(list[at].until)
		if at >= 0 {
			p := list[at]
			if list = slices.Delete(list, at, at+1); want {
				list = append(list, p)
			}
		}
		if _, got := a.get(k, now); got != want || a.len() != len(list) || len(a.byKey) != len(list) {
			t.Fatalf("step %d: got %v, want %v; %d of %d", i, got, want, a.len(), len(list))
		}
	}
}
