package login_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/api/login"
	"sluice/internal/testkit"
	"sluice/internal/testkit/provider"
)

// client has tokens that outlive what the tests do to the clock.
var client = provider.Client{ID: "sluice-ops", Secret: "the secret of the client", Life: 24 * time.Hour}

// site is a server with pages that need a login.
type site struct {
	*login.Login
	t   *testing.T
	url string
	p   *provider.Provider
	cfg login.Config

	mu      sync.Mutex // guards what follows
	ahead   time.Duration
	frozen  time.Time // zero while the clock goes
	results []string
	log     bytes.Buffer
}

// Write takes a line of the log.
func (s *site) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

// logged returns the log since the last time.
func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.log.Reset()
	return s.log.String()
}

// start runs a site for the users of a provider who are in the group ops.
func start(t *testing.T, change func(*login.Config)) *site {
	t.Helper()
	testkit.NoLeaks(t)
	s := &site{t: t, p: provider.Start(t)}
	server := httptest.NewUnstartedServer(nil)
	server.TLS = provider.ServerTLS(t)
	s.url = "https://" + server.Listener.Addr().String()
	known := client
	known.RedirectURIs = []string{s.url + "/oauth/callback"}
	s.p.Register(known)
	s.cfg = login.Config{
		Issuer: s.p.URL, ClientID: client.ID, ClientSecret: "the secret of the client", URL: s.url,
		Scopes: []string{"openid", "email", "profile", "groups"},
		Allow:  login.Allow{Claim: "groups", Values: []string{"ops"}},
	}
	if change != nil {
		change(&s.cfg)
	}
	s.cfg.Validate(func(key, problem string) { t.Errorf("%s %s", key, problem) })
	s.Login = s.newLogin()
	mux := http.NewServeMux()
	mux.Handle("/oauth/", s.Pages())
	mux.Handle("/metrics", s.ProtectMetrics(http.HandlerFunc(page)))
	mux.Handle("/", s.Protect(http.HandlerFunc(page)))
	server.Config.Handler = mux
	server.StartTLS()
	t.Cleanup(server.Close)
	return s
}

// newLogin returns what another process with the same configuration has.
func (s *site) newLogin() *login.Login {
	s.t.Helper()
	l, err := login.New(s.cfg, login.Options{Observe: s.observe, Now: s.now, Log: slog.New(slog.NewTextHandler(s, nil))})
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func page(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the page "+r.URL.String()) }

func (s *site) observe(result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, result)
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.frozen.IsZero() {
		return s.frozen
	}
	return time.Now().Add(s.ahead)
}

// freeze stops the clock of the site.
func (s *site) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = time.Now()
}

// later moves the clock of the site.
func (s *site) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

// expect compares what came of the logins since the last time.
func (s *site) expect(want ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.results, want) {
		s.t.Errorf("logins: %q, want %q", s.results, want)
	}
	s.results = nil
}

// browser is somebody with cookies.
type browser struct {
	*http.Client
	s *site
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{&http.Client{Jar: jar, Transport: transport}, s}
}

// ask sends a request as browsers do and returns the answer with its body.
func (b *browser) ask(method, address string, headers ...string) (*http.Response, string) {
	b.s.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.s.url + address
	}
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.Do(r)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return answer, string(body)
}

// get goes where it is sent, and returns what is there.
func (b *browser) get(address string) (status int, body string) {
	b.s.t.Helper()
	answer, body := b.ask(http.MethodGet, address)
	return answer.StatusCode, body
}

// callback logs in at the provider and stops before the answer reaches the site.
func (b *browser) callback(to string) string {
	b.s.t.Helper()
	return b.until("/oauth/login?to="+url.QueryEscape(to), func(u *url.URL) bool { return u.Path == "/oauth/callback" })
}

// until goes where it is sent, until that is a certain address.
func (b *browser) until(address string, there func(*url.URL) bool) string {
	b.s.t.Helper()
	follow := b.CheckRedirect
	defer func() { b.CheckRedirect = follow }()
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if there(r.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	answer, body := b.ask(http.MethodGet, address)
	next, err := answer.Location()
	if err != nil {
		b.s.t.Fatalf("%s: %s", answer.Status, body)
	}
	return next.String()
}

// loggedIn tells whether a page is shown without a way to the provider.
func (b *browser) loggedIn() bool {
	b.s.t.Helper()
	answer, _ := b.ask(http.MethodGet, "/", "Accept", "*/*")
	return answer.StatusCode == http.StatusOK
}

// cookie returns a cookie that the site has set.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.s.url)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// set puts a cookie in by hand.
func (b *browser) set(name, value string) {
	u, _ := url.Parse(b.s.url)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

const sessionCookie = "__Host-sluice_session"

// TestLogin goes the whole way with a real provider.
func TestLogin(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	if status, body := b.get("/slow-consumers?n=3"); status != http.StatusOK || body != "the page /slow-consumers?n=3" {
		t.Fatalf("%d %s", status, body)
	}
	s.expect("ok")
	if !b.loggedIn() {
		t.Errorf("logged in, and not let in the next time")
	}
	if got := b.until("/oauth/login?to=/debug/pprof/", func(*url.URL) bool { return true }); got != s.url+"/debug/pprof/" {
		t.Errorf("a login of somebody who is logged in leads to %s", got)
	}
	if n := s.p.Asked("/authorize"); n != 1 {
		t.Errorf("sent to the provider %d times", n)
	}
	if s.browser().loggedIn() {
		t.Errorf("another browser is logged in too")
	}
}

// TestRequest looks at what the provider is asked, and at the cookies.
func TestRequest(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	first := b.until("/metrics-of-old", func(*url.URL) bool { return true })
	if first != s.url+"/oauth/login?to=%2Fmetrics-of-old" {
		t.Errorf("first to %s", first)
	}
	asked, err := url.Parse(b.until(first, func(u *url.URL) bool { return u.Path == "/authorize" }))
	if err != nil {
		t.Fatal(err)
	}
	query := asked.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": client.ID, "redirect_uri": s.url + "/oauth/callback",
		"scope": "openid email profile groups", "code_challenge_method": "S256",
	} {
		if got := query.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(query.Get(name)) < 22 {
			t.Errorf("%s: %q has less than 128 bits", name, query.Get(name))
		}
	}
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, _ := b.ask(http.MethodGet, b.callback("/x"))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != s.url+"/x" ||
		answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%s %v", answer.Status, answer.Header)
	}
	cookies := answer.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	if c := cookies[0]; c.Name != sessionCookie || c.Path != "/" || c.Domain != "" || !c.HttpOnly || !c.Secure ||
		c.SameSite != http.SameSiteLaxMode || c.MaxAge != 8*3600 {
		t.Errorf("the cookie: %v", c)
	}
}

// TestPrograms: who cannot log in is told so.
func TestPrograms(t *testing.T) {
	s := start(t, nil)
	for _, tt := range []struct {
		method, accept string
		status         int
	}{
		{"GET", "*/*", 401},
		{"GET", "application/json", 401},
		{"POST", "text/html", 401},
		{"HEAD", "text/html", 302},
		{"GET", "text/html", 302},
	} {
		b := s.browser()
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		answer, body := b.ask(tt.method, "/slow-consumers", "Accept", tt.accept)
		if answer.StatusCode != tt.status || strings.Contains(body, "the page") {
			t.Errorf("%s for %s: %s %s", tt.method, tt.accept, answer.Status, body)
		}
		if challenge := answer.Header.Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
			t.Errorf("%s for %s: WWW-Authenticate %q", tt.method, tt.accept, challenge)
		}
	}
	s.expect()
}

// TestTabs: several pages of one browser may log in at once.
func TestTabs(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	one, two := b.callback("/one"), b.callback("/two")
	for address, want := range map[string]string{one: "the page /one", two: "the page /two"} {
		if _, body := b.get(address); body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
	s.expect("ok", "ok")
}

// change replaces a parameter of an address.
func change(address, name, value string) string {
	u, _ := url.Parse(address)
	query := u.Query()
	query.Set(name, value)
	if value == "" {
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// TestCallback: an answer that is not of this login begins no session.
func TestCallback(t *testing.T) {
	s := start(t, nil)
	other := s.browser()
	foreign := other.callback("/")
	parameter := func(address, name string) string {
		u, _ := url.Parse(address)
		return u.Query().Get(name)
	}
	for _, tt := range []struct {
		name   string
		forge  func(b *browser, genuine string) string
		status int
		result string
	}{
		{"no state", func(_ *browser, a string) string { return change(a, "state", "") }, 400, "state"},
		{"made-up state", func(_ *browser, a string) string { return change(a, "state", "eyJhIjoxfQ") }, 400, "state"},
		{"long state", func(_ *browser, a string) string { return change(a, "state", strings.Repeat("A", 5000)) }, 400, "state"},
		{"altered state", func(_ *browser, a string) string {
			text := parameter(a, "state")
			if text[0] == 'A' {
				return change(a, "state", "B"+text[1:])
			}
			return change(a, "state", "A"+text[1:])
		}, 400, "state"},
		{"state of another browser", func(_ *browser, a string) string {
			return change(a, "state", parameter(foreign, "state"))
		}, 400, "state"},
		{"the whole answer to another browser", func(*browser, string) string { return foreign }, 400, "state"},
		{"no cookie", func(b *browser, a string) string { b.Jar, _ = cookiejar.New(nil); return a }, 400, "state"},
		{"code of another login", func(_ *browser, a string) string {
			return change(a, "code", parameter(foreign, "code"))
		}, 403, "refused"},
		{"made-up code", func(_ *browser, a string) string { return change(a, "code", "made up") }, 403, "refused"},
		{"no code", func(_ *browser, a string) string { return change(a, "code", "") }, 400, "refused"},
		{"another provider's", func(_ *browser, a string) string { return change(a, "iss", "https://evil.test") }, 400, "refused"},
		{"the user says no", func(_ *browser, a string) string { return change(a, "error", "access_denied") }, 403, "refused"},
		{"nonce of another login", func(b *browser, _ string) string {
			s.p.SetNonce("of another login")
			defer s.p.SetNonce("")
			return b.callback("/")
		}, 403, "refused"},
		{"too late", func(_ *browser, a string) string { s.later(login.StateLife); return a }, 400, "state"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.browser()
			address := tt.forge(b, b.callback("/"))
			answer, body := b.ask(http.MethodGet, address)
			if answer.StatusCode != tt.status || b.cookie(sessionCookie) != "" || b.loggedIn() {
				t.Errorf("%s %s", answer.Status, body)
			}
			s.expect(tt.result)
		})
	}
}

// TestReplay: a code is good once, and the error shows nothing of it.
func TestReplay(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	address := b.callback("/")
	if status, body := b.get(address); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	status, body := b.get(address)
	if status != http.StatusForbidden {
		t.Errorf("a second time: %d %s", status, body)
	}
	s.expect("ok", "refused")
	seen := s.logged() + body
	if !strings.Contains(seen, "subject=u-1") || !strings.Contains(seen, "invalid_grant") {
		t.Errorf("the log has neither login:\n%s", seen)
	}
	query, _ := url.Parse(address)
	for _, secret := range []string{query.Query().Get("code"), query.Query().Get("state"), client.Secret, b.cookie(sessionCookie)} {
		if strings.Contains(seen, secret) {
			t.Errorf("%q shows in\n%s", secret, seen)
		}
	}
	thief := s.browser()
	thief.set("__Host-sluice_login", b.cookie("__Host-sluice_login"))
	if status, _ := thief.get(address); status != http.StatusForbidden || thief.loggedIn() {
		t.Errorf("with all that the browser had: %d", status)
	}
}

// TestStranger: who is not among those allowed gets no session.
func TestStranger(t *testing.T) {
	s := start(t, nil)
	s.p.SetUser(provider.User{Subject: "u-9", Email: "eve@example.com", EmailVerified: true, Groups: []string{"sales", "oops"}})
	b := s.browser()
	if status, body := b.get("/"); status != http.StatusForbidden || strings.Contains(body, "the page") || b.loggedIn() {
		t.Errorf("%d %s", status, body)
	}
	s.expect("forbidden")
}

// TestForgedSession: nothing but what this process has sealed as a session is one.
func TestForgedSession(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	b.get("/")
	genuine := b.cookie(sessionCookie)
	elsewhere := s.newLogin()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: genuine})
	elsewhere.Protect(http.HandlerFunc(page)).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("in another process, with the same configuration: %d", w.Code)
	}
	u, _ := url.Parse(s.browser().callback("/"))
	for name, value := range map[string]string{
		"empty":     "",
		"plain":     "eyJzdWIiOiJ1LTEiLCJlbmQiOjk5OTk5OTk5OTl9",
		"first bit": string(genuine[0]^1) + genuine[1:],
		"last bit":  genuine[:len(genuine)-2] + string(genuine[len(genuine)-2]^1) + genuine[len(genuine)-1:],
		"cut":       genuine[:len(genuine)-4],
		"longer":    genuine + "AAAA",
		"a state":   u.Query().Get("state"),
	} {
		forger := s.browser()
		forger.set(sessionCookie, value)
		if forger.loggedIn() {
			t.Errorf("%s: let in", name)
		}
	}
	thief := s.browser()
	thief.set(sessionCookie, genuine)
	if !thief.loggedIn() {
		t.Errorf("the genuine cookie is not good, so this test shows nothing")
	}
}

func TestSessionEnds(t *testing.T) {
	s := start(t, func(c *login.Config) { c.SessionLife = time.Hour })
	b := s.browser()
	b.get("/")
	s.later(59 * time.Minute)
	if !b.loggedIn() {
		t.Errorf("ended too early")
	}
	s.later(time.Minute)
	if b.loggedIn() {
		t.Errorf("let in after the end of the session")
	}
}

// TestOpenRedirect: a login leads to pages of this site and nowhere else.
func TestOpenRedirect(t *testing.T) {
	s := start(t, nil)
	for _, to := range []string{
		"https://evil.test/", "//evil.test/", `/\evil.test/`, `\\evil.test`, "/\t/evil.test", "/\n/evil.test", "evil.test",
		"javascript:alert(1)", "https:evil.test", "/oauth/login?to=/", "@evil.test/", ".evil.test/", ":1@evil.test",
	} {
		b := s.browser()
		b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.Contains(r.URL.Host, "evil") {
				t.Errorf("%q led to %s", to, r.URL)
				return http.ErrUseLastResponse
			}
			return nil
		}
		if status, body := b.get("/oauth/login?to=" + url.QueryEscape(to)); status != http.StatusOK || body != "the page /" {
			t.Errorf("%q: %d %s", to, status, body)
		}
	}
}

func TestLogout(t *testing.T) {
	s := start(t, nil)
	b := s.browser()
	b.get("/")
	genuine := b.cookie(sessionCookie)
	if status, body := b.get("/oauth/logout"); status != http.StatusOK || !strings.Contains(body, `method="post"`) || !b.loggedIn() {
		t.Errorf("to ask for it: %d %s", status, body)
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
		if answer, _ := b.ask(http.MethodPost, "/oauth/logout", headers...); answer.StatusCode != http.StatusForbidden || !b.loggedIn() {
			t.Errorf("from another site (%v): %s", headers, answer.Status)
		}
	}
	answer, body := b.ask(http.MethodPost, "/oauth/logout", "Origin", s.url)
	if answer.StatusCode != http.StatusOK || b.cookie(sessionCookie) != "" || b.loggedIn() {
		t.Errorf("%s %s", answer.Status, body)
	}
	b.set(sessionCookie, genuine)
	if b.loggedIn() {
		t.Errorf("a copy of the cookie outlives the logout")
	}
	if answer, _ := s.browser().ask(http.MethodPost, "/oauth/logout"); answer.StatusCode != http.StatusOK {
		t.Errorf("without a session: %s", answer.Status)
	}
}

// TestProviderAway: a site starts without its provider and says so, and goes on
// when that is back.
func TestProviderAway(t *testing.T) {
	s := start(t, nil)
	s.p.SetDown(true)
	b := s.browser()
	for range 3 {
		if answer, body := b.ask(http.MethodGet, "/"); answer.StatusCode != http.StatusServiceUnavailable ||
			answer.Header.Get("Retry-After") == "" || !strings.Contains(body, "cannot be reached") {
			t.Errorf("%s %s", answer.Status, body)
		}
	}
	s.expect("provider_unavailable", "provider_unavailable", "provider_unavailable")
	if n := s.p.Asked("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times at once", n)
	}

	s.p.SetDown(false)
	s.later(login.RetryAfter)
	address := b.callback("/")
	s.p.SetDown(true)
	if answer, _ := b.ask(http.MethodGet, address); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("between the way there and back: %s", answer.Status)
	}
	s.p.SetDown(false)
	if status, body := b.get("/x"); status != http.StatusOK || body != "the page /x" {
		t.Errorf("when it is back: %d %s", status, body)
	}
	s.p.SetDown(true)
	if !b.loggedIn() {
		t.Errorf("a session needs the provider")
	}
	s.expect("provider_unavailable", "ok")
	s.later(login.Rediscover)
	other := s.browser()
	other.until("/", func(u *url.URL) bool { return u.Path == "/authorize" }) // with what was found before
	s.p.SetDown(false)
	if status, _ := other.get("/"); status != http.StatusOK {
		t.Errorf("after that: %d", status)
	}
}

// TestWrongSecret: the log says what is wrong with the configuration, not the
// browser, and strangers cannot fill it.
func TestWrongSecret(t *testing.T) {
	s := start(t, func(c *login.Config) { c.ClientSecret = "of another client" })
	s.freeze()
	for range 5 {
		if status, body := s.browser().get("/"); status != http.StatusForbidden || strings.Contains(body, "_client") {
			t.Errorf("%d %s", status, body)
		}
	}
	s.expect("refused", "refused", "refused", "refused", "refused")
	if log := s.logged(); !strings.Contains(log, "_client") || strings.Contains(log, "of another client") || strings.Count(log, "\n") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// TestRotation: a login goes through after the provider has changed its key.
func TestRotation(t *testing.T) {
	s := start(t, nil)
	s.browser().get("/")
	s.p.Rotate()
	s.p.Withdraw()
	if status, body := s.browser().get("/"); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	s.expect("ok", "ok")
}

// TestBusy: those who wait for the provider are bounded.
func TestBusy(t *testing.T) {
	s := start(t, nil)
	for range cap(s.Underway()) {
		s.Underway() <- struct{}{}
	}
	if status, body := s.browser().get("/"); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, body)
	}
	s.expect("busy")
	<-s.Underway()
	if status, _ := s.browser().get("/"); status != http.StatusOK {
		t.Errorf("with one place: %d", status)
	}
}

func TestMetricsToken(t *testing.T) {
	const token = "0123456789abcdef"
	s := start(t, func(c *login.Config) { c.MetricsToken = token })
	for _, tt := range []struct {
		header string
		status int
	}{
		{"", 401}, {"Bearer " + token, 200}, {"bearer " + token, 200},
		{"Bearer " + token[1:], 401}, {"Bearer", 401}, {"Basic " + token, 401}, {token, 401},
	} {
		answer, _ := s.browser().ask(http.MethodGet, "/metrics", "Authorization", tt.header, "Accept", "*/*")
		if answer.StatusCode != tt.status || (tt.status == 401) != strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%q: %s %v", tt.header, answer.Status, answer.Header)
		}
		if answer, _ := s.browser().ask(http.MethodGet, "/", "Authorization", tt.header, "Accept", "*/*"); answer.StatusCode != 401 {
			t.Errorf("%q for another page: %s", tt.header, answer.Status)
		}
	}
	b := s.browser()
	if status, body := b.get("/metrics"); status != http.StatusOK || body != "the page /metrics" {
		t.Errorf("with a session: %d %s", status, body)
	}

	open := start(t, nil)
	if answer, _ := open.browser().ask(http.MethodGet, "/metrics", "Accept", "*/*"); answer.StatusCode != http.StatusOK {
		t.Errorf("where no token is set: %s", answer.Status)
	}
}

// TestNone: without an issuer nothing asks for a login, and /metrics may still ask
// for a token.
func TestNone(t *testing.T) {
	l, err := login.New(login.Config{MetricsToken: "0123456789abcdef"}, login.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if l.Pages() != nil {
		t.Errorf("there are pages")
	}
	for want, h := range map[int]http.Handler{
		200: l.Protect(http.HandlerFunc(page)),
		401: l.ProtectMetrics(http.HandlerFunc(page)),
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", "text/html")
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d, want %d", w.Code, want)
		}
	}
}
