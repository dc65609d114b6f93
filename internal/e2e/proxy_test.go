package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// certificate writes a self-signed certificate for localhost and its key into a
// new directory, and returns it with a pool that trusts it.
func certificate(t *testing.T) (dir string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	dir = t.TempDir()
	write(t, filepath.Join(dir, "fullchain.pem"), string(cert))
	write(t, filepath.Join(dir, "privkey.pem"), string(keyPEM))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return dir, pool
}

// freePort returns a TCP port that was free a moment ago, for a program that
// cannot choose one by itself.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(freeAddr(t))
	return port
}

// adapt returns a file of deploy/ with each of the places changed that differ from
// machine to machine; one that is not there fails the test.
func adapt(t *testing.T, file string, changes ...string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s does not say %q", file, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text
}

// need returns the path of a program, or skips loudly.
func need(t *testing.T, name, why string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: " + name + " is not installed: " + why)
	return ""
}

// TestNginx runs deploy/nginx/sluice.conf: TLS at nginx, a unix socket behind it.
func TestNginx(t *testing.T) {
	needNode(t)
	nginx := need(t, "nginx", "deploy/nginx/sluice.conf was not tested")
	tlsDir, pool := certificate(t)
	dir, port := t.TempDir(), freePort(t)
	socket := filepath.Join(dir, "sluice.sock")
	n := serve(t, "--listen", "unix:"+socket, "--set", "api.public=true", "--set", "sockjs.enable=true", "--set", "sse.enable=true", "--set", "proxy.header=X-Forwarded-For")
	site := adapt(t, "../../deploy/nginx/sluice.conf",
		"/run/sluice/sluice.sock", socket,
		"listen 443 ssl;", "listen 127.0.0.1:"+port+" ssl;",
		"    listen [::]:443 ssl;\n", "",
		"/etc/nginx/tls", tlsDir,
		"/var/log/nginx/sluice.log", filepath.Join(dir, "access.log"))
	write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`daemon off; master_process off; error_log stderr warn; pid %[1]s/pid;
events { worker_connections 100; }
http {
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s}`, dir, site))
	start(t, nginx, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	throughProxy(t, "localhost:"+port, tlsDir, pool)
	n.waitFor(`msg="connection opened" .*remote=127\.0\.0\.1:0 `)
	for _, transport := range []string{"websocket", "xhr-streaming", "xhr-polling"} {
		cmd := exec.Command("node", "npm/sockjs.mjs", "https://localhost:"+port, chatToken(t), transport)
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+filepath.Join(tlsDir, "fullchain.pem"))
		if p := startCmd(t, cmd); p.wait() != 0 || p.output() != "ok" {
			t.Errorf("SockJS over %s through the proxy: %s", transport, p.output())
		}
	}

	eventsThroughProxy(t, n, "localhost:"+port, pool)

	log := read(t, filepath.Join(dir, "access.log"))
	if !strings.Contains(log, `"GET /client/hubs/chat" 101`) || strings.Contains(log, "access_token") {
		t.Errorf("the log lacks a handshake, or shows a token:\n%s", log)
	}
}

// eventsThroughProxy: events pass a proxy one by one, when they come.
func eventsThroughProxy(t *testing.T, n *node, addr string, pool *x509.CertPool) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + addr + "/sse/hubs/chat?access_token=" + token(t, "--group", "g"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	expect := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("%s did not come: %v", want, lines.Err())
	}
	expect(`"event":"connected"`)
	n.command(t, "send", "--group", "g", "--data", "through the proxy")
	expect("through the proxy")
}

// TestHAProxy runs deploy/haproxy/haproxy.cfg.
func TestHAProxy(t *testing.T) {
	needNode(t)
	haproxy := need(t, "haproxy", "deploy/haproxy/haproxy.cfg was not tested")
	tlsDir, pool := certificate(t)
	both := filepath.Join(t.TempDir(), "site.pem")
	write(t, both, read(t, filepath.Join(tlsDir, "fullchain.pem"))+read(t, filepath.Join(tlsDir, "privkey.pem")))
	n, port := serve(t, "--set", "api.public=true", "--set", "proxy.trusted=127.0.0.0/8", "--set", "proxy.header=X-Forwarded-For"), freePort(t)
	_, opsPort, _ := net.SplitHostPort(n.ops)
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	write(t, conf, adapt(t, "../../deploy/haproxy/haproxy.cfg",
		"maxconn 200000", "maxconn 100",
		"bind :443", "bind 127.0.0.1:"+port,
		"/etc/haproxy/tls/", both,
		"127.0.0.1:8000", n.addr,
		"port 8001", "port "+opsPort))
	start(t, haproxy, "-db", "-f", conf)
	throughProxy(t, "localhost:"+port, tlsDir, pool)
	n.waitFor(`msg="connection opened" .*remote=127\.0\.0\.1:0 `)
}

// TestHAProxyTCP: a load balancer that passes TCP on tells whose connections these
// are, before TLS, in both versions of its protocol.
func TestHAProxyTCP(t *testing.T) {
	haproxy := need(t, "haproxy", "the PROXY protocol was not tested with it")
	tlsDir, pool := certificate(t)
	for _, version := range []string{"send-proxy", "send-proxy-v2"} {
		behind, port := "127.0.0.1:"+freePort(t), freePort(t)
		n := serve(t, "--echo", "/echo", "--set", "tls.listen="+behind, "--set", "tls.certificates[0].cert="+filepath.Join(tlsDir, "fullchain.pem"),
			"--set", "tls.certificates[0].key="+filepath.Join(tlsDir, "privkey.pem"),
			"--set", "proxy.listen="+behind, "--set", "proxy.trusted=127.0.0.0/8")
		conf := filepath.Join(t.TempDir(), "haproxy.cfg")
		write(t, conf, fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"+
			"listen site\n bind 127.0.0.1:%s\n server node %s %s\n", port, behind, version))
		start(t, haproxy, "-db", "-f", conf)
		eventually(t, func() error {
			nc, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				nc.Close()
			}
			return err
		})
		c := testkit.DialTLS(t, "tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: pool, ServerName: "localhost"})
		c.Open("/echo")
		c.WriteText("hello")
		c.ExpectText("hello")
		n.waitFor(`msg="connection opened" .*remote=` + regexp.QuoteMeta(c.LocalAddr().String()) + " ")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// throughProxy has clients and a back end use a node behind a proxy that speaks
// TLS at addr.
func throughProxy(t *testing.T, addr, tlsDir string, pool *x509.CertPool) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	eventually(t, func() error {
		resp, err := client.Head("https://" + addr + "/api/health")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})

	address := func(user string) string {
		return "wss://" + addr + "/client/hubs/chat?access_token=" + token(t, "--user", user, "--role", "sluice.sendToGroup", "--role", "sluice.joinLeaveGroup")
	}
	chat := exec.Command("node", "npm/chat.mjs", address("alice"), address("bob"), "lounge")
	chat.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+filepath.Join(tlsDir, "fullchain.pem"))
	p := startCmd(t, chat)
	if code := p.wait(); code != 0 || p.output() != "ok" {
		t.Fatalf("two clients through the proxy: exit %d", code)
	}

	// The refusal of the node, not an error of the proxy's own.
	resp, err := client.Get("https://" + addr + "/client/hubs/chat")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a request that is no handshake: status %d %s", resp.StatusCode, body)
	}

	path := "/api/hubs/chat/groups/lounge/:send"
	bearer, _, code := run(t, sluice, "token", "--key", testKey, "--hub", "chat", "--api")
	if code != 0 {
		t.Fatalf("sluice token --api: exit %d", code)
	}
	req, _ := http.NewRequest(http.MethodPost, "https://"+addr+path, strings.NewReader("hello"))
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(bearer))
	req.Header.Set("Content-Type", "text/plain")
	resp, err = client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("a message by the HTTP API: status %d", resp.StatusCode)
	}
}

// eventually tries until there is no error: another program is starting.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
