package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// drip sends a byte now and then until the server has had enough.
func drip(t *testing.T, c *testkit.Conn) {
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	for {
		if _, err := c.Conn.Write([]byte("x")); err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Error("is not cut off")
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestHostileSlow: who is too slow with a head or a body is cut off, however the
// bytes come.
func TestHostileSlow(t *testing.T) {
	call := apiCall(t)
	post := func(headers string) string {
		return "POST " + sendPath + " HTTP/1.1\r\nHost: h\r\n" + call + headers + "\r\n\r\n"
	}
	const head = "GET /api/x HTTP/1.1\r\nHost: h\r\nX: "
	tests := []struct {
		name, first, send string
		drips             bool
		want              outcome
	}{
		{"a head that stops", "", head, false, refusedByLoop(408, "handshake_timeout")},
		{"a head that drips", "", head, true, refusedByLoop(408, "handshake_timeout")},
		{"nothing at all", "", "", false, refusedByLoop(408, "handshake_timeout")},
		{"a second head that stops", warmUp, head, false, refusedByServer(0)},
		{"a second head that drips", warmUp, head, true, refusedByServer(0)},
		{"a body that stops", "", post("Content-Length: 5") + "ab", false, refusedByServer(400)},
		{"a body that drips", "", post("Content-Length: 999999"), true, refusedByServer(400)},
		{"a second body that drips", warmUp, post("Content-Length: 999999"), true, refusedByServer(400)},
		{"chunks that stop", "", post("Transfer-Encoding: chunked") + "5\r\nab", false, refusedByServer(400)},
		{"a chunk of all there is", "", post("Transfer-Encoding: chunked") + "ffffffffffffffff\r\nab", false, refusedByServer(400)},
		{"the size of a chunk drips", "", post("Transfer-Encoding: chunked") + "1;", true, refusedByServer(400)},
		{"100-continue, and then nothing", "", post("Expect: 100-continue\r\nContent-Length: 5"), false, refusedByServer(100, 400)},
		{"SockJS: a body that drips", "", "POST /sockjs/hubs/chat/0/slow/xhr HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n", true, refusedByServer(413)},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := startField(t, way.secure, func(c *config.Config) {
				c.API.RequestTimeout = 500 * time.Millisecond
				c.Engine.HandshakeTimeout = 500 * time.Millisecond
			})
			t.Run("all", func(t *testing.T) {
				for _, tt := range tests {
					t.Run(tt.name, func(t *testing.T) {
						t.Parallel()
						before := f.count(t, tt.want.series)
						c := f.hostile()
						if tt.first != "" {
							c.WriteString(tt.first)
							c.ReadResponse()
						}
						c.WriteString(tt.send)
						if tt.drips {
							drip(t, c)
						} else {
							for _, status := range tt.want.statuses {
								if status == 0 {
									continue
								}
								if resp := c.ReadResponse(); resp.StatusCode != status {
									t.Errorf("%s, want %d", resp.Status, status)
								}
							}
							_, _ = io.Copy(io.Discard, c.R)
						}
						f.counted(t, tt.want.series, before, 1)
						f.check(t)
					})
				}
			})
		})
	}
}

// TestHostileEnds: connections that end in the middle, and requests that come all at
// once.
func TestHostileEnds(t *testing.T) {
	call := apiCall(t)
	whole := "POST " + sendPath + " HTTP/1.1\r\nHost: h\r\n" + call + "Content-Length: 2\r\n\r\nab"
	half := strings.TrimSuffix(whole, "b")
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := startField(t, way.secure, nil)
			for _, first := range []string{"", warmUp} {
				open := func() *testkit.Conn {
					c := f.hostile()
					if first != "" {
						c.WriteString(first)
						c.ReadResponse()
					}
					return c
				}
				halfClose := func(c *testkit.Conn) {
					t.Helper()
					if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						t.Fatal(err)
					}
				}
				c := open()
				c.WriteString(whole)
				halfClose(c)
				if resp := c.ReadResponse(); resp.StatusCode != 202 {
					t.Errorf("half-close behind a request: %s", resp.Status)
				}

				before := f.count(t, answered("400"))
				c = open()
				c.WriteString(half)
				halfClose(c)
				if resp := c.ReadResponse(); resp.StatusCode != 400 {
					t.Errorf("half-close within a body: %s", resp.Status)
				}
				f.counted(t, answered("400"), before, 1)
				f.check(t)

				lost := func() float64 { return f.count(t, answered("400")) + f.count(t, rejected("client_gone")) }
				before = lost()
				c = open()
				c.WriteString(half)
				c.Reset() // may overtake the request on its way to net/http
				testkit.Eventually(t, testkit.Patience, func() bool { return lost() > before }, "the reset is counted")
				f.check(t)

				const requests = 1000
				c = open()
				c.R = bufio.NewReaderSize(c.Conn, 1<<16)
				go func() { _, _ = io.WriteString(c.Conn, strings.Repeat(whole, requests)) }()
				for range requests {
					if resp := c.ReadResponse(); resp.StatusCode != 202 {
						t.Fatalf("pipelined: %s", resp.Status)
					}
				}
				f.check(t)
				c.Close()

				c = open()
				c.WriteString(testkit.Head("/client/hubs/chat?access_token="+mint(t, auth.Claims{}), subprotocol))
				if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
					t.Errorf("a handshake: %s", resp.Status)
				}
				c.ReadText()
				c.WriteBytes([]byte{0x81, 0}) // not masked
				c.ExpectClose(1002)
			}
			f.httpConnections(t, 0)
		})
	}
}

// TestHTTPPlacesUsedUp: clients that hold places of the HTTP server in silence make
// room for others; who holds all of them with requests that go on keeps others from
// it and from nothing else, and each refusal is counted.
func TestHTTPPlacesUsedUp(t *testing.T) {
	const places = 4
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := startField(t, way.secure, func(c *config.Config) { c.Engine.MaxHTTPConnections = places })
			ask := func() (*testkit.Conn, int) {
				c := f.hostile()
				c.WriteString(warmUp)
				return c, c.ReadResponse().StatusCode
			}
			const clients = 5 * places
			var silent []*testkit.Conn
			for i := range clients {
				f.atMost(t, places/2) // the one before may not have been seen to be silent
				c, status := ask()
				if status != 200 {
					t.Fatalf("with %d silent clients: %d", i, status)
				}
				silent = append(silent, c)
			}
			f.counted(t, "sluice_http_evictions_total", 0, clients-places/2)
			f.check(t)
			for _, c := range silent {
				c.Close()
			}
			f.httpConnections(t, 0)

			var held []*testkit.Conn
			for range places {
				c := f.hostile()
				c.WriteString("POST " + sendPath + " HTTP/1.1\r\nHost: h\r\n" + apiCall(t) + "Content-Length: 2\r\n\r\na")
				held = append(held, c)
			}
			f.httpConnections(t, places)
			for i := range 10 {
				c, status := ask()
				if status != 503 {
					t.Fatalf("one too many: %d", status)
				}
				c.Close()
				f.counted(t, rejected("http_limit"), float64(i), 1)
			}
			f.check(t)
			f.friends = append(f.friends, f.friend(false), f.friend(true))
			f.check(t)
			held[0].WriteString("b")
			if resp := held[0].ReadResponse(); resp.StatusCode != 202 {
				t.Errorf("a request that ends: %s", resp.Status)
			}
			held[0].Close()
			f.httpConnections(t, places-1)
			if _, status := ask(); status != 200 {
				t.Errorf("with a place again: %d", status)
			}
		})
	}
}

// atMost waits until the HTTP server has no more connections than that.
func (f *field) atMost(t *testing.T, most int) {
	t.Helper()
	testkit.Eventually(t, testkit.Patience, func() bool { return f.engine.HTTPConnections() <= most }, fmt.Sprint("at most ", most, " HTTP connections"))
}

// httpConnections waits until the HTTP server has so many connections.
func (f *field) httpConnections(t *testing.T, want int) {
	t.Helper()
	testkit.Eventually(t, testkit.Patience, func() bool { return f.engine.HTTPConnections() == want }, fmt.Sprint(want, " HTTP connections"))
}

// TestHostileSockJS: sessions that are guessed, and more requests than a session has
// a use for.
func TestHostileSockJS(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := startField(t, way.secure, func(c *config.Config) { c.SockJS.MaxRequestsPerSecond = 5 })
			ask := func(c *testkit.Conn, what, token, body string) (int, string) {
				t.Helper()
				c.WriteString(request("POST", "/sockjs/hubs/chat/0/victim/"+what+"?access_token="+token, body))
				resp := c.ReadResponse()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(b)
			}
			victim, mine := mint(t, auth.Claims{User: "victim", Roles: []string{"sluice.sendToGroup"}, Groups: []string{"v"}}), mint(t, auth.Claims{User: "thief"})
			owner := f.hostile()
			if status, body := ask(owner, "xhr", victim, ""); status != 200 || body != "o\n" {
				t.Fatalf("open: %d %q", status, body)
			}
			thief := f.hostile()
			for i, what := range []string{"xhr", "xhr_send", "xhr_streaming"} {
				for j, token := range []string{mine, "", "x.y.z"} {
					if status, _ := ask(thief, what, token, ""); status != 404 {
						t.Errorf("%s with another token: %d", what, status)
					}
					f.counted(t, rejected("session_denied"), float64(3*i+j), 1)
				}
			}

			// The first of many polls waits; the others are told so, one by one.
			poll := f.hostile()
			poll.WriteString(request("POST", "/sockjs/hubs/chat/0/victim/xhr?access_token="+victim, ""))
			var wg sync.WaitGroup
			const polls = 20
			answers := make(chan string, polls)
			for range polls {
				c := f.hostile()
				wg.Go(func() {
					_ = c.SetDeadline(time.Now().Add(testkit.Patience))
					_, _ = io.WriteString(c.Conn, request("POST", "/sockjs/hubs/chat/0/victim/xhr?access_token="+victim, ""))
					resp, err := http.ReadResponse(c.R, nil)
					if err != nil {
						return // this one waits until the others are through
					}
					b, _ := io.ReadAll(resp.Body)
					answers <- string(b)
				})
			}
			testkit.Eventually(t, testkit.Patience, func() bool {
				return f.count(t, rejected("session_busy")) >= polls-1 && len(answers) >= polls-1
			}, "all but one poll refused")
			f.check(t)

			limited := f.count(t, answered("429"))
			status := 0
			for range 200 {
				if status, _ = ask(owner, "xhr_send", victim, `[]`); status == http.StatusTooManyRequests {
					break
				}
			}
			if status != http.StatusTooManyRequests {
				t.Errorf("a flood of requests: %d", status)
			}
			f.counted(t, answered("429"), limited, 1)
			f.check(t)
			f.closeUser(t, "victim")
			wg.Wait()
		})
	}
}

// closeUser ends the connections of a user, and so the polls of its sessions.
func (f *field) closeUser(t *testing.T, user string) {
	t.Helper()
	b := &backEnd{t, "http://" + f.OpsAddr().String() + "/api/hubs/chat", testKey}
	b.want(204, "POST", "/users/"+user+"/:closeConnections", "", "")
}

// TestForgedProxyHeader: an address that is not a proxy cannot say whose connection
// it is.
func TestForgedProxyHeader(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			s := startSecure(t, func(c *config.Config) {
				c.EchoPath = "/echo"
				listen := []string{"127.0.0.2:0"}
				if way.secure {
					c.TLS.Listen = listen
				} else {
					c.Listen = listen
				}
				c.Proxy = engine.ProxyConfig{Listen: listen, Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
			})
			addr := s.Addrs()[0].String()
			if way.secure {
				addr = s.Addrs()[1].String()
			}
			for i, header := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
				c := testkit.Dial(t, "tcp", addr)
				_, _ = io.WriteString(c.Conn, header+testkit.Head("/echo"))
				_ = c.SetDeadline(time.Now().Add(testkit.Patience))
				if b, _ := io.ReadAll(c.R); len(b) > 0 {
					t.Errorf("answered %q", b)
				}
				const series = `sluice_proxy_headers_total{result="untrusted"}`
				testkit.Eventually(t, testkit.Patience, func() bool { return s.count(t, series) == float64(i+1) }, fmt.Sprint(series, " counts ", header))
			}
		})
	}
}
