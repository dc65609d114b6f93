package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/auth"
	"sluice/internal/testkit"
)

// vault is what nobody but its owner may see, and what was seen.
type vault struct {
	t       *testing.T
	secrets map[string]string // by what they are
	seen    map[string]string // texts, by where they stood
}

// add takes a secret in, with the forms in which it may come out.
func (v *vault) add(what, secret string) string {
	v.secrets[what] = secret
	v.secrets[what+", in base64"] = base64.RawURLEncoding.EncodeToString([]byte(secret))
	if parts := strings.Split(secret, "."); len(parts) == 3 { // a token in part lets nobody in, but need not be seen
		v.secrets[what+", its claims"], v.secrets[what+", its signature"] = parts[1], parts[2]
	}
	return secret
}

func (v *vault) see(where, text string) { v.seen[where] += text }

// check looks for every secret in everything that was seen.
func (v *vault) check() {
	v.t.Helper()
	for where, text := range v.seen {
		for what, secret := range v.secrets {
			at := strings.Index(text, secret)
			if at < 0 {
				at = strings.Index(text, url.QueryEscape(secret))
			}
			if at >= 0 {
				v.t.Errorf("%s shows %s: …%.300s", where, what, text[max(0, at-200):])
			}
		}
	}
}

// mint makes a token for the hub and keeps it.
func (v *vault) mint(what, key, hub string, life time.Duration) string {
	v.t.Helper()
	made := time.Now()
	if life < 0 {
		made, life = made.Add(2*life), -life
	}
	token, err := auth.Mint([]byte(key), auth.Claims{Hub: hub, User: what, TTL: life}, made)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.add(what, token)
}

// ask sends bytes and keeps what is answered, unless that opens a WebSocket.
func (v *vault) ask(addr, where, send string) {
	nc, err := testkit.TryDial("tcp", addr)
	if err != nil {
		v.t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(nc, send)
	c := testkit.Wrap(v.t, nc)
	if first, err := c.R.Peek(12); err == nil && string(first) == "HTTP/1.1 101" {
		return
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	answer, _ := io.ReadAll(c.R)
	v.see("the answer to "+where, string(answer))
}

// TestSecretsStaySecret: a node with everything in its configuration that must not
// be seen, at which everything goes wrong that can, with tokens in every place where
// they can be. None of it is in its log, which has the lines for debugging too, in
// an error, on a page, in the printed configuration or in the last words of the
// process.
func TestSecretsStaySecret(t *testing.T) {
	v := &vault{t: t, secrets: map[string]string{}, seen: map[string]string{}}
	dir, _ := certificate(t)
	pem, err := os.ReadFile(filepath.Join(dir, "privkey.pem"))
	if err != nil {
		t.Fatal(err)
	}
	v.add("the key of the certificate", strings.Split(string(pem), "\n")[1])
	key := v.add("the key", "the-key-of-the-house-that-nobody-sees")
	keyOfHub := v.add("the key of a hub", "the-key-of-a-hub-that-nobody-may-see")
	keyInFile := v.add("a key in a file", "the-key-in-a-file-that-nobody-may-see")
	write(t, filepath.Join(dir, "secret"), keyInFile+"\n")
	file := filepath.Join(dir, "sluice.yaml")
	write(t, file, fmt.Sprintf(`
listen: ["127.0.0.1:0"]
ops: "127.0.0.1:0"
ops_pprof: true
log: {level: debug, users: true}
engine: {log_lines_per_second: 1000000}
auth:
  keys: [{secret: %q}, {id: old, secret_file: %q}]
  origins: ["https://app.example.com"]
hub:
  hubs:
    chat: {}
    other: {keys: [{secret: %q}]}
api: {public: true}
sockjs: {enable: true, legacy: true}
tls:
  listen: ["127.0.0.1:0"]
  certificates: [{cert: %q, key: %q}]
`, key, filepath.Join(dir, "secret"), keyOfHub, filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem")))

	cmd := exec.Command(sluice, "serve", "--config", file)
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	n := await(startCmd(t, cmd))
	n.addr = strings.TrimPrefix(n.addr, "[") // the first of two

	tokens := map[string]string{
		"a good token":         v.mint("a good token", key, "chat", time.Hour),
		"a token that expired": v.mint("a token that expired", key, "chat", -time.Hour),
		"a token of another":   v.mint("a token of another", keyOfHub, "other", time.Hour),
		"a forged token":       v.mint("a forged token", "some-key-that-is-not-one-of-the-house", "chat", time.Hour),
	}
	call, err := auth.MintCall([]byte(key), "/api", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	tokens["a call token"] = v.add("a call token", call)
	tokens["what is no token"] = v.add("what is no token", "not.a-token-at-all-but-secret.anyway")
	tokens["too long a token"] = v.add("too long a token", strings.Repeat("too-long-and-secret-", 1000))

	// What clients get and must keep for themselves.
	tokens["a ticket"] = v.add("a ticket", n.answer(t, call, "/api/hubs/chat/:createTicket?api-version=2024-12-01", "ticket"))
	v.add("a made token", n.answer(t, call, "/api/hubs/chat/:generateToken?api-version=2024-12-01", "token"))
	reliable := testkit.Dial(t, "tcp", n.addr)
	reliable.Open("/client/hubs/chat?access_token="+tokens["a good token"], "Sec-WebSocket-Protocol: json.reliable.sluice.v1")
	var connected struct{ ReconnectionToken string }
	if err := json.Unmarshal([]byte(reliable.ReadText()), &connected); err != nil || connected.ReconnectionToken == "" {
		t.Fatalf("no reconnection token: %v", err)
	}
	back := v.add("a reconnection token", connected.ReconnectionToken)
	for _, names := range [][2]string{{"connection_id", "reconnection_token"}, {"awps_connection_id", "awps_reconnection_token"}} {
		for _, path := range []string{"/client/hubs/chat", "/client/hubs/nowhere", "/elsewhere"} {
			address := path + "?" + names[0] + "=somebody&" + names[1] + "=" + url.QueryEscape(back)
			v.ask(n.addr, names[1], testkit.Head(address, "Origin: https://evil.example.com"))
			v.ask(n.addr, names[1], "GET "+address+" HTTP/1.1\r\nHost: h\r\n\r\n")
		}
	}
	reliable.WriteText(`{"type":"sequenceAck","sequenceId":"` + v.add("what a client says", "said-in-confidence-by-a-client") + `"}`)
	reliable.WriteText(`said-in-confidence-by-a-client`)
	if f, err := reliable.TryReadFrame(); err == nil {
		v.see("the close of a connection", string(f.Payload))
	}

	for what, token := range tokens {
		provoke(v, n.addr, what, token)
	}
	for _, path := range []string{"/", "/metrics", "/slow-consumers", "/healthz", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/heap?debug=1", "/api/openapi.yaml"} {
		_, body := n.get(path)
		v.see(path, body)
	}
	if got := n.metric(t, "sluice_log_lines_dropped_total") + n.metric(t, "sluice_log_lines_suppressed_total"); got != "00" {
		t.Errorf("lines of the log are missing: %s", got)
	}

	for _, args := range [][]string{
		{"config", "--config", file}, {"config", "--config", file, "--format", "json"}, {"check", "--config", file},
		{"check", "--config", file, "--set", "auth.keys[0].secret=" + v.add("a key that is too short", "short-but-secret")},
		{"serve", "--config", file, "--set", "auth.key=" + v.add("a key at a wrong place", "misplaced-and-all-the-same-secret")},
		{"config", "--config", file, "--set", "auth.keys[0].id=2", "--set", "auth.cookie=" + strings.Repeat("x", 3)},
	} {
		out, errs, _ := run(t, sluice, args...)
		v.see("sluice "+args[0], out+errs)
	}

	n.signal(syscall.SIGQUIT)
	n.wait()
	log := n.output()
	v.see("the log", log)
	if !strings.Contains(log, "handshake refused") || !strings.Contains(log, "goroutine ") {
		t.Error("nothing was refused, or the process had no last words: nothing was tested")
	}
	v.check()
}

// answer calls the API and returns a field of what it says.
func (n *node) answer(t *testing.T, call, path, field string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+call)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var fields map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&fields); err != nil || fields[field] == "" {
		t.Fatalf("%s: %s, %v, error %v", path, resp.Status, fields, err)
	}
	return fields[field]
}

// provoke puts a token in every place where one can be, and some where none should
// be, in requests that are refused for every reason that there is.
func provoke(v *vault, addr, what, token string) {
	const second = "HEAD /api/health HTTP/1.1\r\nHost: h\r\n\r\n"
	escaped := "%" + fmt.Sprintf("%02x", token[0]) + token[1:]
	headers := []string{
		"Authorization: Bearer " + token, "Authorization: " + token, "authorization: Basic " + token,
		"Cookie: access_token=" + token, "Cookie: other=" + token + "; access_token",
		"Sec-WebSocket-Protocol: bearer." + base64.RawURLEncoding.EncodeToString([]byte(token)),
		"Sec-WebSocket-Protocol: bearer." + token + ", ticket." + token,
		"Referer: https://app.example.com/?access_token=" + token,
		"Sec-WebSocket-Key: " + token, "Authorization : " + token, token, "X: y\r\n " + token,
	}
	queries := []string{
		"access_token=" + token, "a=b&ACCESS_TOKEN=" + token, "%61ccess_token=" + token, "access_token=" + escaped,
		"x=/client?access_token=" + token, "access_token=" + token + "&access_token=again", "access_token=%zz" + token, "access_token;=" + token,
		"x=%3Faccess_token%3D" + token,
	}
	if strings.HasPrefix(token, "eyJ") || strings.HasPrefix(token, "slt_") { // else it is the application's
		queries = append(queries, "ticket="+token, "jwt="+token)
		v.ask(addr, what+" in a path", testkit.Head("/elsewhere/"+token))
	}
	paths := []string{"/client/hubs/chat", "/client/hubs/chat/", "/client/hubs/%2f", "/elsewhere", "/api/hubs/chat/:send", "/api/x",
		"/sockjs/hubs/chat/0/s1/xhr_send", "/sockjs/hubs/chat/info", "/sockjs/hubs/chat/0/s2/jsonp", "/sockjs/hubs/chat/0/s3/websocket"}
	for _, path := range paths {
		where := what + " at " + path
		for _, h := range headers {
			for _, first := range []string{"", second} {
				v.ask(addr, where, first+testkit.Head(path, h))
				v.ask(addr, where, first+"POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"+h+"\r\n\r\n[")
			}
		}
		for _, q := range queries {
			for _, first := range []string{"", second} {
				v.ask(addr, where, first+testkit.Head(path+"?"+q, "Origin: https://evil.example.com"))
				v.ask(addr, where, first+"GET "+path+"?"+q+" HTTP/1.1\r\nHost: h\r\n\r\n")
				v.ask(addr, where, first+"PUT "+path+"?"+q+" HTTP/1.1\r\n\r\n")
				v.ask(addr, where, first+"GET "+path+"?"+q+" HTTP/1.1\r\nHost: h\r\nBad\r\n\r\n")
			}
		}
	}
}
