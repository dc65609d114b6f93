package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// maxSocketPath is the longest path of a unix socket in bytes: sun_path of
// unix(7) less the zero at its end.
const maxSocketPath = 107

// address is where a listener will be. The zero value is nowhere.
type address struct {
	host string // "" for every address of the machine
	port int
	path string // of a unix socket
}

// parseAddress reads "host:port" or "unix:/path". Nothing is looked up in the
// DNS: a configuration means the same wherever it is checked.
func parseAddress(text string) (address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		switch {
		case path == "":
			return address{}, errors.New(`"unix:" needs the path of the socket, as unix:/run/sluice.sock`)
		case len(path) > maxSocketPath:
			return address{}, fmt.Errorf("the path of the socket has %d bytes, more than the %d the kernel takes", len(path), maxSocketPath)
		}
		return address{path: path}, nil
	}
	if strings.Contains(text, "://") {
		return address{}, fmt.Errorf(`%q is a URL; write host:port, as ":8080"`, text)
	}
	host, service, err := net.SplitHostPort(text)
	if err != nil {
		return address{}, fmt.Errorf(`%q is not an address; write host:port, as ":8080", "127.0.0.1:8080" or "[::1]:8080"`, text)
	}
	port, err := net.LookupPort("tcp", service)
	if err != nil || service == "" {
		return address{}, fmt.Errorf("%q: the port is not between 0 and 65535", text)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "" // 0.0.0.0 listens on IPv6 too, like [::]
	}
	return address{host: strings.ToLower(host), port: port}, nil
}

// clashes reports whether only one of two listeners can be opened. The kernel
// gives every listener on port 0 a port of its own.
func (a address) clashes(b address) bool {
	if a.path != "" || b.path != "" {
		return a.path == b.path
	}
	return a.port == b.port && a.port != 0 && (a.host == b.host || a.host == "" || b.host == "")
}

// local reports whether only this machine reaches the listener.
func (a address) local() bool {
	ip, err := netip.ParseAddr(a.host)
	return a.path != "" || a.host == "localhost" || err == nil && ip.IsLoopback()
}

func (c *Config) validateListeners(report func(key, problem string)) {
	open := make(map[string]address) // by key
	var order []string
	check := func(key, text string) {
		a, err := parseAddress(text)
		if err != nil {
			report(key, err.Error())
			return
		}
		for _, other := range order {
			if a.clashes(open[other]) {
				report(key, fmt.Sprintf("%q cannot be opened beside %s", text, other))
			}
		}
		open[key] = a
		order = append(order, key)
	}
	d := c.WithDefaults()
	for i, text := range d.Listen {
		check(fmt.Sprintf("listen[%d]", i), text)
	}
	for i, text := range d.TLS.Listen {
		check(fmt.Sprintf("tls.listen[%d]", i), text)
	}
	for i, text := range d.Proxy.Listen {
		if !slices.Contains(d.Listen, text) && !slices.Contains(d.TLS.Listen, text) {
			report(fmt.Sprintf("proxy.listen[%d]", i), fmt.Sprintf("%q is not one of the addresses in listen and tls.listen; write it as it stands there", text))
		}
	}
	if strings.HasPrefix(d.Ops, "unix:") {
		report("ops", "cannot be a unix socket; write host:port, as 127.0.0.1:8081")
		return
	}
	check("ops", d.Ops)
}
