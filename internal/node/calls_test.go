package node

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// TestSingleUseTokens: a call about a hub that takes each token once is done once,
// however often and however much at once it comes; other hubs go on as before.
func TestSingleUseTokens(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.Hub.Hubs = map[string]hub.Tenant{"chat": {SingleUseAPITokens: true}, "free": {}}
	})
	c := dial(t, n, auth.Claims{User: "ann", Groups: []string{"g"}})
	c.ReadText()
	base := "http://" + n.OpsAddr().String()
	post := func(token, path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "text/plain")
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(answer)
	}
	mint := func(path, body string) string {
		t.Helper()
		token, err := auth.MintSingleCall([]byte(testKey), "POST", base+path, []byte(body), time.Minute, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	const path = "/api/hubs/chat/groups/g/:send"
	token := mint(path, "once")
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		answers = map[int]int{}
	)
	for range 8 {
		all.Go(func() {
			status, _ := post(token, path, "once")
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
		})
	}
	all.Wait()
	if answers[202] != 1 || answers[401] != 7 {
		t.Errorf("answers %v", answers)
	}
	// The hub's name in another case is the same hub.
	other := "/api/hubs/CHAT/groups/g/:send"
	if status, answer := post(token, other, "once"); status != 401 {
		t.Errorf("in another case: %d %s", status, answer)
	}
	token = mint(path, "twice")
	if status, answer := post(token, path, "three times"); status != 401 || !strings.Contains(answer, "body_sha256") {
		t.Errorf("another body: %d %s", status, answer)
	}
	if status, answer := post(token, path, "twice"); status != 202 {
		t.Errorf("the body it was made for: %d %s", status, answer)
	}
	many, err := auth.MintCall([]byte(testKey), "/api", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := post(many, path, "x"); status != 401 || !strings.Contains(answer, "jti") {
		t.Errorf("a token for many calls: %d %s", status, answer)
	}
	for range 2 {
		if status, answer := post(many, "/api/hubs/free/:send", "x"); status != 202 {
			t.Errorf("another hub: %d %s", status, answer)
		}
	}
	for _, want := range []string{`"data":"once"`, `"data":"twice"`} {
		if got := c.ReadText(); !strings.Contains(got, want) {
			t.Errorf("the client got %s, want %s", got, want)
		}
	}
	for _, line := range []string{
		`sluice_api_single_use_refusals_total{reason="replayed"} 7`,
		`sluice_api_single_use_refusals_total{reason="mismatch"} 2`,
		`sluice_api_single_use_refusals_total{reason="incomplete"} 1`,
		`sluice_api_single_use_refusals_total{reason="stale"} 0`,
	} {
		if !series(t, n, line) {
			t.Errorf("the metrics have no line %s", line)
		}
	}
}

// TestSingleUseFull: when no more tokens can be remembered, calls wait instead of
// being unprotected; the setting may be the default of all hubs.
func TestSingleUseFull(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, func(c *config.Config) {
		c.Hub.Defaults.SingleUseAPITokens = true
		c.API.MaxUsedTokens = 2
	})
	base := "http://" + n.OpsAddr().String()
	want := []int{200, 200, 503, 503}
	for i := range want {
		const path = "/api/hubs/chat/users/nobody/connections"
		token, err := auth.MintSingleCall([]byte(testKey), "GET", base+path, nil, time.Minute, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want[i] || (resp.Header.Get("Retry-After") != "") != (want[i] == 503) {
			t.Errorf("call %d: %d", i, resp.StatusCode)
		}
	}
	if !series(t, n, `sluice_api_single_use_refusals_total{reason="full"} 2`) {
		t.Error("not counted")
	}
}

// TestDocumentedCall runs the commands of docs/api.md, twice the last one.
func TestDocumentedCall(t *testing.T) {
	for _, tool := range []string{"sh", "openssl", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here", tool)
		}
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Tokens that are good once")
	_, script, found := strings.Cut(section, "```sh\n")
	script, _, _ = strings.Cut(script, "```")
	if !found || !strings.Contains(script, testKey) || !strings.Contains(script, "127.0.0.1:8081") {
		t.Fatal("the example is not where it was")
	}
	n := startNode(t, func(c *config.Config) {
		c.Hub.Hubs = map[string]hub.Tenant{"chat": {SingleUseAPITokens: true}}
	})
	c := dial(t, n, auth.Claims{Groups: []string{"room"}})
	c.ReadText()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // date has whole seconds only
	script = strings.ReplaceAll(script, "127.0.0.1:8081", n.OpsAddr().String())
	lines := strings.Split(strings.TrimSpace(script), "\n")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script+lines[len(lines)-1]).CombinedOutput()
	if err != nil || strings.Count(string(out), "HTTP/1.1 202") != 1 || strings.Count(string(out), "HTTP/1.1 401") != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	if got := c.ReadText(); !strings.Contains(got, `"data":"hello"`) {
		t.Errorf("the member got %s", got)
	}
}
