package cli

import (
	"fmt"
	"io"
	"net"
	"time"

	"sluice/auth"
	"sluice/hub/wire"
	"sluice/internal/config"
)

const (
	devHub   = "chat"
	devGroup = "room"
)

// welcome prints what to try with a development node: lines to paste.
func welcome(w io.Writer, cfg config.Config, addrs []net.Addr) error {
	addr := firstTCP(addrs)
	if addr == "" {
		return nil // unix sockets only: nothing to paste into a browser or wscat
	}
	if len(cfg.Auth.Keys) == 0 {
		return nil // tokens come from a provider
	}
	reach := "on this machine only"
	if exposed(addrs) {
		reach = "AND CAN BE REACHED FROM THE NETWORK"
	}
	url := func(user string) (string, error) {
		token, err := auth.Mint([]byte(cfg.Auth.Keys[0].Secret), auth.Claims{
			Hub:    devHub,
			User:   user,
			Roles:  []string{"sluice.joinLeaveGroup", "sluice.sendToGroup"},
			Groups: []string{devGroup},
			TTL:    24 * time.Hour,
		}, time.Now())
		return fmt.Sprintf("ws://%s/client/hubs/%s?access_token=%s", addr, devHub, token), err
	}
	alice, err := url("alice")
	if err != nil {
		return err
	}
	bob, err := url("bob")
	if err != nil {
		return err
	}
	name := wire.JSONv1{}.Name()
	_, err = fmt.Fprintf(w, `
  Sluice is running FOR DEVELOPMENT, %[5]s: any page
  may connect and any hub is made on first use. Never run it so in production.

  A client address, token included (valid for a day), subprotocol %[1]s:

    %[2]s

  Send a message from one client to another. In a second terminal, as alice:

    npx wscat -s %[1]s -c '%[2]s'

  In a third terminal, as bob:

    npx wscat -s %[1]s -c '%[3]s'

  Both are in the group %[4]q. Type this into one and see it in the other:

    {"type":"sendToGroup","group":%[4]q,"dataType":"text","data":"hello"}

  Stop with Ctrl-C.

`, name, alice, bob, devGroup, reach)
	return err
}

// firstTCP returns an address that a client on this machine can connect to.
func firstTCP(addrs []net.Addr) string {
	for _, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok {
			if tcp.IP.IsUnspecified() {
				return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
			}
			return tcp.String()
		}
	}
	return ""
}

// exposed tells whether other machines can connect.
func exposed(addrs []net.Addr) bool {
	for _, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			return true
		}
	}
	return false
}
