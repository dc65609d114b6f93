package auth

import (
	"errors"
	"net"
	"net/url"
)

// CheckIssuerURL reports why keys may not be fetched from an address: over plain
// HTTP anybody on the way could put in keys of their own, unless the way is within
// the machine.
func CheckIssuerURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is not a URL such as https://login.example.com")
	case u.User != nil || u.Fragment != "":
		return errors.New("is a URL with a user or a fragment; leave these out")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("is not https, which only an address of this machine may be")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
