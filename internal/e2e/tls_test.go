package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// serveTLS starts a node that speaks TLS too, and returns where, with the path of
// the certificate to trust.
func serveTLS(t *testing.T, args ...string) (n *node, addr, trust string) {
	t.Helper()
	dir, _ := certificate(t)
	trust = filepath.Join(dir, "fullchain.pem")
	args = append([]string{"--set", "tls.listen=127.0.0.1:0", "--set", "tls.certificates[0].cert=" + trust,
		"--set", "tls.certificates[0].key=" + filepath.Join(dir, "privkey.pem"), "--set", "api.public=true", "--set", "echo_path=/echo"}, args...)
	n = serve(t, args...)
	m := regexp.MustCompile(`listen="\[(\S+) (\S+)\]"`).FindStringSubmatch(n.output())
	if m == nil {
		t.Fatalf("the node does not say where it listens:\n%s", n.output())
	}
	return n, m[2], trust
}

// metric returns a line of the node's metrics.
func (n *node) metric(t *testing.T, name string) string {
	t.Helper()
	_, page := n.get("/metrics")
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return ""
}

// TestTLSByOpenSSL: what scanners look for, with somebody else's implementation.
func TestTLSByOpenSSL(t *testing.T) {
	openssl := need(t, "openssl", "TLS was not tested with another implementation")
	n, addr, trust := serveTLS(t)
	// sClient does a handshake and returns what openssl says about it.
	sClient := func(flags ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), openssl, append([]string{"s_client", "-connect", addr, "-servername", "localhost",
			"-CAfile", trust, "-verify_return_error"}, flags...)...)
		out, _ := cmd.CombinedOutput() // standard input is empty: it ends after the handshake
		return string(out)
	}
	const old = "DEFAULT@SECLEVEL=0" // else openssl itself refuses
	for _, tt := range []struct {
		name  string
		flags []string
		want  string // "" for a handshake that fails
	}{
		{"TLS 1.3", []string{"-tls1_3"}, "TLSv1.3, Cipher is TLS_AES_"},
		{"TLS 1.2", []string{"-tls1_2"}, "TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"TLS 1.1", []string{"-tls1_1", "-cipher", old}, ""},
		{"TLS 1.0", []string{"-tls1", "-cipher", old}, ""},
		{"CBC", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:" + old + ":!AESGCM:!CHACHA20"}, ""},
		{"no forward secrecy", []string{"-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"}, ""},
		{"no encryption", []string{"-tls1_2", "-cipher", "NULL:@SECLEVEL=0"}, ""},
		{"no authentication", []string{"-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"}, ""},
		{"secure renegotiation announced", []string{"-tls1_2"}, "Secure Renegotiation IS supported"},
		{"no compression", []string{"-tls1_2", "-comp"}, "Compression: NONE"},
		{"the certificate verified", nil, "Verify return code: 0 (ok)"},
		{"HTTP/1.1 chosen", []string{"-alpn", "h2,http/1.1"}, "ALPN protocol: http/1.1"},
		{"HTTP/2 alone refused", []string{"-alpn", "h2"}, ""},
		{"no OCSP response", []string{"-status"}, "OCSP response: no response sent"},
	} {
		out := sClient(tt.flags...)
		if tt.want == "" {
			if !strings.Contains(out, "Cipher is (NONE)") {
				t.Errorf("%s: a handshake\n%s", tt.name, out)
			}
		} else if !strings.Contains(out, tt.want) {
			t.Errorf("%s: not %q\n%s", tt.name, tt.want, out)
		}
	}

	t.Run("a session is resumed", func(t *testing.T) {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			ticket := filepath.Join(t.TempDir(), "ticket")
			// A request, so that TLS 1.3 has a reason to wait for the ticket.
			first := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", addr, "-CAfile", trust, version, "-quiet", "-sess_out", ticket)
			first.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if out, err := first.CombinedOutput(); err != nil || !strings.Contains(string(out), "HTTP/1.1 426 ") {
				t.Fatalf("%s: %v\n%s", version, err, out)
			}
			if out := sClient(version, "-sess_in", ticket); !strings.Contains(out, "Reused, ") {
				t.Errorf("%s: not resumed\n%s", version, out)
			}
		}
		if got := n.metric(t, `sluice_tls_handshakes_total{result="resumed"}`); got != "2" {
			t.Errorf("%s resumed handshakes counted", got)
		}
	})

	hello := string(testkit.MaskedFrame(0x81, []byte("hello\n"))) // openssl's output is read by lines
	for _, tt := range []struct {
		name, version, command string
		ends                   bool
	}{
		{"key update", "-tls1_3", "k\n", false},
		{"key update, both ways", "-tls1_3", "K\n", false},
		{"renegotiation", "-tls1_2", "R\n", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, openssl, "s_client", "-connect", addr, "-CAfile", trust, tt.version, "-crlf")
			p.waitFor("Verify return code: 0")
			fmt.Fprint(p.stdin, strings.ReplaceAll(testkit.Head("/echo"), "\r\n", "\n"))
			p.waitFor("101 Switching Protocols")
			fmt.Fprint(p.stdin, tt.command)
			if tt.ends {
				p.waitFor("no renegotiation|unexpected.message")
				p.wait()
				return
			}
			p.waitFor("KEYUPDATE")
			fmt.Fprint(p.stdin, hello)
			p.waitFor("hello")
		})
	}
}

// TestTLSByCurl: the API over TLS on the clients' port, two requests over one
// connection.
func TestTLSByCurl(t *testing.T) {
	curl := need(t, "curl", "HTTPS on the clients' port was not tested with it")
	_, addr, trust := serveTLS(t)
	port := addr[strings.LastIndex(addr, ":"):]
	url := "https://localhost" + port + "/api/nothing"
	for _, version := range []string{"1.2", "1.3"} {
		out, errs, code := run(t, curl, "-sS", "--cacert", trust, "--tls-max", version, "--tlsv"+version, "-w", "%{http_code} %{num_connects}\n", url, url)
		if code != 0 || !strings.Contains(out, "404 1\n") || !strings.Contains(out, "404 0\n") {
			t.Errorf("TLS %s: exit %d\n%s%s", version, code, out, errs)
		}
	}
	out, errs, code := run(t, curl, "-sS", "http://"+addr+"/")
	if code != 0 || !strings.Contains(out, "https://") {
		t.Errorf("clear text on the TLS port: exit %d\n%s%s", code, out, errs)
	}
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("clear text on the TLS port: %s %q, error %v", resp.Status, body, err)
	}
}

// TestTLSByNode: the npm package ws over wss.
func TestTLSByNode(t *testing.T) {
	needNode(t)
	_, addr, trust := serveTLS(t)
	url := fmt.Sprintf("wss://localhost%s/client/hubs/chat?access_token=%s", addr[strings.LastIndex(addr, ":"):],
		token(t, "--role", "sluice.sendToGroup", "--role", "sluice.joinLeaveGroup", "--group", "room"))
	cmd := exec.CommandContext(t.Context(), "node", "npm/listen.mjs", url, "1")
	cmd.Env = append(cmd.Environ(), "NODE_EXTRA_CA_CERTS="+trust)
	p := startCmd(t, cmd)
	p.waitFor("connected")
	fmt.Fprintln(p.stdin, `{"type":"sendToGroup","group":"room","dataType":"text","data":"over wss"}`)
	p.waitFor("over wss")
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
